// From whatever JSON there is to a document that can be drawn: every edge has an id and every node
// a place. A problem with the rest is left for the validation to tell.

import { placed } from "./layout";
import type { WorkflowDocument, WorkflowEdge, WorkflowNode } from "./types";

export const EMPTY: WorkflowDocument = { name: "", nodes: [], edges: [], entry_point: null };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Throws an Error whose message is for people when it is no workflow at all. */
export function normalise(raw: unknown): WorkflowDocument {
  if (!isObject(raw)) throw new Error("A workflow is a JSON object with nodes and edges.");
  const nodes = list(raw.nodes, "nodes").map(readNode);
  const taken = new Set(nodes.map((node) => node.id));
  if (taken.size < nodes.length) throw new Error("Two nodes have the same id.");
  const edges = withIds(list(raw.edges ?? [], "edges").map(readEdge)).filter(
    (edge) => taken.has(edge.source) && taken.has(edge.target),
  );
  return placed({ ...raw, nodes, edges });
}

function list(value: unknown, key: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`“${key}” must be a list.`);
}

function readNode(value: unknown, index: number): WorkflowNode {
  if (!isObject(value) || typeof value.id !== "string" || typeof value.type !== "string" || !value.id) {
    throw new Error(`nodes[${index}] needs an id and a type, both text.`);
  }
  if (value.data !== undefined && !isObject(value.data)) throw new Error(`nodes[${index}].data must be an object.`);
  return value as WorkflowNode;
}

function readEdge(value: unknown, index: number): Omit<WorkflowEdge, "id"> & { id?: string } {
  if (!isObject(value) || typeof value.source !== "string" || typeof value.target !== "string") {
    throw new Error(`edges[${index}] needs a source and a target, both text.`);
  }
  return value as WorkflowEdge;
}

/** As the server names an edge without an id, so that its problems find it. */
function withIds(edges: (Omit<WorkflowEdge, "id"> & { id?: string })[]): WorkflowEdge[] {
  const taken = new Set<string>();
  return edges.map((edge, index) => {
    const wanted = typeof edge.id === "string" && edge.id ? edge.id : `edges[${index}]`;
    const id = taken.has(wanted) ? `${wanted}-${index}` : wanted;
    taken.add(id);
    return { ...edge, id } as WorkflowEdge;
  });
}
