// Adding nodes: each way ends here, as one step that can be undone.

import { announce } from "@shared/dom.js";

import { useCatalog } from "../catalog/store";
import { edgeOf, nodeOf } from "../document/lookup";
import { freePlace, placeBehind } from "../document/place";
import { inputsOf, outputsOf, whyNot } from "../document/ports";
import { together, useDocument } from "../document/store";
import type { Point } from "../document/types";
import { useView } from "../view";
import type { From } from "./dialogState";

export interface Where {
  from?: From;
  into?: string;
  at?: Point;
}

/** Add a node of a type and return its id. `middle` is where the view is, for want of a better place. */
export function add(type: string, { from, into, at }: Where, middle: Point): string {
  const state = useDocument.getState();
  let id = "";
  together(() => {
    id = state.addNode(type, placeFor({ from, into, at }, middle));
    if (into) splice(into, id);
    else if (from) connectBehind(from, id);
  });
  const label = useCatalog.getState().types?.get(type)?.label ?? type;
  announce(`${label} added`);
  useView.getState().focusNode(id, "settings");
  return id;
}

function placeFor({ from, into, at }: Where, middle: Point): Point {
  const { document } = useDocument.getState();
  const edge = into ? edgeOf(document, into) : undefined;
  if (edge) {
    const [a, b] = [nodeOf(document, edge.source)?.position, nodeOf(document, edge.target)?.position];
    if (a && b) return freePlace(document, { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  }
  if (at) return freePlace(document, at);
  return from ? placeBehind(document, from.source) : freePlace(document, middle);
}

function connectBehind({ source, port = null }: From, target: string): void {
  const { document, connect } = useDocument.getState();
  const node = nodeOf(document, target);
  const targetPort = node && inputsOf(node)[0];
  if (targetPort && !whyNot(document, { source, port, target, targetPort })) connect(source, port, target, targetPort);
}

/** Put a node into an edge: what led on leads to it, and it leads to where that led. */
function splice(edgeId: string, id: string): void {
  const { document, reconnect, connect } = useDocument.getState();
  const edge = edgeOf(document, edgeId);
  const node = nodeOf(document, id);
  if (!edge || !node) return;
  const [input, output] = [inputsOf(node)[0], outputsOf(node)[0]];
  if (!input) return;
  reconnect(edgeId, { source: edge.source, port: edge.sourceHandle, target: id, targetPort: input });
  if (output) connect(id, output, edge.target, edge.targetHandle);
}
