// The state of a run: the newest, or that with which it began.

import { address, request } from "../api.js";
import { el, setText } from "../dom.js";
import { parse } from "../json_exact.js";
import { jsonTree } from "../json_tree.js";
import { download } from "../json_view.js";

const AT_MOST_EVERY = 1000;

export class StatePanel {
  constructor(root, runId) {
    this.root = root;
    this.runId = runId;
    this.which = "state";
    this.visible = false;
    this.select = el("select", { "aria-label": "Which state", change: () => this._choose() }, el("option", { value: "state" }, "Newest state"), el("option", { value: "initial_state" }, "Initial state"));
    this.save = el("button", { type: "button", class: "quiet", click: () => this._save() }, "Save as a file");
    this.place = el("div", {});
    this.said = el("small", { class: "muted" });
    root.append(el("p", { class: "panel-head" }, this.select, this.save), this.said, this.place);
  }

  /** Show what there is now, and what is new while it is visible. */
  open() {
    this.visible = true;
    this._load();
  }

  /** The state may be another one by now; ask for it when somebody looks. */
  changed() {
    if (!this.visible || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this._load();
    }, AT_MOST_EVERY);
  }

  async _load() {
    try {
      this.run = await request("GET", address("graph", "runs", this.runId), undefined, parse);
      setText(this.said, "");
      this._paint();
    } catch (error) {
      setText(this.said, error.message);
    }
  }

  _choose() {
    this.which = this.select.value;
    if (this.run) this._paint();
  }

  _save() {
    if (this.run) download(JSON.stringify(this.run[this.which], null, 2), `${this.runId}-${this.which}.json`);
  }

  /** What somebody has unfolded stays so while the state is the same. */
  _paint() {
    const value = this.run[this.which];
    const text = JSON.stringify(value);
    if (this.text === text) return;
    const open = unfolded(this.place);
    this.text = text;
    this.place.replaceChildren(jsonTree(value, { open: 1 }));
    unfold(this.place, open);
  }
}

const pathOf = (details) => {
  const names = [];
  for (let at = details; at; at = at.parentElement.closest("details")) names.unshift(at.querySelector(":scope > summary > .key")?.textContent ?? "");
  return JSON.stringify(names);
};

function unfolded(place) {
  return new Set([...place.querySelectorAll("details[open]")].map(pathOf));
}

/** Open again what was open; what is inside appears as its parent opens. */
function unfold(place, open) {
  for (const details of place.querySelectorAll("details:not([open])")) {
    if (!open.has(pathOf(details))) continue;
    details.open = true;
    details.dispatchEvent(new Event("toggle"));
    unfold(details, open);
  }
}
