// What the status of a workflow means. The server finds the one word; events only carry numbers.

import { el, setText } from "./dom.js";
import { words } from "./format.js";

const TONES = {
  running: "good",
  completed: "done",
  failed: "bad",
  degraded: "warn",
  blocked: "warn",
  starting: "busy",
  stopping: "busy",
  draining: "busy",
  pending: "busy",
  paused: "hold",
  stopped: "idle",
};
const URGENCY = ["failed", "degraded", "blocked", "starting", "stopping", "running", "paused", "stopped", "completed"];

export const tone = (state) => TONES[state] ?? "unknown";
export const urgency = (state) => (URGENCY.indexOf(state) + URGENCY.length + 1) % (URGENCY.length + 1);

/** Whether a status is one that somebody should look at. */
export const needsAttention = ({ status, reason }) =>
  ["failed", "degraded", "blocked"].includes(status) || reason.startsWith("waiting_for_runner");

const sum = (loops, name) => loops.reduce((total, loop) => total + loop[name], 0);

export function totals({ loops }) {
  return {
    iterations: sum(loops, "iterations"),
    inFlight: sum(loops, "in_flight"),
    failures: sum(loops, "failures"),
  };
}

/** What an operator may ask for, the likeliest first. */
export function actions({ status, desired }) {
  if (status === "stopping") return desired === "killed" ? [] : ["force"];
  if (["completed", "stopped"].includes(status)) return ["start"];
  if (status === "failed") return ["start", "stop"];
  if (desired === "draining") return ["stop"];
  return desired === "paused" ? ["resume", "stop"] : ["pause", "drain", "stop"];
}

/** Bring a status up to date; false when only the whole state will do. */
export function apply(status, event) {
  const loop = status.loops.find((l) => l.loop === event.loop && l.slot === event.slot);
  if (event.type === "node_stats" && loop) {
    const { iterations, failures, in_flight, nodes } = event;
    Object.assign(loop, { iterations, failures, in_flight, nodes });
    return true;
  }
  if (event.type === "queue_stats") return true; // no status tells of queues
  // Whatever changes the word of a loop may change the word of the workflow.
  return event.type.startsWith("node_") && Boolean(loop);
}

/** Keep the last counters that are known: while Redis is away a status comes without them. */
export function keepCounters(before, after) {
  if (before?.activation !== after.activation) return;
  for (const loop of after.loops) {
    const known = before.loops.find((l) => l.loop === loop.loop && l.slot === loop.slot);
    if (!known || loop.iterations || Object.keys(loop.nodes ?? {}).length) continue;
    const { iterations, failures, in_flight, nodes } = known;
    Object.assign(loop, { iterations, failures, in_flight, nodes });
  }
}

/** Make a badge; `paint` shows a state in it. */
export const badge = () => el("span", { class: "badge" });

/** A state that is not known to hold is never shown as if it did. */
export function paint(node, state, live = true) {
  const shown = live ? tone(state) : "unknown";
  if (node.dataset.tone !== shown) node.dataset.tone = shown;
  setText(node, live ? words(state) : `was ${words(state)}`);
}
