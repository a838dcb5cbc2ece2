// Rows of the dead letters page: an error with its letters, and one letter.

import { address } from "./api.js";
import { el, setText, show } from "./dom.js";
import { ago, compact, count, time, words } from "./format.js";
import { discardMany, replayMany } from "./letter_actions.js";
import { mayOperate } from "./roles.js";
import { cell } from "./rows.js";
import { badge } from "./status.js";

const TONES = { dead: "bad", replaying: "busy", replayed: "done", discarded: "idle" };
const MOST = 240;

export function paintStatus(node, status) {
  node.dataset.tone = TONES[status] ?? "unknown";
  setText(node, words(status));
}

export const titleOf = (row) => row.error_type || words(row.reason);

function moment(label) {
  const node = el("time", {});
  const update = (value) => {
    node.dateTime = value;
    node.title = time(value);
    setText(node, ago(value));
  };
  return { root: cell(label, "when", node), update };
}

/** Where something failed; it leads to the node. */
function place(row) {
  const link = el("a", { href: `${address("studio", row.workflow_id)}?${new URLSearchParams({ node: row.node_id })}` }, row.workflow_id);
  const kind = row.node_type ? ` (${row.node_type})` : "";
  return cell("Where", "where", link, el("small", {}, row.node_id ? `node ${row.node_id}${kind}` : `loop ${row.loop}`));
}

function about(row, link) {
  const reason = row.error_type ? [el("span", { class: "chip" }, words(row.reason))] : [];
  const message = el("span", { class: "says" }, row.message.slice(0, MOST) || "no message");
  return el("th", { scope: "row", role: "rowheader", class: "error" }, link, ...reason, message);
}

/** An error. `changed` is called after something was done with its letters. */
export class GroupRow {
  constructor(group, { filter, newest, changed }) {
    this.link = el("a", { class: "error-type" }, titleOf(group));
    this.head = about(group, this.link);
    this.letters = cell("Letters", "number");
    this.last = moment("Last");
    this.first = moment("First");
    this.replay = el("button", { type: "button", class: "quiet", click: () => this._do(replayMany) });
    this.discard = el("button", { type: "button", class: "quiet danger", click: () => this._do(discardMany) }, "Discard");
    const buttons = el("span", { class: "buttons" }, this.replay, this.discard);
    this.root = el("tr", { role: "row" }, this.head, place(group), this.letters, this.last.root, this.first.root, cell("", "actions", buttons));
    this.filter = filter;
    this.newest = newest;
    this.changed = changed;
  }

  update(group) {
    this.group = group;
    const filter = this.filter();
    this.link.href = filter.with({ fingerprint: group.fingerprint }).search;
    setText(this.head.lastElementChild, group.message.slice(0, MOST) || "no message");
    setText(this.letters, compact(group.count));
    this.letters.title = count(group.count);
    this.last.update(group.last_at);
    this.first.update(group.first_at);
    const dead = mayOperate && filter.status === "dead";
    show(this.replay, dead);
    show(this.discard, dead);
    setText(this.replay, `Replay ${compact(group.count)}`);
    const what = `${titleOf(group)} at node ${group.node_id} of ${group.workflow_id}`;
    this.replay.setAttribute("aria-label", `Replay ${count(group.count)}: ${what}`);
    this.discard.setAttribute("aria-label", `Discard ${count(group.count)}: ${what}`);
  }

  async _do(action) {
    const wanted = { ...this.filter().asked(), fingerprint: this.group.fingerprint, max_id: this.newest() };
    const { workflow_id, node_id } = this.group;
    const done = await action({ filter: wanted }, `${titleOf(this.group)} at node ${node_id} of ${workflow_id}.`);
    if (done) this.changed();
  }
}

/** A letter. `selected` is called when its box was changed. */
export class LetterRow {
  constructor(letter, { filter, selected }) {
    this.box = el("input", { type: "checkbox", "aria-label": `Select letter ${letter.id}`, change: selected });
    this.link = el("a", { class: "error-type" }, titleOf(letter));
    this.status = badge();
    this.when = moment("Died");
    this.filter = filter;
    const replays = letter.origin ? [el("small", {}, `replay of ${letter.origin}`)] : [];
    this.root = el(
      "tr",
      { role: "row" },
      cell("", "check", this.box),
      about(letter, this.link),
      place(letter),
      cell("Item", "item", el("code", {}, letter.item_id || "–"), ...replays),
      cell("Status", "status", this.status),
      this.when.root,
    );
  }

  update(letter) {
    this.letter = letter;
    this.link.href = `${address("dead-letters", letter.id)}${this.filter().search}`;
    const dead = letter.status === "dead";
    if (!dead) this.box.checked = false;
    show(this.box, dead && mayOperate);
    paintStatus(this.status, letter.status);
    this.when.update(letter.dead_at);
  }

  get checked() {
    return this.box.checked;
  }
}
