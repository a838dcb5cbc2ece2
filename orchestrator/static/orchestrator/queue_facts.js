// What the numbers of a queue mean.

import { el, setText } from "./dom.js";
import { age, compact, count } from "./format.js";

const FULL = 1;
const NEARLY = 0.8;
const A_DAY = 86_400;

export const inHand = (queue) => Object.values(queue.in_hand).reduce((a, b) => a + b, 0);

/** What a purge would remove. */
export const waiting = (queue) => Math.max(0, queue.depth - inHand(queue));

export const nameOf = (queue) => (queue.kind === "inbox" ? `Inbox of loop ${queue.readers[0] ?? queue.name}` : queue.name);

/** The word for a queue, and its tone. */
export function stateOf({ depth, fill }) {
  if (fill !== null && fill >= FULL) return ["full", "bad"];
  if (fill !== null && fill >= NEARLY) return ["nearly full", "warn"];
  return depth ? ["holds items", "good"] : ["empty", "idle"];
}

/** When it will be full or empty if everything goes on as it does. */
export function trend({ depth, max_length, in_per_second, out_per_second }) {
  if (in_per_second === null || out_per_second === null) return "";
  const net = in_per_second - out_per_second;
  const space = max_length === null ? null : max_length - depth;
  if (net > 0 && space > 0 && space / net < A_DAY) return `full in about ${age(space / net)}`;
  if (net < 0 && depth > 0 && depth / -net < A_DAY) return `empty in about ${age(depth / -net)}`;
  return "";
}

/** Bring a queue up to date with what runners have sampled. */
export function sampled(queue, { depth, bytes, dropped, in_per_second, out_per_second }) {
  const shares = [[depth, queue.max_length], [bytes, queue.max_bytes]].filter(([, limit]) => limit);
  const fill = shares.length ? Math.max(...shares.map(([held, limit]) => held / limit)) : null;
  const oldest_age = depth ? queue.oldest_age : null;
  return { ...queue, depth, bytes, dropped, in_per_second, out_per_second, fill, oldest_age };
}

/** A bar of how full a queue is; the text beside it says the same. */
export function fillBar() {
  const bar = el("span", { class: "bar" });
  const text = el("span", { class: "of" });
  return {
    root: el("span", { class: "fill" }, el("span", { class: "track", "aria-hidden": "true" }, bar), text),
    paint(queue) {
      const { depth, max_length, fill } = queue;
      bar.style.width = `${Math.min(100, (fill ?? 0) * 100)}%`;
      bar.dataset.tone = stateOf(queue)[1];
      setText(text, max_length === null ? compact(depth) : `${compact(depth)} of ${compact(max_length)}`);
      text.title = fill === null ? count(depth) : `${count(depth)} entries, ${(fill * 100).toFixed(1)} % of its limits`;
    },
  };
}
