import { useDocument } from "../document/store";
import { useEditable } from "./useEditable";

/** Several nodes or edges are selected. */
export function ManyPanel({ nodes, edges }: { nodes: readonly string[]; edges: readonly string[] }) {
  const editable = useEditable();
  const { remove, duplicate, layout } = useDocument.getState();
  const some = (count: number, noun: string) => (count ? [`${count} ${noun}${count === 1 ? "" : "s"}`] : []);
  return (
    <div className="panel">
      <h2 className="panel-title">{[...some(nodes.length, "node"), ...some(edges.length, "edge")].join(" and ")} selected</h2>
      {editable && (
        <div className="panel-buttons">
          {nodes.length > 0 && (
            <button type="button" onClick={() => duplicate([...nodes])}>
              Duplicate
            </button>
          )}
          {nodes.length > 1 && (
            <button type="button" onClick={layout}>
              Tidy up
            </button>
          )}
          <button type="button" className="danger" onClick={() => remove([...nodes, ...edges])}>
            Remove
          </button>
        </div>
      )}
    </div>
  );
}
