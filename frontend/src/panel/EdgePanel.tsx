// An edge: where it leads, and on what condition.

import { useEffect, useState } from "react";

import { useBench } from "../bench/store";
import { nodeOf } from "../document/lookup";
import { useProblems } from "../document/problems";
import { useDocument } from "../document/store";
import { portOf, type WorkflowEdge } from "../document/types";
import { useView } from "../view";
import { JsonView } from "./JsonView";
import { useEditable } from "./useEditable";

const EXAMPLES = ["data.total > 100", "data.region in ['eu', 'us']", "data.error is not defined"];

export function EdgePanel({ edge }: { edge: WorkflowEdge }) {
  const editable = useEditable();
  const [text, setText] = useState(edge.condition ?? "");
  const problems = useProblems((state) => state.edges[edge.id]);
  useEffect(() => setText(edge.condition ?? ""), [edge.condition]);
  const change = (value: string) => {
    setText(value);
    useDocument.getState().setCondition(edge.id, value);
  };
  return (
    <div className="panel">
      <h2 className="panel-title">Edge</h2>
      <p className="edge-way">
        <End id={edge.source} port={portOf(edge.sourceHandle)} /> <span aria-label="to">→</span>{" "}
        <End id={edge.target} port={portOf(edge.targetHandle)} />
      </p>
      <div className="option">
        <label htmlFor="edge-condition">Condition</label>
        <textarea
          id="edge-condition"
          rows={2}
          value={text}
          spellCheck={false}
          readOnly={!editable}
          placeholder="none: every item goes this way"
          aria-describedby="edge-condition-help"
          aria-invalid={problems ? true : undefined}
          onChange={(event) => change(event.target.value)}
        />
        <div id="edge-condition-help">
          {problems?.map(({ message }) => (
            <span key={message} className="option-problem">
              {message}
            </span>
          ))}
          <span className="help">
            An expression over the item's data, without braces; the edge is followed when it is true:{" "}
            {EXAMPLES.map((example, index) => (
              <span key={example}>
                {index > 0 && ", "}
                <code>{example}</code>
              </span>
            ))}
            .
          </span>
        </div>
      </div>
      <Passing edge={edge} />
      {editable && (
        <div className="panel-buttons">
          <button type="button" className="danger" onClick={() => useDocument.getState().remove([edge.id])}>
            Remove the edge
          </button>
        </div>
      )}
    </div>
  );
}

function End({ id, port }: { id: string; port: string }) {
  const node = useDocument((state) => nodeOf(state.document, id));
  return (
    <>
      <button type="button" className="link" onClick={() => useView.getState().focusNode(id)}>
        {node?.data?.label || id}
      </button>
      {port !== "default" && <small className="port"> {port}</small>}
    </>
  );
}

/** What went this way on the bench. */
function Passing({ edge }: { edge: WorkflowEdge }) {
  const standing = useBench((bench) => bench.standings[edge.source]);
  const looked = useBench((bench) => bench.looked[edge.source]);
  const ran = useBench((bench) => bench.results[edge.source]?.ran);
  const there = standing !== undefined && standing.port !== null;
  useEffect(() => {
    if (there && !looked && !ran) void useBench.getState().look(edge.source).catch(() => undefined);
  }, [there, looked, ran, edge.source]);
  const [output, port] = ran ? [ran.output, ran.port] : [looked?.output ?? null, looked?.port ?? null];
  if (!output) return null;
  if (port && port.toLowerCase() !== portOf(edge.sourceHandle)) {
    return <p className="muted">On the bench the last item left by the port {port}, not this way.</p>;
  }
  return (
    <section>
      <h3 className="panel-subtitle">What passes on the bench</h3>
      <JsonView value={output} label="Item" fileName={`${edge.source}-output.json`} root="data" />
    </section>
  );
}
