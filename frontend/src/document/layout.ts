// Where nodes go: from left to right along the edges. Parts that are not connected are laid out
// each for itself, one below the other, which is also much faster than all at once.

import dagre from "@dagrejs/dagre";

import { layered } from "./layered";
import { CARD_WIDTH, COLUMN_GAP, cardHeight } from "./size";
import { portOf, type Point, type WorkflowDocument, type WorkflowEdge, type WorkflowNode } from "./types";

const GRID = 20;
const ROW_GAP = 40;
const PART_GAP = 80;
const MANY = 200; // beyond, dagre takes seconds

export const snap = (value: number): number => Math.round(value / GRID) * GRID;

/** Return a place for every node; those of `only`, when given, keep where their group is. */
export function layout(document: WorkflowDocument, only?: ReadonlySet<string>): Map<string, Point> {
  const nodes = only ? document.nodes.filter((node) => only.has(node.id)) : document.nodes;
  const kept = new Set(nodes.map((node) => node.id));
  const edges = document.edges.filter((edge) => kept.has(edge.source) && kept.has(edge.target));
  const places = new Map<string, Point>();
  let top = 0;
  for (const part of parts(nodes, edges)) {
    const height = placePart(part, top, places);
    top += height + PART_GAP;
  }
  return only ? anchored(places, nodes) : places;
}

/** The document with a place for every node that has none. */
export function placed(document: WorkflowDocument): WorkflowDocument {
  if (document.nodes.every(hasPlace)) return document;
  const places = layout(document);
  const nodes = document.nodes.map((node) => ({ ...node, position: places.get(node.id)! }));
  return { ...document, nodes };
}

function hasPlace({ position }: WorkflowNode): boolean {
  return Number.isFinite(position?.x) && Number.isFinite(position?.y);
}

interface Part {
  nodes: WorkflowNode[];
  edges: WorkflowEdge[];
}

function parts(nodes: readonly WorkflowNode[], edges: readonly WorkflowEdge[]): Part[] {
  const leader = new Map(nodes.map((node) => [node.id, node.id]));
  const find = (id: string): string => {
    let root = id;
    while (leader.get(root) !== root) root = leader.get(root)!;
    while (leader.get(id) !== root) {
      const next = leader.get(id)!;
      leader.set(id, root);
      id = next;
    }
    return root;
  };
  for (const edge of edges) leader.set(find(edge.source), find(edge.target));
  const found = new Map<string, Part>();
  for (const node of nodes) {
    const root = find(node.id);
    const part = found.get(root) ?? { nodes: [], edges: [] };
    part.nodes.push(node);
    found.set(root, part);
  }
  for (const edge of edges) found.get(find(edge.source))!.edges.push(edge);
  return [...found.values()];
}

/** Place one part below `top` and return its height. */
function placePart(part: Part, top: number, places: Map<string, Point>): number {
  const ports = outputs(part.edges);
  const heightOf = (id: string) => cardHeight(ports.get(id)?.size ?? 1);
  const found = part.nodes.length > MANY ? quickly(part, heightOf) : nicely(part, heightOf);
  const highest = Math.min(...[...found.values()].map(({ y }) => y));
  let bottom = 0;
  for (const [id, { x, y }] of found) {
    places.set(id, { x: snap(x), y: snap(top + y - highest) });
    bottom = Math.max(bottom, y - highest + heightOf(id));
  }
  return bottom;
}

function quickly({ nodes, edges }: Part, height: (id: string) => number): Map<string, Point> {
  return layered(nodes, edges, { width: CARD_WIDTH, height, columnGap: COLUMN_GAP, rowGap: ROW_GAP });
}

function nicely({ nodes, edges }: Part, height: (id: string) => number): Map<string, Point> {
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", ranksep: COLUMN_GAP, nodesep: ROW_GAP, ranker: "longest-path" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id } of nodes) graph.setNode(id, { width: CARD_WIDTH, height: height(id) });
  for (const edge of edges) {
    if (edge.source !== edge.target) graph.setEdge(edge.source, edge.target, {}, edge.id);
  }
  dagre.layout(graph);
  return new Map(
    nodes.map(({ id }) => {
      const { x, y } = graph.node(id);
      return [id, { x: x - CARD_WIDTH / 2, y: y - height(id) / 2 }];
    }),
  );
}

function outputs(edges: readonly WorkflowEdge[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const edge of edges) {
    const ports = found.get(edge.source) ?? new Set();
    found.set(edge.source, ports.add(portOf(edge.sourceHandle)));
  }
  return found;
}

/** Move the places so that their top left corner is where that of the nodes was. */
function anchored(places: Map<string, Point>, nodes: readonly WorkflowNode[]): Map<string, Point> {
  const before = corner(nodes.map((node) => node.position ?? { x: 0, y: 0 }));
  const after = corner([...places.values()]);
  return new Map(
    [...places].map(([id, { x, y }]) => [id, { x: x - after.x + before.x, y: y - after.y + before.y }]),
  );
}

export function corner(points: readonly Point[]): Point {
  if (!points.length) return { x: 0, y: 0 };
  return { x: Math.min(...points.map(({ x }) => x)), y: Math.min(...points.map(({ y }) => y)) };
}
