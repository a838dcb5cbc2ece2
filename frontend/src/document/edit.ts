// Changes of a document, each a pure function from one document to the next.

import { indexOf, nodeOf } from "./lookup";
import { DEFAULT_PORT, portOf } from "./types";
import type { JsonObject, NodeData, Point, WorkflowDocument, WorkflowEdge, WorkflowNode } from "./types";

export interface Connection {
  source: string;
  port?: string | null;
  target: string;
  targetPort?: string | null;
}

const handle = (port: string | null | undefined) => (portOf(port) === DEFAULT_PORT ? null : portOf(port));

/** `name`, or `name-2`, `name-3` and so on when it is taken. */
export function freeId(name: string, taken: { has(id: string): boolean }): string {
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(`${name}-${number}`)) number += 1;
  return `${name}-${number}`;
}

export function withNode(document: WorkflowDocument, type: string, at: Point): [WorkflowDocument, string] {
  const id = freeId(type, indexOf(document).nodes);
  const node: WorkflowNode = { id, type, position: at, data: { form: {}, config: {} } };
  return [{ ...document, nodes: [...document.nodes, node] }, id];
}

export function sameConnection(edge: WorkflowEdge, { source, port, target, targetPort }: Connection): boolean {
  return (
    edge.source === source &&
    edge.target === target &&
    portOf(edge.sourceHandle) === portOf(port) &&
    portOf(edge.targetHandle) === portOf(targetPort)
  );
}

/** The document with the edge; unchanged when it is there already. */
export function withEdge(document: WorkflowDocument, connection: Connection): WorkflowDocument {
  if (document.edges.some((edge) => sameConnection(edge, connection))) return document;
  const { source, port, target, targetPort } = connection;
  const name = handle(port) ? `${source}-${handle(port)}-${target}` : `${source}-${target}`;
  const edge: WorkflowEdge = {
    id: freeId(name, indexOf(document).edges),
    source,
    target,
    sourceHandle: handle(port),
    targetHandle: handle(targetPort),
    condition: null,
  };
  return { ...document, edges: [...document.edges, edge] };
}

export function reconnected(document: WorkflowDocument, edgeId: string, to: Connection): WorkflowDocument {
  if (document.edges.some((edge) => edge.id !== edgeId && sameConnection(edge, to))) return document;
  return withEdgeChanged(document, edgeId, {
    source: to.source,
    target: to.target,
    sourceHandle: handle(to.port),
    targetHandle: handle(to.targetPort),
  });
}

export function withEdgeChanged(
  document: WorkflowDocument,
  edgeId: string,
  change: Partial<WorkflowEdge>,
): WorkflowDocument {
  const edges = document.edges.map((edge) => (edge.id === edgeId ? { ...edge, ...change } : edge));
  return { ...document, edges };
}

export function withData(document: WorkflowDocument, id: string, change: Partial<NodeData>): WorkflowDocument {
  const node = nodeOf(document, id);
  if (!node) return document;
  const changed = { ...node, data: { ...node.data, ...change } };
  return { ...document, nodes: document.nodes.map((other) => (other === node ? changed : other)) };
}

export function withoutLabel(document: WorkflowDocument, id: string): WorkflowDocument {
  const node = nodeOf(document, id);
  if (!node?.data || !("label" in node.data)) return document;
  const { label: _, ...data } = node.data;
  return { ...document, nodes: document.nodes.map((other) => (other === node ? { ...node, data } : other)) };
}

export function moved(document: WorkflowDocument, places: ReadonlyMap<string, Point>): WorkflowDocument {
  const nodes = document.nodes.map((node) => {
    const place = places.get(node.id);
    const still = !place || (place.x === node.position?.x && place.y === node.position.y);
    return still ? node : { ...node, position: place };
  });
  return nodes.every((node, i) => node === document.nodes[i]) ? document : { ...document, nodes };
}

export function without(document: WorkflowDocument, ids: Iterable<string>): WorkflowDocument {
  const gone = new Set(ids);
  const nodes = document.nodes.filter((node) => !gone.has(node.id));
  const edges = document.edges.filter((edge) => !gone.has(edge.id) && !gone.has(edge.source) && !gone.has(edge.target));
  if (nodes.length === document.nodes.length && edges.length === document.edges.length) return document;
  const entry = document.entry_point;
  return { ...document, nodes, edges, ...(entry && gone.has(entry) ? { entry_point: null } : {}) };
}

/** Options of the engine; one that is undefined is left out, so that its default holds. */
export const cleaned = (config: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
