// What the statuses of runs mean, and how long they last.

import { setText } from "../dom.js";
import { duration } from "../format.js";

const TONES = {
  pending: "hold",
  running: "busy",
  completed: "good",
  terminated: "done",
  failed: "bad",
  cancelled: "idle",
};

export const STATUSES = Object.keys(TONES);
export const isActive = (status) => status === "pending" || status === "running";
export const toneOf = (status) => TONES[status] ?? "unknown";
export const shortId = (id) => id.slice(0, 10);

/** Show a status in a badge; one that is not known to hold is never shown as if it did. */
export function paintStatus(node, status, live = true) {
  node.dataset.tone = live ? toneOf(status) : "unknown";
  setText(node, live ? status : `was ${status}`);
}

/** Seconds as people say them: `12.3 s`, `4 min 05 s`, `2 h 10 min`. */
export function span(seconds) {
  if (seconds < 60) return duration(Math.max(0, seconds));
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours) return `${hours} h ${String(minutes).padStart(2, "0")} min`;
  return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
}

/** How long a run has lasted, in seconds; null before it began. */
export function lasted(run, now = Date.now()) {
  if (!run.started_at) return null;
  const end = run.ended_at ? new Date(run.ended_at) : now;
  return Math.max(0, (end - new Date(run.started_at)) / 1000);
}
