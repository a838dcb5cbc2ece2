// Start, pause, resume, drain, stop, and a stop that is forced.

import { address, request } from "./api.js";
import { ask, el, notify } from "./dom.js";
import { icon } from "./icons.js";
import { mayOperate } from "./roles.js";
import { actions } from "./status.js";

const LABELS = {
  start: "Start",
  pause: "Pause",
  resume: "Resume",
  drain: "Drain",
  stop: "Stop",
  force: "Force stop",
};
const HINTS = {
  pause: "Pause: keep what is in hand, take nothing new",
  drain: "Drain: end the producers, work off what is queued",
  stop: "Stop: end after the iteration in hand",
};
const NAMED = ["start", "resume", "force"]; // the others are icons with a label
const STYLES = { stop: "danger", force: "danger" };
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
    this.root = el("div", { class: "buttons" });
    this.buttons = Object.fromEntries((mayOperate ? Object.keys(LABELS) : []).map((name) => [name, this._make(name)]));
    this.root.append(...Object.values(this.buttons));
  }

  _make(name) {
    const named = NAMED.includes(name);
    const style = `quiet act ${STYLES[name] ?? ""} ${named ? "" : "only-icon"}`;
    const look = { type: "button", class: style.trim(), hidden: true, title: HINTS[name], "data-action": name };
    return el("button", { ...look, click: () => this._do(name) }, icon(name), named ? LABELS[name] : "");
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
