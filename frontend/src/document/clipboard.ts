// What is copied: nodes with the edges between them, as JSON text that any editor can hold. A whole
// workflow's JSON can be pasted as well.

import { freeId } from "./edit";
import { corner } from "./layout";
import { indexOf } from "./lookup";
import { normalise } from "./normalise";
import type { Point, WorkflowDocument, WorkflowEdge, WorkflowNode } from "./types";

export interface Fragment {
  nodes: WorkflowNode[];
  edges: WorkflowEdge[];
}

const OFFSET = 40;

export function copied(document: WorkflowDocument, ids: readonly string[]): Fragment {
  const kept = new Set(ids);
  return {
    nodes: document.nodes.filter((node) => kept.has(node.id)),
    edges: document.edges.filter((edge) => kept.has(edge.source) && kept.has(edge.target)),
  };
}

export const asText = (fragment: Fragment): string => JSON.stringify(fragment, null, 2);

/** Read copied text; null when it is something else. */
export function fromText(text: string): Fragment | null {
  try {
    const { nodes, edges } = normalise(JSON.parse(text));
    return nodes.length ? { nodes, edges } : null;
  } catch {
    return null;
  }
}

/** Return the document with the fragment added under new ids, and the ids of its nodes. */
export function pasted(document: WorkflowDocument, fragment: Fragment, at?: Point): [WorkflowDocument, string[]] {
  const { nodes: present, edges: presentEdges } = indexOf(document);
  const from = corner(fragment.nodes.map((node) => node.position ?? { x: 0, y: 0 }));
  const shift = at ? { x: at.x - from.x, y: at.y - from.y } : { x: OFFSET, y: OFFSET };
  const taken = new Set(present.keys());
  const ids = new Map<string, string>();
  const nodes = fragment.nodes.map((node) => {
    const id = freeId(stem(node.id), taken);
    taken.add(id);
    ids.set(node.id, id);
    const { x, y } = node.position ?? { x: 0, y: 0 };
    return { ...node, id, position: { x: x + shift.x, y: y + shift.y } };
  });
  const takenEdges = new Set(presentEdges.keys());
  const edges = fragment.edges.map((edge) => {
    const source = ids.get(edge.source)!;
    const target = ids.get(edge.target)!;
    const id = freeId(takenEdges.has(edge.id) ? `${source}-${target}` : edge.id, takenEdges);
    takenEdges.add(id);
    return { ...edge, id, source, target };
  });
  const next = { ...document, nodes: [...document.nodes, ...nodes], edges: [...document.edges, ...edges] };
  return [next, [...ids.values()]];
}

/** `parse-json-2` -> `parse-json`, so that a copy of a copy is no `parse-json-2-2`. */
const stem = (id: string) => id.replace(/(?<=[^\d-])-\d+$/, "");
