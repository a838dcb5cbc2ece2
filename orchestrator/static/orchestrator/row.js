// One workflow in the dashboard's table.

import { ActionButtons } from "./actions.js";
import { address } from "./api.js";
import { el, setText, show } from "./dom.js";
import { compact, count, plural, rate, words } from "./format.js";
import { sparkline } from "./rates.js";
import { cell } from "./rows.js";
import { badge, keepCounters, needsAttention, paint, totals, urgency } from "./status.js";

export const KEPT = 90; // rates, as many as the server keeps

export class Row {
  constructor(changed) {
    this.rates = [];
    this.extra = { queued: 0, dead_letters: 0 };
    this.spark = sparkline(KEPT);
    this.live = true;
    this.link = el("a", {});
    this.id = el("small", { class: "muted" });
    this.badge = badge();
    this.reason = el("small", { class: "reason" });
    this.rate = el("span", { class: "rate" });
    this.queued = el("a", {});
    this.iterations = cell("Iterations", "number");
    this.failed = el("span", {});
    this.dead = el("a", { class: "dead" });
    this.version = el("span", {});
    this.activation = el("small", {});
    this.buttons = new ActionButtons(changed);
    this.root = el(
      "tr",
      { role: "row" },
      el("th", { scope: "row", role: "rowheader", class: "name" }, this.link, this.id),
      cell("State", "state", this.badge, this.reason),
      cell("Iterations/s", "speed", el("span", { class: "meter" }, this.spark.root, this.rate)),
      cell("Queued", "number", this.queued),
      this.iterations,
      cell("Failures", "number", this.failed, this.dead),
      cell("Version", "version", this.version, this.activation),
      cell("Actions", "actions", this.buttons.root),
    );
  }

  update(status, live) {
    keepCounters(this.status, status);
    this.status = status;
    this.live = live;
    const { version, activation, workflow_id, name } = status;
    setText(this.link, name);
    this.link.href = address("studio", workflow_id);
    setText(this.id, workflow_id === name ? "" : workflow_id);
    this.queued.href = `${address("queues")}?${new URLSearchParams({ q: workflow_id })}`;
    this.dead.href = `${address("dead-letters")}?${new URLSearchParams({ workflow_id })}`;
    setText(this.version, version === null ? "–" : `v${version}`);
    setText(this.activation, activation ? `activation ${count(activation)}` : "never ran");
    this.paintState();
    this.paintNumbers();
  }

  connection(live) {
    this.live = live;
    if (!this.status) return;
    this.paintState();
    this.paintNumbers();
  }

  /** Take the rates of the last minutes, oldest first. */
  setRates(rates) {
    this.rates = rates;
    this.paintRates();
  }

  addRate(value) {
    this.rates.push(value);
    if (this.rates.length > KEPT) this.rates.shift();
    this.paintRates();
  }

  /** Take how many items wait, and how many dead letters there are; null is not known. */
  setExtra(extra) {
    this.extra = extra;
    this.paintNumbers();
  }

  paintState() {
    paint(this.badge, this.status.status, this.live);
    setText(this.reason, this.live ? words(this.status.reason) : "");
    this.root.dataset.live = this.live;
    this.buttons.update(this.status, this.live);
  }

  paintRates() {
    this.spark.draw(this.rates);
    setText(this.rate, this.live ? rate(this.perSecond) : "–");
  }

  paintNumbers() {
    const { iterations, failures } = totals(this.status);
    const { queued, dead_letters: dead } = this.extra;
    setText(this.iterations, compact(iterations));
    this.iterations.title = count(iterations);
    setText(this.queued, queued === null ? "–" : compact(queued));
    this.queued.setAttribute("aria-label", queued === null ? "not known" : `${count(queued)} queued`);
    setText(this.failed, compact(failures));
    this.failed.classList.toggle("bad", failures > 0);
    setText(this.dead, dead ? plural(dead, "dead letter") : "");
    show(this.dead, Boolean(dead));
    setText(this.rate, this.live ? rate(this.perSecond) : "–");
  }

  get perSecond() {
    return this.rates.at(-1) ?? 0;
  }

  /** Whether somebody should look at it. */
  get attention() {
    return needsAttention(this.status) || this.extra.dead_letters > 0;
  }

  get ended() {
    return ["stopped", "completed"].includes(this.status.status);
  }

  matches(text) {
    const { name, workflow_id, status, reason } = this.status;
    return [name, workflow_id, words(status), words(reason)].join("\n").toLowerCase().includes(text);
  }

  /** What the row is sorted by. */
  key(column) {
    if (column === "state") return urgency(this.status.status);
    if (column === "rate") return this.perSecond;
    if (column === "queued") return this.extra.queued ?? -1;
    if (column === "failures") return totals(this.status).failures + (this.extra.dead_letters ?? 0);
    return totals(this.status)[column] ?? this.status.name.toLowerCase();
  }
}
