// What is different between two versions of a workflow. Where a node is drawn is told apart from
// what it does: moving one restarts nothing.

import { equal } from "../document/equal";
import { indexOf } from "../document/lookup";
import type { WorkflowDocument, WorkflowEdge, WorkflowNode } from "../document/types";

/** A value that is not there is undefined. */
export interface FieldChange {
  path: string;
  before: unknown;
  after: unknown;
}

export interface Changed<T> {
  before: T;
  after: T;
  fields: FieldChange[];
}

export interface Changes<T> {
  added: T[];
  removed: T[];
  changed: Changed<T>[];
}

export interface Diff {
  nodes: Changes<WorkflowNode>;
  edges: Changes<WorkflowEdge>;
  moved: string[];
  workflow: FieldChange[];
}

type Fields = Record<string, unknown>;

const PARTS = new Set(["nodes", "edges"]);
const PLACE = new Set(["position"]);
const NOTHING: ReadonlySet<string> = new Set();

export function diff(before: WorkflowDocument, after: WorkflowDocument): Diff {
  const [old, now] = [indexOf(before), indexOf(after)];
  const kept = [...now.nodes.values()].filter((node) => old.nodes.has(node.id));
  return {
    nodes: changes(old.nodes, now.nodes, PLACE),
    edges: changes(old.edges, now.edges, NOTHING),
    moved: kept.filter((node) => !equal(node.position, old.nodes.get(node.id)?.position)).map((node) => node.id),
    workflow: fields(before, after, "", PARTS),
  };
}

export function isEmpty({ nodes, edges, moved, workflow }: Diff): boolean {
  return ![...lists(nodes), ...lists(edges), moved, workflow].some((list) => list.length);
}

/** Whether what runs is the same; labels and places do not run, but a label is told all the same. */
export function touched({ nodes }: Diff): Map<string, "added" | "changed"> {
  const found = new Map<string, "added" | "changed">();
  for (const node of nodes.added) found.set(node.id, "added");
  for (const { after } of nodes.changed) found.set(after.id, "changed");
  return found;
}

/** `2 nodes added, 1 node changed`, for people. */
export function summary({ nodes, edges, moved, workflow }: Diff): string {
  const told = [...counted("node", nodes), ...counted("edge", edges)];
  if (workflow.length) told.push("settings of the workflow changed");
  if (moved.length) told.push(`${amount(moved.length, "node")} moved`);
  return told.join(", ") || "no difference";
}

const lists = <T>({ added, removed, changed }: Changes<T>): readonly unknown[][] => [added, removed, changed];

const amount = (number: number, thing: string) => `${number} ${thing}${number === 1 ? "" : "s"}`;

function counted<T>(thing: string, { added, removed, changed }: Changes<T>): string[] {
  const kinds = Object.entries({ added, removed, changed });
  return kinds.filter(([, list]) => list.length).map(([kind, list]) => `${amount(list.length, thing)} ${kind}`);
}

function changes<T extends object>(
  old: ReadonlyMap<string, T>,
  now: ReadonlyMap<string, T>,
  without: ReadonlySet<string>,
): Changes<T> {
  const changed: Changed<T>[] = [];
  for (const [id, after] of now) {
    const before = old.get(id);
    const found = before && before !== after ? fields(before, after, "", without) : [];
    if (before && found.length) changed.push({ before, after, fields: found });
  }
  return {
    added: [...now].filter(([id]) => !old.has(id)).map(([, value]) => value),
    removed: [...old].filter(([id]) => !now.has(id)).map(([, value]) => value),
    changed,
  };
}

/** The fields that differ, as deep as objects and lists of one length go. */
function fields(before: object, after: object, path: string, without: ReadonlySet<string>): FieldChange[] {
  const [old, now] = [before as Fields, after as Fields];
  const names = new Set([...Object.keys(old), ...Object.keys(now)].filter((name) => !without.has(name)));
  return [...names].flatMap((name) => field(old[name], now[name], join(path, name, Array.isArray(after))));
}

function field(before: unknown, after: unknown, path: string): FieldChange[] {
  if (equal(before ?? null, after ?? null)) return [];
  if (isOpen(before) && isOpen(after) && alike(before, after)) return fields(before, after, path, NOTHING);
  return [{ path, before, after }];
}

const join = (path: string, name: string, inList: boolean) => (inList ? `${path}[${name}]` : path ? `${path}.${name}` : name);

const isOpen = (value: unknown): value is object => typeof value === "object" && value !== null;

function alike(a: object, b: object): boolean {
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  return !Array.isArray(a) || a.length === (b as unknown[]).length;
}
