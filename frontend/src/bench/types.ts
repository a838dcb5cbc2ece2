// What the bench says, as /dev/... answers it.

import type { Json, JsonObject } from "../document/types";

export type Freshness = "fresh" | "stale" | "missing" | "pinned";
export type Origin = "run" | "pin" | "tap" | "dead_letter" | "queue";

/** An input that a node gets instead of what is before it. */
export interface Given {
  origin: Origin;
  at: number;
  bytes: number;
  of: JsonObject;
  input?: JsonObject;
}

/** What is remembered of a node, and whether it still holds. */
export interface Standing {
  freshness: Freshness;
  why: string;
  port: string | null;
  origin: Origin | null;
  at: number | null;
  bytes: number | null;
  given: Given | null;
}

export interface Cached extends Standing {
  node_id: string;
  output: JsonObject | null;
}

export interface Used {
  node_id: string | null;
  origin: Origin;
  freshness: Freshness;
  port: string | null;
  at: number;
}

/** A value that a template may name. */
export interface Path {
  path: string;
  type: string;
  sample: string;
}

export interface Input {
  input: JsonObject;
  paths: Path[];
  used: Used[];
}

/** What a run made. */
export interface Ran {
  node_id: string;
  output: JsonObject | null;
  port: string;
  completed: boolean;
  seconds: number;
  values: JsonObject;
  state: Json;
  emitted: { queue: string; data: JsonObject }[];
  effects: Json[];
  log: string;
  used: Used[];
  ran_upstream: string[];
  written: { queues: number; files: string[] };
}

/** Why something could not be done. `node` is that which failed, perhaps one before it. */
export interface Failure {
  code: string;
  message: string;
  details: { path: string; message: string }[];
  node?: { id: string; error_type: string; trace: string; input: JsonObject | null };
  /** The nodes whose outputs are missing. */
  nodes?: string[];
}

export interface Rendered {
  ok: boolean;
  value?: Json;
  type?: string;
  text?: string;
  truncated?: boolean;
  error?: { message: string; line: number | null; column: number | null };
  paths: Path[];
  used: Used[];
}

/** How the last run of a node in this page went; `form` are the settings that it had. */
export type Outcome = { at: number; form?: JsonObject } & ({ ran: Ran; failure?: undefined } | { failure: Failure; ran?: undefined });

export type Upstream = "never" | "missing" | "stale";
