// What an operator asks of production.

import { ask, notify } from "@shared/dom.js";
import { actions } from "@shared/status.js";

import { ApiError, address, request } from "../api/client";
import { useDocument } from "../document/store";
import { denied } from "./rights";
import { takeStatus } from "./store";
import type { LoopStatus, Status } from "./types";

export type Action = "start" | "pause" | "resume" | "drain" | "stop" | "force";

export const LABELS: Record<Action, string> = {
  start: "Start",
  pause: "Pause",
  resume: "Resume",
  drain: "Drain",
  stop: "Stop",
  force: "Force stop",
};
const HINTS: Record<Action, string> = {
  start: "Start, or go on where it stopped",
  pause: "Hold every loop after the item in hand",
  resume: "Go on",
  drain: "End the producers, and the rest when its queues are empty",
  stop: "End after the items in hand",
  force: "Give up the items in hand and end at once",
};
const ENDED = ["stopped", "completed", "failed"];

export const hint = (action: Action) => HINTS[action];

/** Start a version, or the newest, of the workflow or one loop of it. */
export async function start(options: { version?: number; from?: "beginning"; loop?: string } = {}): Promise<void> {
  await ordered("start", options);
}

/** Do what a button says; what matters is asked about. False when it was not done. */
export async function act(action: Action, title: string, loop?: string): Promise<boolean> {
  if (!(await agreed(action, title))) return false;
  try {
    const [path, options] = action === "force" ? ["stop", { force: true }] : [action, {}];
    await ordered(path as string, { ...(options as object), ...(loop === undefined ? {} : { loop }) });
    return true;
  } catch (error) {
    tell(error, `${LABELS[action]} ${title}`);
    return false;
  }
}

/** Say why something was not done. */
export function tell(error: unknown, what: string): void {
  if (!(error instanceof ApiError)) throw error;
  if (!denied(error)) notify(`${what}: ${error.message}`, "bad");
}

/** What may be asked of one loop; its workflow has the last word. */
export function loopActions({ state, desired }: LoopStatus, { desired: of }: Status): Action[] {
  if (of !== "running" && of !== "paused") return [];
  if (desired === "stopped" || desired === "killed") {
    return ENDED.includes(state) ? ["start"] : desired === "killed" ? [] : ["force"];
  }
  if (state === "completed" || state === "stopped") return [];
  return actions({ status: state, desired }) as Action[];
}

async function ordered(path: string, options: object): Promise<void> {
  const { workflowId } = useDocument.getState();
  takeStatus((await request("POST", address("prod", path), { workflow_id: workflowId, ...options })) as Status);
}

async function agreed(action: Action, title: string): Promise<boolean> {
  if (action === "stop") {
    return ask(`Stop ${title}?`, "It ends after the items in hand. Start goes on where it stopped.", "Stop");
  }
  if (action === "force") {
    const text = "The items in hand are given up now, and run again at the next start.";
    return ask(`Force ${title} to stop?`, text, "Force stop");
  }
  return true;
}
