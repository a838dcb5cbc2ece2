// Connecting by dragging: what may be connected, and what happens where the drag ends.

import { useCallback } from "react";
import { useReactFlow, type Connection as Drawn, type FinalConnectionState, type HandleType } from "@xyflow/react";

import { notify } from "@shared/dom.js";

import type { Connection } from "../document/edit";
import { nodeOf } from "../document/lookup";
import { inputsOf, outputsOf, whyNot } from "../document/ports";
import { useDocument } from "../document/store";
import { CARD_HEIGHT } from "../document/size";
import { useDialogs } from "./dialogState";
import type { LineEdge } from "./flow";

const ours = ({ source, sourceHandle, target, targetHandle }: Drawn | LineEdge): Connection => ({
  source,
  port: sourceHandle,
  target,
  targetPort: targetHandle,
});

const state = () => useDocument.getState();

export const isValidConnection = (drawn: Drawn | LineEdge): boolean =>
  whyNot(state().document, ours(drawn), "id" in drawn ? drawn.id : undefined) === null;

export function onConnect(drawn: Drawn): void {
  const { source, port = null, target, targetPort } = ours(drawn);
  state().connect(source, port, target, targetPort);
}

export const onReconnect = (edge: LineEdge, drawn: Drawn): void => state().reconnect(edge.id, ours(drawn));

/** The end of a drag that met no port: on a card it means the card, beside one a new node. */
export function useConnectEnd() {
  const { screenToFlowPosition } = useReactFlow();
  return useCallback(
    (event: MouseEvent | TouchEvent, drag: FinalConnectionState) => {
      const { fromNode, fromHandle, isValid } = drag;
      if (isValid || !fromNode || !fromHandle) return;
      const { clientX: x, clientY: y } = "changedTouches" in event ? event.changedTouches[0]! : event;
      const under = document.elementFromPoint(x, y);
      const met = under?.closest<HTMLElement>(".react-flow__node")?.dataset.id;
      if (met && met !== fromNode.id) return toCard(fromNode.id, fromHandle.id ?? null, fromHandle.type, met);
      if (fromHandle.type !== "source" || !under?.closest(".react-flow__pane")) return;
      const { x: left, y: top } = screenToFlowPosition({ x, y });
      const from = { source: fromNode.id, port: fromHandle.id };
      useDialogs.getState().show({ kind: "add", from, at: { x: left, y: top - CARD_HEIGHT / 2 } });
    },
    [screenToFlowPosition],
  );
}

function toCard(id: string, port: string | null, type: HandleType, met: string): void {
  const { document, connect } = state();
  const other = nodeOf(document, met);
  if (!other) return;
  const tried: Connection[] =
    type === "source"
      ? inputsOf(other).map((targetPort) => ({ source: id, port, target: met, targetPort }))
      : outputsOf(other).map((from) => ({ source: met, port: from, target: id, targetPort: port }));
  const fits = tried.find((connection) => !whyNot(document, connection));
  if (fits) return connect(fits.source, fits.port ?? null, fits.target, fits.targetPort);
  const reason = tried[0] ? whyNot(document, tried[0]) : "it starts a loop and has no input";
  notify(`These cannot be connected: ${reason}.`);
}

