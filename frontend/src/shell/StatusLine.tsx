// What is wrong, how much there is, and whether it is saved.

import { useDraft } from "../document/draft";
import { useDirty, useDocument } from "../document/store";
import { page } from "../page";
import { ProblemsButton } from "./ProblemsButton";

const some = (count: number, word: string) => `${count} ${word}${count === 1 ? "" : "s"}`;

export function StatusLine() {
  const nodes = useDocument((state) => state.document.nodes.length);
  const edges = useDocument((state) => state.document.edges.length);
  const selected = useDocument((state) => state.selection.length + state.selectedEdges.length);
  return (
    <div className="status-line" role="group" aria-label="Status">
      <ProblemsButton />
      <span className="counts">
        {some(nodes, "node")}, {some(edges, "edge")}
        {selected > 1 && `, ${selected} selected`}
      </span>
      <Saved />
    </div>
  );
}

function Saved() {
  const dirty = useDirty();
  const version = useDocument((state) => state.base.version);
  const problem = useDraft((state) => state.problem);
  if (!page.may.edit) return <span className="saved">You may look, and change nothing.</span>;
  if (problem) return <span className="saved problem">{problem}</span>;
  if (dirty) return <span className="saved" data-dirty>Not saved; kept in this browser</span>;
  return <span className="saved">{version === null ? "Nothing to save yet" : `Saved as version ${version}`}</span>;
}
