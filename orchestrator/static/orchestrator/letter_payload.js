// What a replay begins with: chosen, looked at, edited. What is shown is what goes back.

import { byId, setText, show } from "./dom.js";
import { isObject, parse } from "./json_exact.js";
import { jsonTree } from "./json_tree.js";

const FIELDS = { start: "item", node: "node_input" };
const ABOUT = {
  start: "The item goes into the loop's inbox, and every node of the loop runs again.",
  node: "Only this node and those behind it run; what is before it does not run again.",
};

const STAND_INS = ["text,unencodable", "raw"];
const UNRECORDED = "It could not be kept as JSON, and this only shows what it looked like. Edit it to replay from here.";

/** Whether a payload is what the node or the loop had got, and not a stand-in for it. */
const recorded = (value) => isObject(value) && !STAND_INS.includes(Object.keys(value).sort().join());

export class Payload {
  /** `save(changes)` and `replay(origin, changes)` return false when they were refused. */
  constructor({ save, replay }) {
    this.save = save;
    this.replay = replay;
    this.editing = false;
    this.origin = null;
    for (const radio of this._radios()) radio.addEventListener("change", () => this._choose(radio.value));
    byId("edit").addEventListener("click", () => this._edit(true));
    byId("cancel").addEventListener("click", () => this._edit(false));
    byId("save").addEventListener("click", () => this._save());
    byId("replay").addEventListener("click", () => this._replay());
    byId("restore").addEventListener("click", () => this.save({ [this._field]: null }));
    byId("payload-text").addEventListener("input", () => this._check());
    addEventListener("beforeunload", (event) => this._changed && event.preventDefault());
  }

  /** Show a letter; `open` says that it may still be changed and replayed. */
  show(letter, open) {
    const same = this.letter?.id === letter.id;
    this.letter = letter;
    this.open = open;
    this.origin = same && this.origin ? this.origin : this._first();
    if (!open) this.editing = false;
    if (!this.editing) this._paint();
    for (const radio of this._radios()) radio.checked = radio.value === this.origin;
    setText(byId("origin-node"), letter.node_id ? `Input of node ${letter.node_id}` : "Input of the node");
  }

  _radios() {
    return byId("origin").querySelectorAll("input");
  }

  /** What somebody has edited, else what the node that failed has got. */
  _first() {
    const { edited, node_input } = this.letter;
    if (edited?.item && !edited.node_input) return "start";
    return edited?.node_input || recorded(node_input) ? "node" : "start";
  }

  get _field() {
    return FIELDS[this.origin];
  }

  get _original() {
    return this.letter[this._field];
  }

  get _value() {
    return this.letter.edited?.[this._field] ?? this._original;
  }

  get _usable() {
    return Boolean(this.letter.edited?.[this._field]) || recorded(this._original);
  }

  get _changed() {
    return this.editing && byId("payload-text").value !== this.before;
  }

  _choose(origin) {
    this.origin = origin;
    this._edit(false);
  }

  _edit(editing) {
    this.editing = editing;
    this._paint();
    byId(editing ? "payload-text" : "edit").focus();
  }

  _paint() {
    const { editing, open } = this;
    const value = this._value;
    const edited = Boolean(this.letter.edited?.[this._field]);
    const there = value !== null;
    show(byId("payload-none"), !there && !editing);
    show(byId("payload-tree"), there && !editing);
    show(byId("payload-editor"), editing);
    show(byId("payload-original"), edited);
    if (editing) {
      this.before = JSON.stringify(value ?? {}, null, 2);
      byId("payload-text").value = this.before;
      byId("payload-text").rows = Math.min(24, Math.max(8, this.before.split("\n").length + 1));
    } else byId("payload-tree").replaceChildren(jsonTree(value, { path: "data" }));
    if (edited) byId("payload-original-tree").replaceChildren(jsonTree(this._original, { path: "data" }));
    show(byId("payload-buttons"), open);
    show(byId("edit"), !editing);
    show(byId("save"), editing);
    show(byId("cancel"), editing);
    show(byId("restore"), edited && !editing);
    const about = open ? ABOUT[this.origin] : "";
    setText(byId("payload-about"), there && !this._usable ? UNRECORDED : about);
    this._check();
  }

  /** Say what is wrong with the text, where it is; nothing wrong can be sent. */
  _check() {
    const problem = this.editing ? problemOf(byId("payload-text").value) : "";
    const where = this.origin === "node" ? `from node ${this.letter.node_id}` : "from the start";
    setText(byId("payload-problem"), problem);
    byId("payload-text").setAttribute("aria-invalid", String(Boolean(problem)));
    setText(byId("replay"), this._changed ? `Save and replay ${where}` : `Replay ${where}`);
    byId("replay").disabled = Boolean(problem) || !(this._usable || this._changed);
    byId("save").disabled = Boolean(problem) || !this._changed;
  }

  get _changes() {
    return this._changed ? { [this._field]: parse(byId("payload-text").value) } : null;
  }

  async _save() {
    if (await this._busy(() => this.save(this._changes))) this._edit(false);
  }

  async _replay() {
    if (await this._busy(() => this.replay(this.origin, this._changes))) this.editing = false;
  }

  /** One click is one request. */
  async _busy(work) {
    const buttons = [byId("replay"), byId("save")];
    for (const button of buttons) button.disabled = true;
    try {
      return await work();
    } finally {
      for (const button of buttons) button.disabled = false;
      this._check();
    }
  }
}

function problemOf(text) {
  try {
    return isObject(parse(text)) ? "" : "It has to be an object: { … }";
  } catch (error) {
    return error.message;
  }
}
