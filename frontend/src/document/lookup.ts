// Look-ups in a document. Documents are never changed in place, so each is indexed once.

import type { WorkflowDocument, WorkflowEdge, WorkflowNode } from "./types";

export interface DocumentIndex {
  nodes: ReadonlyMap<string, WorkflowNode>;
  edges: ReadonlyMap<string, WorkflowEdge>;
  outgoing: ReadonlyMap<string, readonly WorkflowEdge[]>;
  incoming: ReadonlyMap<string, readonly WorkflowEdge[]>;
}

const known = new WeakMap<WorkflowDocument, DocumentIndex>();
const NONE: readonly WorkflowEdge[] = [];

export function indexOf(document: WorkflowDocument): DocumentIndex {
  const found = known.get(document);
  if (found) return found;
  const index: DocumentIndex = {
    nodes: new Map(document.nodes.map((node) => [node.id, node])),
    edges: new Map(document.edges.map((edge) => [edge.id, edge])),
    outgoing: grouped(document.edges, "source"),
    incoming: grouped(document.edges, "target"),
  };
  known.set(document, index);
  return index;
}

export const nodeOf = (document: WorkflowDocument, id: string) => indexOf(document).nodes.get(id);
export const edgeOf = (document: WorkflowDocument, id: string) => indexOf(document).edges.get(id);
export const outgoing = (document: WorkflowDocument, id: string) => indexOf(document).outgoing.get(id) ?? NONE;
export const incoming = (document: WorkflowDocument, id: string) => indexOf(document).incoming.get(id) ?? NONE;

function grouped(edges: readonly WorkflowEdge[], end: "source" | "target"): Map<string, WorkflowEdge[]> {
  const groups = new Map<string, WorkflowEdge[]>();
  for (const edge of edges) {
    const group = groups.get(edge[end]);
    if (group) group.push(edge);
    else groups.set(edge[end], [edge]);
  }
  return groups;
}
