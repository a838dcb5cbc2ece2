// What is known of one step: when, how long, the error, and how it changed the state.

import { address, request } from "../api.js";
import { el } from "../dom.js";
import { count, duration, time, words } from "../format.js";
import { parse } from "../json_exact.js";
import { mayOperate } from "../roles.js";
import { changeList } from "./changes.js";
import { span } from "./words.js";

const KEPT = 200;

export class StepPanel {
  /** `fork` gets the number of a checkpoint. `groups` are the members of nodes, by node. */
  constructor(root, runId, { fork }) {
    this.root = root;
    this.runId = runId;
    this.fork = fork;
    this.known = new Map();
    this.groups = new Map();
  }

  async show(step, begin) {
    this.wanted = step;
    try {
      const row = await this._row(step.position);
      if (this.wanted !== step) return;
      this.root.replaceChildren(...this._parts(step, row, begin));
    } catch (error) {
      if (this.wanted === step) this.root.replaceChildren(el("p", { class: "problem" }, error.message));
    }
  }

  async _row(position) {
    if (!this.known.has(position)) {
      const url = new URL(address("graph", "runs", this.runId, "log"));
      url.search = new URLSearchParams({ after: position - 1, limit: 1 });
      const [row] = (await request("GET", url, undefined, parse)).results;
      if (this.known.size >= KEPT) this.known.delete(this.known.keys().next().value);
      this.known.set(position, row);
    }
    return this.known.get(position);
  }

  _parts(step, row, begin) {
    const { position, number, node } = step;
    return [
      el("h3", {}, `Step ${count(position)}: ${node}`),
      facts([
        ["Began", `${span((step.start - begin) / 1000)} after the start, ${time(row.started_at)}`],
        ["Took", duration(step.seconds)],
        ["Turn", turn(step)],
        ["Left by", row.port && row.port !== "default" ? row.port : null],
        ["Counted as", number === position ? null : `step ${count(number)} of the run, which was resumed`],
      ]),
      ...(row.error ? [el("h4", {}, "Error"), el("pre", { class: "problem", tabindex: "0" }, row.error)] : []),
      ...this._members(step, row),
      el("h4", {}, `Changes of the state`),
      row.changes.length ? changeList(row.changes) : el("p", { class: "muted" }, row.error ? "None: it failed." : "None."),
      ...(mayOperate && !row.error ? [this._forkButton(number)] : []),
    ];
  }

  /** The members of a group: what failed is named in the state. */
  _members(step, row) {
    const members = this.groups.get(step.node);
    if (!members) return [];
    const told = row.changes.find(({ path }) => path === `${step.node}_errors`)?.after ?? {};
    const list = members.map((name) => {
      const error = told[name];
      const about = error ? `${error.type}: ${error.message}` : "";
      return el("li", {}, el("span", { class: "light", "data-tone": error ? "bad" : row.error ? "unknown" : "good" }, name), " ", about);
    });
    return [el("h4", {}, "Members of the group"), el("ul", { class: "members" }, ...list)];
  }

  _forkButton(number) {
    const button = el("button", { type: "button", class: "quiet" }, "Fork after this step");
    const said = el("small", { class: "muted", role: "status" });
    button.addEventListener("click", async () => {
      button.disabled = true;
      const url = new URL(address("graph", "runs", this.runId, "checkpoints"));
      url.search = new URLSearchParams({ steps: number });
      try {
        const found = (await request("GET", url)).results.at(-1);
        if (found) await this.fork(found.number);
        else said.textContent = "No checkpoint was made after this step.";
      } catch (error) {
        said.textContent = error.message;
      }
      button.disabled = false;
    });
    return el("p", { class: "step-actions" }, button, " ", said);
  }
}

function turn({ time: times, round }) {
  const again = round ? `, repeated by itself ${round} times before` : "";
  return times > 1 || round ? `${count(times)} of this node${again}` : null;
}

/** A list of names and values, without those that are null. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "facts small" }, ...known.map(([name, value]) => el("div", {}, el("dt", {}, words(name)), el("dd", {}, value))));
}
