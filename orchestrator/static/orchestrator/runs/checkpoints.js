// The checkpoints of a run; a new run can be forked from each.

import { address, request } from "../api.js";
import { el } from "../dom.js";
import { ago, bytes, count, time } from "../format.js";
import { mayOperate } from "../roles.js";

const HEADS = ["Checkpoint", "After step", "Size", "Made"];

export class Checkpoints {
  /** `fork` gets the number of a checkpoint. */
  constructor(root, runId, { fork }) {
    this.root = root;
    this.runId = runId;
    this.fork = fork;
    this.after = 0;
  }

  /** Load those that are not shown yet. */
  async load() {
    if (this.loading) return;
    this.loading = true;
    const url = new URL(address("graph", "runs", this.runId, "checkpoints"));
    url.search = new URLSearchParams({ after: this.after, limit: 100 });
    try {
      this._show(await request("GET", url));
    } catch (error) {
      this.root.replaceChildren(el("p", { class: "problem" }, error.message));
    } finally {
      this.loading = false;
    }
  }

  _show({ results, next }) {
    if (!this.after && !results.length) {
      this.root.replaceChildren(el("p", { class: "muted" }, "There is none yet."));
      return;
    }
    if (!this.after) this._table();
    this.body.append(...results.map((row) => this._row(row)));
    this.after = results.at(-1)?.number ?? this.after;
    this.more.hidden = next === null;
  }

  _table() {
    this.body = el("tbody", {});
    const heads = HEADS.map((text, i) => el("th", { scope: "col", class: i < 3 ? "number" : null }, text));
    const last = el("th", { scope: "col" }, el("span", { class: "hidden" }, "Actions"));
    const table = el("table", { class: "plain small" }, el("thead", {}, el("tr", {}, ...heads, last)), this.body);
    this.more = el("button", { type: "button", class: "quiet", click: () => this.load() }, "More");
    const about = "A run that is resumed goes on from the newest. A fork is a new run that begins at one.";
    this.root.replaceChildren(
      el("p", { class: "muted" }, about),
      el("div", { class: "scroll", role: "region", "aria-label": "Checkpoints", tabindex: "0" }, table),
      el("p", {}, this.more),
    );
  }

  _row({ number, steps, bytes: size, attempt, created_at }) {
    const fork = el("button", { type: "button", class: "quiet small", "aria-label": `Fork from checkpoint ${number}`, click: () => this.fork(number) }, "Fork");
    return el(
      "tr",
      {},
      ...[count(number), count(steps), bytes(size)].map((text) => el("td", { class: "number" }, text)),
      el("td", { title: `${time(created_at)}, attempt ${attempt}` }, ago(created_at)),
      el("td", {}, mayOperate ? fork : ""),
    );
  }
}
