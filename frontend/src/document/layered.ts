// A layout for very many nodes, in linear time: columns by the longest way from a source, and in a
// column the order of what leads there.

import type { Point, WorkflowEdge, WorkflowNode } from "./types";

interface Size {
  width: number;
  height(id: string): number;
  columnGap: number;
  rowGap: number;
}

/** Return places whose top left corner is the origin. */
export function layered(
  nodes: readonly WorkflowNode[],
  edges: readonly WorkflowEdge[],
  size: Size,
): Map<string, Point> {
  const columns = byColumn(nodes, edges);
  const sources = grouped(edges);
  const places = new Map<string, Point>();
  columns.forEach((ids, column) => {
    const wanted = new Map(ids.map((id) => [id, mean(sources.get(id) ?? [], places)]));
    const order = [...ids].sort((a, b) => wanted.get(a)! - wanted.get(b)!);
    let free = -Infinity;
    for (const id of order) {
      const y = Math.max(free, Number.isFinite(wanted.get(id)!) ? wanted.get(id)! : 0);
      places.set(id, { x: column * (size.width + size.columnGap), y });
      free = y + size.height(id) + size.rowGap;
    }
  });
  return places;
}

/** The mean height of the nodes before; those without one come last. */
function mean(sources: readonly string[], places: ReadonlyMap<string, Point>): number {
  const known = sources.flatMap((id) => places.get(id)?.y ?? []);
  return known.length ? known.reduce((a, b) => a + b) / known.length : Infinity;
}

function grouped(edges: readonly WorkflowEdge[]): Map<string, string[]> {
  const sources = new Map<string, string[]>();
  for (const { source, target } of edges) sources.set(target, [...(sources.get(target) ?? []), source]);
  return sources;
}

/** Kahn's order; where only cycles are left, the first node that is left begins. */
function byColumn(nodes: readonly WorkflowNode[], edges: readonly WorkflowEdge[]): string[][] {
  const targets = new Map<string, string[]>(nodes.map(({ id }) => [id, []]));
  const waiting = new Map(nodes.map(({ id }) => [id, 0]));
  for (const { source, target } of edges) {
    if (source === target) continue;
    targets.get(source)!.push(target);
    waiting.set(target, waiting.get(target)! + 1);
  }
  const column = new Map<string, number>();
  const settle = (ready: string[]) => {
    for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
      const at = column.get(id) ?? 0;
      column.set(id, at);
      waiting.delete(id);
      for (const target of targets.get(id)!) {
        const left = waiting.get(target);
        if (left === undefined) continue;
        column.set(target, Math.max(column.get(target) ?? 0, at + 1));
        waiting.set(target, left - 1);
        if (left === 1) ready.push(target);
      }
    }
  };
  settle(nodes.filter(({ id }) => !waiting.get(id)).map(({ id }) => id));
  for (const { id } of nodes) if (waiting.has(id)) settle([id]);
  const columns: string[][] = [];
  for (const { id } of nodes) (columns[column.get(id) ?? 0] ??= []).push(id);
  return [...columns].map((ids) => ids ?? []);
}
