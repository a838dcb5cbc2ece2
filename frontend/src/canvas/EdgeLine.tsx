// One edge on the canvas: its line, its condition, what is wrong with it, and what goes through it.

import { memo } from "react";
import { BaseEdge, EdgeLabelRenderer, getBezierPath, getSmoothStepPath, type EdgeProps } from "@xyflow/react";

import { useProblems } from "../document/problems";
import { useDocument } from "../document/store";
import { EdgeLive } from "../live/EdgeLive";
import { useView } from "../view";
import { useMayEdit } from "./editing";
import { useDialogs } from "./dialogState";
import type { LineEdge } from "./flow";
import { Icon } from "./Icon";

const BACK = 40; // an edge that leads back goes around the nodes

export const EdgeLine = memo(function EdgeLine(props: EdgeProps<LineEdge>) {
  const { id, data, selected, markerEnd } = props;
  const mode = useView((view) => view.mode);
  const problems = useProblems((state) => state.edges[id]);
  const [path, x, y] = pathOf(props);
  const condition = data?.edge.condition;
  const tools = useMayEdit() && selected;
  const labelled = condition || problems || mode === "production" || tools;
  return (
    <>
      <BaseEdge id={id} path={path} markerEnd={markerEnd} className={problems ? "line-bad" : undefined} />
      {labelled && (
        <EdgeLabelRenderer>
          <div className="line-label nodrag nopan" style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}>
            {condition && (
              <button type="button" tabIndex={-1} className="line-condition" title={condition} onClick={() => choose(id)}>
                if {condition}
              </button>
            )}
            {problems && (
              <span className="line-trouble" role="img" aria-label={messages(problems)} title={messages(problems)}>
                <Icon name="circle-alert" size={15} />
              </span>
            )}
            {mode === "production" && <EdgeLive id={id} />}
            {tools && <Tools id={id} />}
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  );
});

const choose = (id: string) => useDocument.getState().select([], [id]);
const messages = (problems: { message: string }[]) => problems.map(({ message }) => message).join("\n");

function Tools({ id }: { id: string }) {
  return (
    <span className="line-tools">
      <button
        type="button"
        aria-label="Insert a node into this edge"
        title="Insert a node"
        onClick={() => useDialogs.getState().show({ kind: "add", into: id })}
      >
        <Icon name="plus" size={14} />
      </button>
      <button
        type="button"
        aria-label="Remove this edge"
        title="Remove (Delete)"
        onClick={() => useDocument.getState().remove([id])}
      >
        <Icon name="trash-2" size={14} />
      </button>
    </span>
  );
}

function pathOf(edge: EdgeProps<LineEdge>): [string, number, number] {
  const { sourceX, sourceY, sourcePosition, targetX, targetY, targetPosition } = edge;
  const ends = { sourceX, sourceY, sourcePosition, targetX, targetY, targetPosition };
  const back = targetX < sourceX - BACK;
  const [path, x, y] = back ? getSmoothStepPath({ ...ends, borderRadius: 14, offset: 28 }) : getBezierPath(ends);
  return [path, x, y];
}
