// What is known of a dead letter, in words.

import { address } from "./api.js";
import { el } from "./dom.js";
import { ago, time, words } from "./format.js";

const moment = (value) => el("time", { datetime: value, title: time(value) }, `${time(value)} (${ago(value)})`);
const code = (text) => el("code", {}, text);
const link = (text, ...parts) => el("a", { href: address(...parts) }, text);

const REASONS = {
  max_attempts: "the node raised as often as it may",
  non_retryable: "the node raised what is not tried again",
  timeout: "the node took longer than its timeout",
  worker_lost: "process after process died with it in hand",
  invalid_payload: "a value is no strict JSON, or cannot be read",
  oversize: "a value is too large",
  unknown_node: "its loop has no such node any more",
  queue_full: "the queue was full",
};

/** Return a <div> of term and value for each fact that there is. */
export function facts(letter) {
  const node = new URLSearchParams({ node: letter.node_id });
  const rows = [
    ["Reason", REASONS[letter.reason] ?? words(letter.reason)],
    ["Workflow", link(letter.workflow_id, "studio", letter.workflow_id)],
    ["Version", `v${letter.version}, activation ${letter.activation}`],
    ["Loop", letter.loop && `${letter.loop}, slot ${letter.slot}`],
    ["Node", letter.node_id && el("a", { href: `${address("studio", letter.workflow_id)}?${node}` }, `${letter.node_id} (${letter.node_type})`)],
    ["Queue", letter.queue && link(letter.queue, "queues", letter.workflow_id, letter.queue)],
    ["Item", letter.item_id && code(letter.item_id)],
    ["Handed out", letter.deliveries === 1 ? "once" : `${letter.deliveries} times`],
    ["Died", moment(letter.dead_at)],
    ["Born", letter.born_at && moment(letter.born_at)],
    ["Entered at", letter.entry_node && `node ${letter.entry_node}`],
    ["Replay of", letter.origin && link(`dead letter ${letter.origin}, which failed again`, "dead-letters", letter.origin)],
    ["Replayed", letter.replay_count > 0 && (letter.replay_count === 1 ? "once" : `${letter.replay_count} times`)],
    ["Idempotency key", letter.idempotency_key && code(letter.idempotency_key)],
  ];
  return rows.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}

/** Return an <li> for each time that a node raised. */
export function attempts({ attempts: records }) {
  return records.map((record) => {
    const seconds = Number(record.at?.rawJSON ?? record.at);
    const at = seconds ? ` · ${time(seconds * 1000)}` : "";
    const head = [record.error_type, record.message].filter(Boolean).join(": ");
    return el("li", {}, el("span", { class: "says" }, head || JSON.stringify(record)), el("small", { class: "muted" }, `node ${record.node_id ?? "?"}${at}`));
  });
}
