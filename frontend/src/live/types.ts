// What the feed brings, and what is shown of it.

import type { components } from "../api/schema";

export type Status = components["schemas"]["Status"];
export type LoopStatus = components["schemas"]["LoopStatus"];
export type QueueRow = components["schemas"]["QueueRow"];

/** An event of `/ws/workflows/<id>/`; which fields there are depends on its type. */
export interface LiveEvent {
  type: string;
  loop?: string;
  slot?: number;
  nodes?: LoopStatus["nodes"];
  queues?: Record<string, QueueSample>;
}

export interface QueueSample {
  depth: number;
  bytes: number;
  dropped: number;
  in_per_second: number | null;
  out_per_second: number | null;
}

/** What a node did in production since its loop started, summed over the slots of its loops. */
export interface NodeNumbers {
  count: number;
  failed: number;
  perSecond: number;
  lastMs: number;
  executing: boolean;
  lastError: string;
  state: string;
  reason: string;
}

/** A queue or an inbox; `fill` is the greater share of its limits that is used. */
export interface QueueNumbers {
  depth: number;
  bytes: number;
  dropped: number;
  inPerSecond: number | null;
  outPerSecond: number | null;
  maxLength: number | null;
  maxBytes: number | null;
  fill: number | null;
}

export interface Totals {
  iterations: number;
  inFlight: number;
  failures: number;
  perSecond: number;
}
