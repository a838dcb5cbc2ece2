// Start, pause, resume, drain, stop, and a stop that is forced.

import { address, request } from "./api.js";
import { ask, el, notify } from "./dom.js";
import { actions } from "./status.js";

const OPERATORS = ["operator", "editor", "admin"];
const mayOperate = OPERATORS.includes(document.body.dataset.role);
const LABELS = {
  start: "Start",
  pause: "Pause",
  resume: "Resume",
  drain: "Drain",
  stop: "Stop",
  force: "Force stop",
};
const STYLES = { start: "primary", resume: "primary", stop: "quiet danger", force: "quiet danger" };
const FORCED = { force: ["stop", { force: true }] };

const asksFirst = {
  stop: (status) =>
    ask(
      `Stop ${status.name}?`,
      "Its loops end after the iteration in hand. Start goes on where it stopped.",
      "Stop",
    ),
  force: (status) =>
    ask(
      `Force ${status.name} to stop?`,
      "The items in hand are given up now, and run again at the next start.",
      "Force stop",
    ),
};

export class ActionButtons {
  /** `changed` gets the new status that the server answered. */
  constructor(changed) {
    this.changed = changed;
    this.buttons = {};
    this.root = el("div", { class: "buttons" });
    for (const [name, label] of Object.entries(mayOperate ? LABELS : {})) {
      const style = STYLES[name] ?? "quiet";
      this.buttons[name] = el("button", { type: "button", class: style, hidden: true, click: () => this._do(name) }, label);
      this.root.append(this.buttons[name]);
    }
  }

  update(status, live) {
    this.status = status;
    const wanted = actions(status);
    const focused = this.root.contains(document.activeElement);
    for (const [name, button] of Object.entries(this.buttons)) {
      button.hidden = !wanted.includes(name);
      button.disabled = !live || this.busy;
      button.setAttribute("aria-label", `${LABELS[name]} ${status.name}`);
    }
    if (focused && !this.busy) this._keepFocus();
  }

  /** The button that had the focus may be gone; the next one is where people go on. */
  _keepFocus() {
    const now = document.activeElement;
    const inside = this.root.contains(now);
    if (inside ? !now.hidden : now !== document.body) return;
    Object.values(this.buttons).find((button) => !button.hidden)?.focus();
  }

  async _do(name) {
    if (asksFirst[name] && !(await asksFirst[name](this.status))) return;
    const { workflow_id, name: title } = this.status;
    this.busy = true;
    this.update(this.status, true);
    try {
      const [path, options] = FORCED[name] ?? [name, {}];
      const status = await request("POST", address("prod", path), { workflow_id, ...options });
      this.busy = false;
      this.changed(status);
      this._keepFocus();
    } catch (error) {
      this.busy = false;
      this.update(this.status, true);
      this._keepFocus();
      notify(`${LABELS[name]} ${title}: ${error.message}`, "bad");
    }
  }
}
