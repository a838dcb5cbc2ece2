// Two people have changed one version: put both their changes into one workflow.

import { equal } from "../document/equal";
import { indexOf } from "../document/lookup";
import type { WorkflowDocument, WorkflowEdge } from "../document/types";

export interface Merged {
  document: WorkflowDocument;
  /** Where both changed the same; mine was taken there. */
  clashes: string[];
}

type Fields = Record<string, unknown>;

/** Merge what `mine` and `theirs` each made of `base`. Where nodes are drawn is no clash. */
export function merge(base: WorkflowDocument, mine: WorkflowDocument, theirs: WorkflowDocument): Merged {
  const clashes: string[] = [];
  const head = objects(without(base), without(mine), without(theirs), "", clashes);
  const [b, m, t] = [indexOf(base), indexOf(mine), indexOf(theirs)];
  const nodes = all(b.nodes, m.nodes, t.nodes, "node", clashes);
  const there = new Set(nodes.map((node) => node.id));
  const edges = all(b.edges, m.edges, t.edges, "edge", clashes);
  const whole = edges.filter((edge) => there.has(edge.source) && there.has(edge.target));
  for (const edge of edges.filter((edge) => !whole.includes(edge))) clashes.push(`edge ${named(edge)}: its node is gone`);
  return { document: { ...head, nodes, edges: whole } as WorkflowDocument, clashes };
}

const named = (edge: WorkflowEdge) => `${edge.source} → ${edge.target}`;

function without({ nodes: _nodes, edges: _edges, ...rest }: WorkflowDocument): Fields {
  return rest;
}

function all<T extends { id: string }>(
  base: ReadonlyMap<string, T>,
  mine: ReadonlyMap<string, T>,
  theirs: ReadonlyMap<string, T>,
  kind: string,
  clashes: string[],
): T[] {
  const ids = new Set([...mine.keys(), ...theirs.keys()]);
  const merged = [...ids].map((id) => value(base.get(id), mine.get(id), theirs.get(id), `${kind} ${id}`, clashes));
  return merged.filter((part) => part !== undefined) as T[];
}

function value(base: unknown, mine: unknown, theirs: unknown, path: string, clashes: string[]): unknown {
  if (equal(mine, theirs) || equal(base, theirs)) return mine;
  if (equal(base, mine)) return theirs;
  if (isFields(mine) && isFields(theirs)) return objects(isFields(base) ? base : {}, mine, theirs, path, clashes);
  if (!path.endsWith("position.x") && !path.endsWith("position.y")) clashes.push(path);
  // What one of them removed and the other changed stays: nobody's work is lost.
  return mine === undefined ? theirs : mine;
}

function objects(base: Fields, mine: Fields, theirs: Fields, path: string, clashes: string[]): Fields {
  const merged: Fields = {};
  for (const name of new Set([...Object.keys(mine), ...Object.keys(theirs)])) {
    const found = value(base[name], mine[name], theirs[name], path ? `${path}.${name}` : name, clashes);
    if (found !== undefined) merged[name] = found;
  }
  return merged;
}

const isFields = (given: unknown): given is Fields => typeof given === "object" && given !== null && !Array.isArray(given);
