// One queue in the list.

import { address } from "./api.js";
import { el, setText } from "./dom.js";
import { age, bytes, compact, rate } from "./format.js";
import { fillBar, inHand, nameOf, stateOf, trend } from "./queue_facts.js";
import { cell } from "./rows.js";

export class QueueRow {
  constructor(queue) {
    this.link = el("a", { href: address("queues", queue.workflow_id, queue.name) }, nameOf(queue));
    this.fill = fillBar();
    this.word = el("small", { class: "light" });
    this.trend = el("small", { class: "muted" });
    this.numbers = ["In/s", "Out/s", "Oldest", "In hand", "Size"].map((label) => cell(label, "number"));
    this.root = el(
      "tr",
      { role: "row" },
      el("th", { scope: "row", role: "rowheader", class: "name" }, this.link, el("small", { class: "muted" }, queue.workflow_id)),
      cell("From → to", "ends", ...ends(queue)),
      cell("Fill", "filled", this.fill.root, el("span", { class: "also" }, this.word, this.trend)),
      ...this.numbers,
    );
  }

  update(queue) {
    this.queue = queue;
    const [word, tone] = stateOf(queue);
    this.word.dataset.tone = tone;
    setText(this.word, word);
    setText(this.trend, trend(queue));
    this.fill.paint(queue);
    const { in_per_second: into, out_per_second: out, oldest_age: oldest } = queue;
    const texts = [perSecond(into), perSecond(out), oldest === null ? "–" : age(oldest), compact(inHand(queue)), bytes(queue.bytes)];
    texts.forEach((text, i) => setText(this.numbers[i], text));
    this.root.dataset.empty = queue.depth === 0;
  }

  matches(text, kind) {
    const { workflow_id, name, writers, readers, depth } = this.queue;
    const held = depth > 0 || this.queue.delayed > 0;
    if (kind === "held" && !held) return false;
    if (kind === "" && this.queue.kind === "inbox" && !held) return false;
    if (["queue", "inbox"].includes(kind) && kind !== this.queue.kind) return false;
    const words = [workflow_id, name, nameOf(this.queue), ...writers.map((w) => w.node), ...readers];
    return words.join("\n").toLowerCase().includes(text);
  }

  /** What the row is sorted by. */
  key(column) {
    const { queue } = this;
    const keys = {
      name: `${queue.workflow_id}\n${nameOf(queue)}`.toLowerCase(),
      fill: queue.fill ?? queue.depth / 1e9,
      in: queue.in_per_second ?? 0,
      out: queue.out_per_second ?? 0,
      age: queue.oldest_age ?? 0,
      hand: inHand(queue),
      bytes: queue.bytes,
    };
    return keys[column] ?? keys.name;
  }
}

const perSecond = (number) => (number === null ? "–" : rate(number));

function ends({ writers, readers, kind }) {
  const from = kind === "inbox" ? "replays, retries" : writers.map((w) => `node ${w.node}`).join(", ");
  return [el("span", {}, from || "nobody"), el("span", { class: "arrow" }, " → "), el("span", {}, readers.map((loop) => `loop ${loop}`).join(", ") || "nobody")];
}
