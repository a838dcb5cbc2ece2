// The list of steps. However long it is, only the rows that can be seen are in the page.

import { el, setText, show } from "../dom.js";
import { count, duration } from "../format.js";

const ROW = 32;
const SPARE = 6; // rows above and below what can be seen
const PAGE = 10;
const NEAR_END = 2;

export class StepList {
  /** `chosen` gets the step that somebody picked. */
  constructor(root, steps, { chosen }) {
    this.root = root;
    this.steps = steps;
    this.chosen = chosen;
    this.wanted = null; // positions, or null for all
    this.rows = [];
    this.spacer = el("div", { class: "step-spacer", role: "presentation" });
    root.append(this.spacer);
    root.addEventListener("scroll", () => this._soon());
    root.addEventListener("keydown", (event) => this._key(event));
    new ResizeObserver(() => this._soon()).observe(root);
  }

  get length() {
    return this.wanted ? this.wanted.length : this.steps.last;
  }

  /** Show these positions, or all; `follow` keeps the newest in sight. */
  update(wanted, follow) {
    this.wanted = wanted;
    this.longest = this.steps.all.reduce((most, step) => Math.max(most, step.seconds), 0);
    this.spacer.style.height = `${this.length * ROW}px`;
    if (follow) this._into(this.length - 1);
    this._soon();
  }

  /** Mark a step, and bring it into sight. */
  select(step) {
    this.selected = step;
    const index = this._indexOf(step);
    if (index >= 0) this._into(index);
    this._soon();
  }

  _at(index) {
    return this.steps.at(this.wanted ? this.wanted[index] : index + 1);
  }

  _indexOf(step) {
    if (!step) return -1;
    return this.wanted ? this.wanted.indexOf(step.position) : step.position - 1;
  }

  _into(index) {
    const [top, bottom] = [index * ROW, (index + NEAR_END) * ROW];
    const { scrollTop, clientHeight } = this.root;
    if (top < scrollTop) this.root.scrollTop = top;
    else if (bottom > scrollTop + clientHeight) this.root.scrollTop = bottom - clientHeight;
  }

  _key(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE, Home: -Infinity, End: Infinity };
    if (!(event.key in moves) || !this.length) return;
    event.preventDefault();
    const index = this._indexOf(this.selected) + moves[event.key];
    this.chosen(this._at(Math.min(this.length - 1, Math.max(0, index))));
  }

  _soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this._draw();
    });
  }

  _draw() {
    const first = Math.max(0, Math.floor(this.root.scrollTop / ROW) - SPARE);
    const wanted = Math.ceil(this.root.clientHeight / ROW) + 2 * SPARE;
    const shown = Math.max(0, Math.min(wanted, this.length - first));
    while (this.rows.length < shown) this.rows.push(this._row());
    this.rows.forEach((row, i) => {
      show(row.root, i < shown);
      if (i < shown) this._fill(row, first + i);
    });
    const mark = this._indexOf(this.selected);
    const inSight = mark >= first && mark < first + shown;
    if (inSight) this.root.setAttribute("aria-activedescendant", `step-${this.selected.position}`);
    else this.root.removeAttribute("aria-activedescendant");
  }

  _row() {
    const parts = {
      number: el("span", { class: "step-number" }),
      sign: el("span", { class: "step-sign" }),
      node: el("span", { class: "step-node" }),
      note: el("small", { class: "step-note" }),
      bar: el("span", { class: "step-bar", "aria-hidden": "true" }, el("i", {})),
      time: el("span", { class: "step-time" }),
    };
    const root = el("div", { class: "step", role: "option" }, ...Object.values(parts));
    root.addEventListener("click", () => this.chosen(this.steps.at(Number(root.dataset.position))));
    this.spacer.append(root);
    return { root, ...parts };
  }

  _fill(row, index) {
    const step = this._at(index);
    row.root.style.transform = `translateY(${index * ROW}px)`;
    row.root.id = `step-${step.position}`;
    row.root.dataset.position = step.position;
    row.root.dataset.tone = step.failed ? "bad" : "good";
    row.root.setAttribute("aria-selected", String(step === this.selected));
    row.root.setAttribute("aria-posinset", index + 1);
    row.root.setAttribute("aria-setsize", this.length);
    setText(row.number, count(step.position));
    setText(row.sign, step.failed ? "✕" : "✓");
    row.sign.setAttribute("aria-label", step.failed ? "failed" : "done");
    setText(row.node, step.node);
    row.node.title = step.node;
    setText(row.note, note(step));
    row.bar.firstChild.style.width = `${this.longest ? Math.max(1, (step.seconds / this.longest) * 100) : 0}%`;
    setText(row.time, duration(step.seconds));
  }
}

/** What tells this turn from others of its node. */
function note({ time, round, port }) {
  const parts = [];
  if (time > 1) parts.push(`×${time}`);
  if (round) parts.push(`again ${round}`);
  if (port && port !== "default") parts.push(`→ ${port}`);
  return parts.join(" ");
}
