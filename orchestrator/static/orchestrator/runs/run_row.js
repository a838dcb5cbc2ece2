// One run in the table.

import { address } from "../api.js";
import { el, setText } from "../dom.js";
import { ago, count, time, words } from "../format.js";
import { RunActions } from "./actions.js";
import { isActive, lasted, paintStatus, shortId, span } from "./words.js";

export class RunRow {
  /** `done` is called when something was done with the run. */
  constructor(run, done) {
    this.badge = el("span", { class: "badge" });
    this.link = el("a", { href: address("runs", run.run_id) });
    this.id = el("small", { class: "muted mono", title: run.run_id }, shortId(run.run_id));
    this.note = el("small", { class: "muted" });
    this.steps = cell("Steps", "number");
    this.made = cell("Created", "made");
    this.bar = el("i", {});
    this.time = el("span", {});
    this.said = el("span", {});
    this.buttons = el("div", { class: "buttons" });
    this.actions = new RunActions(this.buttons, { only: ["resume", "cancel"], small: true, done });
    this.actions.name(`run ${shortId(run.run_id)}`);
    this.root = el(
      "tr",
      { role: "row" },
      cell("Status", "status", this.badge),
      el("th", { scope: "row", role: "rowheader", class: "name" }, this.link, el("span", { class: "ids" }, this.id, this.note)),
      this.steps,
      this.made,
      cell("Duration", "duration", el("span", { class: "run-bar", "aria-hidden": "true" }, this.bar), this.time),
      cell("Message", "said", this.said),
      cell("Actions", "actions", this.buttons),
    );
  }

  update(run, live) {
    this.run = run;
    paintStatus(this.badge, run.status, live || !isActive(run.status));
    setText(this.link, run.graph_name);
    const notes = [run.attempt > 1 && `attempt ${run.attempt}`, run.parent && `fork of ${shortId(run.parent.run)}`];
    setText(this.note, notes.filter(Boolean).join(", "));
    setText(this.steps, count(run.steps));
    this.made.title = time(run.created_at);
    setText(this.made, ago(run.created_at));
    const said = run.error ? `${run.error.error_type || words(run.error.code)}: ${run.error.message}` : run.message;
    setText(this.said, said.slice(0, 300));
    this.said.classList.toggle("problem", Boolean(run.error));
    this.said.title = said;
    this.actions.update(run, live);
    this.bar.dataset.tone = this.badge.dataset.tone;
  }

  /** Show how long it lasted, beside the longest that is shown. */
  tick(longest) {
    const seconds = lasted(this.run);
    setText(this.time, seconds === null ? "–" : span(seconds));
    this.bar.style.width = seconds && longest ? `${Math.max(2, (seconds / longest) * 100)}%` : "0";
    setText(this.made, ago(this.run.created_at));
  }
}

function cell(label, style, ...children) {
  return el("td", { role: "cell", "data-label": label, class: style }, ...children);
}
