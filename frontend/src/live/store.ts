// What is known of production: the parts that change seldom. Counters are in the model.

import { create } from "zustand";

import type { WorkflowDocument } from "../document/types";
import { LiveModel } from "./model";
import type { Status } from "./types";

/** `off`: there is nothing to watch yet; `ended`: it will not be tried again. */
export type Connection = "off" | "connecting" | "live" | "lost" | "ended";

export interface Running {
  number: number;
  definition: WorkflowDocument;
}

export interface LiveState {
  connection: Connection;
  status: Status | null;
  /** The version that production has started last, with what it says. */
  running: Running | null;
  /** The queue that a node writes, by the node's id. */
  queueOf: Readonly<Record<string, string>>;
}

export const model = new LiveModel();

export const useLive = create<LiveState>(() => ({ connection: "off", status: null, running: null, queueOf: {} }));

export const isLive = (): boolean => useLive.getState().connection === "live";

/** Take a status, from the feed or as the answer to what was asked for. */
export function takeStatus(status: Status): void {
  model.takeStatus(status);
  useLive.setState({ status });
}
