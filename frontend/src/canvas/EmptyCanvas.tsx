// What somebody sees who has never built a workflow: what one is, and the first click.

import { useCatalog } from "../catalog/store";
import { hueOf } from "../catalog/look";
import { chooseFile } from "../document/files";
import { useDocument } from "../document/store";
import { useView } from "../view";
import { add } from "./add";
import { sortedTypes } from "./choices";
import { useMayEdit } from "./editing";
import { Icon } from "./Icon";
import { STARTER } from "./starter";
import { useMiddle } from "./useMiddle";

export function EmptyCanvas() {
  const types = useCatalog((state) => state.types);
  const middle = useMiddle();
  const editable = useMayEdit();
  if (!editable) return <p className="empty-canvas">This workflow has no nodes yet.</p>;
  const sources = sortedTypes(types).filter((type) => type.kind === "producer");
  return (
    <div className="empty-canvas">
      <h2>Build your first loop</h2>
      <ol className="steps">
        <li>
          <strong>Choose a source.</strong> It makes the items that your workflow works on.
        </li>
        <li>
          <strong>Add steps behind it</strong> with the <span className="plus-sample">+</span> at a node’s right side, and fill
          in their settings.
        </li>
        <li>
          <strong>Run each node alone</strong> to see what it gives. When it is right, save and start.
        </li>
      </ol>
      <div className="sources" role="group" aria-label="Sources">
        {sources.map((type) => (
          <button
            key={type.type}
            type="button"
            data-hue={hueOf(type.category)}
            title={type.description}
            onClick={() => add(type.type, {}, middle())}
          >
            <span className="card-icon">
              <Icon name={type.icon} />
            </span>
            {type.label}
          </button>
        ))}
      </div>
      <p className="other-ways">
        or <button type="button" onClick={insertStarter}>start from a small example</button> or{" "}
        <button type="button" onClick={chooseFile}>import a JSON file</button>
      </p>
    </div>
  );
}

function insertStarter(): void {
  const { document, replace } = useDocument.getState();
  replace({ ...document, ...STARTER, name: document.name || STARTER.name });
  useView.getState().showAll();
  useView.getState().focusNode(STARTER.nodes[0]!.id, "settings");
}
