// That nodes before this one have no output yet, and the way to get it.

import { useBench } from "../bench/store";
import { page } from "../page";
import { useView } from "../view";
import { nameOf } from "./nodeName";

interface Props {
  nodes: readonly string[];
  why?: string;
}

export function MissingInputs({ nodes, why = "There is no input yet." }: Props) {
  const running = useBench((bench) => bench.running);
  const runBefore = async () => {
    for (const id of nodes) {
      const outcome = await useBench.getState().run(id, { upstream: "missing" });
      if (!outcome || outcome.failure) {
        useView.getState().focusNode(id, "output");
        return;
      }
    }
  };
  return (
    <div className="missing" role="status">
      <p>
        {why}{" "}
        {nodes.map((id, index) => (
          <span key={id}>
            {index > 0 && ", "}
            <button type="button" className="link" onClick={() => useView.getState().focusNode(id)}>
              {nameOf(id)}
            </button>
          </span>
        ))}{" "}
        {nodes.length === 1 ? "has" : "have"} not been run.
      </p>
      {page.may.run && (
        <button type="button" disabled={running !== null} onClick={() => void runBefore()}>
          Run {nodes.length === 1 ? nameOf(nodes[0]!) : "them"} now
        </button>
      )}
    </div>
  );
}
