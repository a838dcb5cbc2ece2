// Paths as templates write them, and a value as rows of a tree that are made only when they are seen.

import type { Json } from "../document/types";

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const MAX_KEY = 200;

/** The step to a member, or null for one that no template can name. */
export function stepTo(key: string | number): string | null {
  if (typeof key === "number") return `[${key}]`;
  if (key.length > MAX_KEY || key.startsWith("__")) return null;
  return NAME.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

export const isContainer = (value: Json): value is Json[] | { [key: string]: Json } =>
  value !== null && typeof value === "object";

export const sizeOf = (value: Json): number =>
  Array.isArray(value) ? value.length : isContainer(value) ? Object.keys(value).length : 0;

export type Row =
  | { kind: "value"; id: string; depth: number; name: string; path: string | null; value: Json; open: boolean | null }
  | { kind: "more"; id: string; depth: number; of: string; left: number };

/** How many members of each are shown at once. */
export const CHUNK = 100;

export interface Opened {
  /** Ids of the rows that are open, and how many members of each are shown when that is more than CHUNK. */
  open: ReadonlySet<string>;
  shown: ReadonlyMap<string, number>;
}

/** Return the rows that are seen; nothing inside a closed one is looked at. */
export function rowsOf(value: Json, root: string | null, { open, shown }: Opened): Row[] {
  const rows: Row[] = [];
  const add = (inner: Json, depth: number, id: string, path: string | null) => {
    const members = Array.isArray(inner) ? inner.length : Object.keys(inner as object).length;
    const limit = shown.get(id) ?? CHUNK;
    const keys = Array.isArray(inner) ? [...Array(Math.min(limit, members)).keys()] : Object.keys(inner as object);
    for (const key of keys.slice(0, limit)) {
      const member = (inner as Record<string | number, Json>)[key] as Json;
      const step = stepTo(key);
      const memberPath = path === null || step === null ? null : path + step;
      const memberId = `${id}/${String(key).replaceAll("/", "//")}`;
      const isOpen = isContainer(member) && sizeOf(member) > 0 ? open.has(memberId) : null;
      rows.push({ kind: "value", id: memberId, depth, name: String(key), path: memberPath, value: member, open: isOpen });
      if (isOpen) add(member, depth + 1, memberId, memberPath);
    }
    if (members > limit) rows.push({ kind: "more", id: `${id}/...`, depth, of: id, left: members - limit });
  };
  if (isContainer(value)) add(value, 0, "", root);
  return rows;
}

const FEW = 12;

/** What is open at first: small things near the top. */
export function openedAtFirst(value: Json): Set<string> {
  const open = new Set<string>();
  const look = (inner: Json, id: string, depth: number) => {
    if (!isContainer(inner) || depth > 1) return;
    for (const [key, member] of Object.entries(inner).slice(0, FEW)) {
      const memberId = `${id}/${key.replaceAll("/", "//")}`;
      if (!isContainer(member) || sizeOf(member) > FEW) continue;
      open.add(memberId);
      look(member, memberId, depth + 1);
    }
  };
  look(value, "", 0);
  return open;
}
