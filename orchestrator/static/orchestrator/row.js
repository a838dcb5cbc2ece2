// One workflow in the dashboard's table.

import { ActionButtons } from "./actions.js";
import { address } from "./api.js";
import { el, setText } from "./dom.js";
import { compact, count, rate, words } from "./format.js";
import { RateMeter, sparkline } from "./rates.js";
import { badge, keepCounters, paint, totals, urgency } from "./status.js";

export class Row {
  constructor(changed) {
    this.meter = new RateMeter();
    this.spark = sparkline();
    this.live = true;
    this.link = el("a", {});
    this.id = el("small", { class: "muted" });
    this.badge = badge();
    this.reason = el("small", { class: "reason" });
    this.rate = el("span", { class: "rate" });
    this.iterations = cell("Iterations", "number");
    this.inFlight = cell("In flight", "number");
    this.failures = cell("Failures", "number");
    this.version = el("span", {});
    this.activation = el("small", {});
    this.buttons = new ActionButtons(changed);
    this.root = el(
      "tr",
      { role: "row" },
      el("th", { scope: "row", role: "rowheader", class: "name" }, this.link, this.id),
      cell("State", "state", this.badge, this.reason),
      cell("Iterations/s", "speed", this.spark.root, this.rate),
      this.iterations,
      this.inFlight,
      this.failures,
      cell("Version", "version", this.version, this.activation),
      cell("Actions", "actions", this.buttons.root),
    );
  }

  update(status, live) {
    const restarted = this.status && this.status.activation !== status.activation;
    keepCounters(this.status, status);
    this.status = status;
    this.live = live;
    if (restarted) this.meter.interrupt();
    setText(this.link, status.name);
    this.link.href = address("studio", status.workflow_id);
    setText(this.id, status.workflow_id === status.name ? "" : status.workflow_id);
    const { version, activation } = status;
    setText(this.version, version === null ? "never started" : `v${version}`);
    setText(this.activation, activation ? `activation ${activation}` : "");
    this.paintState();
    this.paintNumbers();
  }

  connection(live) {
    this.live = live;
    this.meter.interrupt();
    if (!this.status) return;
    this.paintState();
    this.paintNumbers();
  }

  sample() {
    this.meter.sample(totals(this.status).iterations);
    this.spark.draw(this.meter.history);
    this.paintNumbers();
  }

  paintState() {
    paint(this.badge, this.status.status, this.live);
    setText(this.reason, this.live ? words(this.status.reason) : "");
    this.root.dataset.live = this.live;
    this.buttons.update(this.status, this.live);
  }

  paintNumbers() {
    const { iterations, inFlight, failures } = totals(this.status);
    setText(this.rate, this.live ? rate(this.meter.perSecond) : "–");
    setText(this.iterations, compact(iterations));
    this.iterations.title = count(iterations);
    setText(this.inFlight, compact(inFlight));
    setText(this.failures, compact(failures));
    this.failures.classList.toggle("bad", failures > 0);
  }

  matches(text) {
    const { name, workflow_id, status, reason } = this.status;
    return [name, workflow_id, words(status), words(reason)].join("\n").toLowerCase().includes(text);
  }

  /** What the row is sorted by. */
  key(column) {
    if (column === "state") return urgency(this.status.status);
    if (column === "rate") return this.meter.perSecond;
    return totals(this.status)[column] ?? this.status.name.toLowerCase();
  }
}

function cell(label, style, ...children) {
  return el("td", { role: "cell", "data-label": label, class: style }, ...children);
}
