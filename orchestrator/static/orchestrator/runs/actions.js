// What may be done with a run: cancel, resume, try again, start another like it, remove.

import { address, request } from "../api.js";
import { ask, el, notify } from "../dom.js";
import { mayEdit, mayOperate } from "../roles.js";
import { isActive } from "./words.js";

const LABELS = { resume: "Resume", restart: "Retry from the start", again: "Run again", cancel: "Cancel", remove: "Delete" };
const STYLES = { resume: "primary", cancel: "quiet danger", remove: "quiet danger" };
const QUESTIONS = {
  cancel: ["Cancel this run?", "The node that executes is ended, and counts as not done. The run can be resumed.", "Cancel the run"],
  restart: ["Retry from the start?", "It begins again with its initial state. The steps so far stay in its log.", "Retry"],
  remove: ["Delete this run?", "Its steps and checkpoints are removed with it.", "Delete"],
};

/** What is offered for a run. */
export function offered({ status, cancel_requested: asked }) {
  const found = [];
  if (mayOperate && isActive(status) && !asked) found.push("cancel");
  if (mayOperate && ["failed", "cancelled"].includes(status)) found.push("resume", "restart");
  if (mayOperate) found.push("again");
  if (mayEdit && !isActive(status)) found.push("remove");
  return found;
}

export class RunActions {
  /** `only` restricts what is offered. `done` gets the name and what the server answered. */
  constructor(root, { only = Object.keys(LABELS), small = false, done }) {
    this.root = root;
    this.small = small;
    this.done = done;
    this.buttons = new Map(only.map((name) => [name, this._button(name)]));
    root.append(...this.buttons.values());
  }

  update(run, live = true) {
    this.run = run;
    const wanted = offered(run);
    const lost = this.root.contains(document.activeElement) && document.activeElement;
    for (const [name, button] of this.buttons) {
      button.hidden = !wanted.includes(name);
      button.disabled = this.busy || !live;
    }
    if (lost?.hidden) [...this.buttons.values()].find((button) => !button.hidden)?.focus();
  }

  /** Say in words which run the buttons are about, where there are several on a page. */
  name(text) {
    for (const [name, button] of this.buttons) button.setAttribute("aria-label", `${LABELS[name]}: ${text}`);
  }

  _button(name) {
    const style = this.small ? "quiet small" : (STYLES[name] ?? "quiet");
    return el("button", { type: "button", class: style, hidden: true, click: () => this._do(name) }, LABELS[name]);
  }

  async _do(name) {
    if (QUESTIONS[name] && !(await ask(...QUESTIONS[name]))) return;
    this.busy = true;
    this.update(this.run);
    try {
      this.done(name, name === "again" ? null : await send(name, this.run.run_id));
    } catch (error) {
      notify(`${LABELS[name]}: ${error.message}`, "bad");
    } finally {
      this.busy = false;
      this.update(this.run);
    }
  }
}

function send(name, id) {
  const at = (...rest) => address("graph", "runs", id, ...rest);
  if (name === "remove") return request("DELETE", at());
  if (name === "restart") return request("POST", at("retry"), { from: "start" });
  return request("POST", at(name));
}
