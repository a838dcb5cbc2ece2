// The letters with a tick, or all that match the filter.

import { byId, setText, show } from "./dom.js";
import { count, plural } from "./format.js";
import { discardMany, replayMany } from "./letter_actions.js";
import { mayOperate } from "./roles.js";

export class Selection {
  /**
   * `filter()` is what all that match means, and null when not all of them are dead; `changed()` is
   * called after something was done.
   */
  constructor({ letters, total, filter, changed }) {
    Object.assign(this, { letters, total, filter, changed });
    this.all = false;
    this.box = byId("select-page");
    show(this.box, mayOperate);
    this.box.addEventListener("change", () => this._selectPage(this.box.checked));
    byId("bulk-all").addEventListener("click", () => this._selectAll());
    byId("bulk-replay").addEventListener("click", () => this._do(replayMany));
    byId("bulk-discard").addEventListener("click", () => this._do(discardMany));
  }

  get any() {
    return this.all || this._ticked().length > 0;
  }

  clear() {
    this._selectPage(false);
  }

  paint() {
    const dead = this._dead();
    const ticked = this._ticked();
    if (ticked.length < dead.length || !dead.length) this.all = false;
    const whole = dead.length > 0 && ticked.length === dead.length;
    this.box.checked = whole;
    this.box.indeterminate = ticked.length > 0 && !whole;
    this.box.disabled = dead.length === 0;
    const number = this.all ? this.total() : ticked.length;
    const more = whole && this.total() > dead.length && !this.all && this.filter() !== null;
    setText(byId("bulk-count"), this.all ? `All ${count(number)} that match are selected.` : `${count(number)} selected.`);
    setText(byId("bulk-all"), `Select all ${count(this.total())} that match`);
    show(byId("bulk-all"), more);
    setText(byId("bulk-replay"), `Replay ${count(number)}`);
    setText(byId("bulk-discard"), `Discard ${count(number)}`);
    show(byId("bulk"), number > 0);
  }

  _dead() {
    return this.letters.values().filter(({ letter }) => letter.status === "dead");
  }

  _ticked() {
    return this.letters.values().filter((row) => row.checked);
  }

  _selectPage(checked) {
    this.all = false;
    for (const row of this._dead()) row.box.checked = checked;
    this.paint();
  }

  _selectAll() {
    this.all = true;
    this.paint();
    byId("bulk-replay").focus();
  }

  async _do(action) {
    const ids = this._ticked().map(({ letter }) => letter.id);
    const which = this.all ? { filter: this.filter() } : { ids };
    const where = this.all ? "All that match the filter and were there when you looked." : `${plural(ids.length, "letter")} that you have selected.`;
    if (!(await action(which, where))) return;
    this.clear();
    this.changed();
  }
}
