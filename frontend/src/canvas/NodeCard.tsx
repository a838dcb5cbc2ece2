// One node on the canvas.

import { memo } from "react";
import { Handle, Position, type NodeProps } from "@xyflow/react";

import { NodeBench } from "../bench/NodeBench";
import { outgoing } from "../document/lookup";
import { useProblems, type Problem } from "../document/problems";
import { portY } from "../document/size";
import { useDocument } from "../document/store";
import { DEFAULT_PORT, portOf } from "../document/types";
import { NodeLive } from "../live/NodeLive";
import { NodeMark } from "../versions/NodeMark";
import { useView } from "../view";
import { useMayEdit } from "./editing";
import { useDialogs } from "./dialogState";
import type { CardData, CardNode } from "./flow";
import { Icon } from "./Icon";

export const NodeCard = memo(function NodeCard({ id, data, selected, height = 0 }: NodeProps<CardNode>) {
  const mode = useView((view) => view.mode);
  const editable = useMayEdit();
  const problems = useProblems((state) => state.nodes[id]);
  const tone = problems ? "bad" : data.known ? undefined : "warn";
  return (
    <div className="card" data-hue={data.hue} data-kind={data.kind} data-problem={tone} data-selected={selected}>
      <NodeMark id={id} />
      <Ports data={data} height={height} />
      <div className="card-head">
        <span className="card-icon">
          <Icon name={data.icon} size={18} />
        </span>
        <span className="card-text">
          <span className="card-label" title={data.label}>
            {data.label}
          </span>
          <span className="card-type">{data.label === data.typeLabel ? id : `${data.typeLabel} · ${id}`}</span>
        </span>
        {problems && <Trouble problems={problems} />}
      </div>
      <div className="card-foot">{mode === "production" ? <NodeLive id={id} /> : <NodeBench id={id} />}</div>
      {editable && <More id={id} data={data} height={height} />}
    </div>
  );
});

/** Also a way to the settings, where each problem is told at its field. */
function Trouble({ problems }: { problems: Problem[] }) {
  const text = problems.map(({ message }) => message).join("\n");
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return (
    <span className="card-trouble" title={text} role="img" aria-label={`${count}: ${text}`}>
      <Icon name="circle-alert" size={16} />
    </span>
  );
}

function Ports({ data: { ports }, height }: { data: CardData; height: number }) {
  return (
    <>
      {ports.inputs.map((port, index) => (
        <Handle
          key={port}
          id={port}
          type="target"
          position={Position.Left}
          style={{ top: portY(index, ports.inputs.length, height) }}
        />
      ))}
      {ports.outputs.map((port, index) => (
        <Handle
          key={port}
          id={port}
          type="source"
          position={Position.Right}
          style={{ top: portY(index, ports.outputs.length, height) }}
        />
      ))}
      {ports.outputs.map((port, index) =>
        port === DEFAULT_PORT && ports.outputs.length === 1 ? null : (
          <span key={port} className="port-name" style={{ top: portY(index, ports.outputs.length, height) }}>
            {port}
          </span>
        ),
      )}
    </>
  );
}

/** A plus at every output that leads nowhere yet: the next step is one click away. */
function More({ id, data: { ports, label }, height }: { id: string; data: CardData; height: number }) {
  const show = useDialogs((state) => state.show);
  const used = useDocument(({ document }) =>
    outgoing(document, id)
      .map((edge) => portOf(edge.sourceHandle))
      .join("\n"),
  ).split("\n");
  return (
    <>
      {ports.outputs.map((port, index) =>
        used.includes(port) ? null : (
          <button
            key={port}
            type="button"
            className="more nodrag nopan"
            data-named={port !== DEFAULT_PORT || ports.outputs.length > 1 || undefined}
            style={{ top: portY(index, ports.outputs.length, height) }}
            tabIndex={-1}
            aria-label={`Add a node after ${label}${port === DEFAULT_PORT ? "" : `, port ${port}`}`}
            onClick={() => show({ kind: "add", from: { source: id, port } })}
          >
            <Icon name="plus" size={14} />
          </button>
        ),
      )}
    </>
  );
}
