// When each node had its turns: a row per node, a bar per step, a band per round.
// Only what can be seen is drawn, on a canvas; the list of steps says the same in text.

import { el, setText } from "../dom.js";
import { Scale } from "./scale.js";
import { span } from "./words.js";

const ROW = 26;
const AXIS = 24;
const BAR = 14;
const ROUNDS = 18; // for the names of the rounds, if there are any
const NAMED = 58; // pixels that such a name takes
const LONGEST_LABEL = 22;
const MOST_BANDS = 200;
const LEAST_BAND = 6; // pixels; narrower rounds are not told apart
const TOP_ZOOM = 500;
const NEAR = 4; // pixels within which a bar is meant

export class Gantt {
  /** `chosen` gets the step that was clicked, `pointed` the one under the pointer or null. */
  constructor(root, steps, { chosen, pointed }) {
    this.steps = steps;
    this.zoom = 1;
    this.active = false;
    this.labels = el("ol", { class: "gantt-labels", "aria-hidden": "true" });
    this.canvas = el("canvas", {});
    this.spacer = el("div", { class: "gantt-spacer" }, this.canvas);
    this.scroller = el(
      "div",
      { class: "gantt-scroll", tabindex: "0", role: "img", scroll: () => this._soon() },
      this.spacer,
    );
    root.append(this.labels, this.scroller);
    this.canvas.addEventListener("click", (event) => {
      const step = this._at(event);
      if (step) chosen(step);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const step = this._at(event);
      this.canvas.classList.toggle("over", Boolean(step));
      pointed(step);
    });
    this.canvas.addEventListener("pointerleave", () => pointed(null));
    this.scroller.addEventListener("wheel", (event) => this._wheel(event), { passive: false });
    new ResizeObserver(() => this._soon()).observe(this.scroller);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this._soon());
  }

  /** Take what is new; `active` lets the time go on, `kinds` says which nodes are groups. */
  update({ active, groups }) {
    this.active = active;
    this.groups = groups;
    this.changed = true;
    this._soon();
  }

  /** Mark a step, and bring it into sight. */
  select(step) {
    this.selected = step;
    const { scrollLeft, clientWidth } = this.scroller;
    const at = this.scale ? this.scale.x(step.start) * clientWidth * this.zoom : 0;
    if (at < scrollLeft || at > scrollLeft + clientWidth) this.scroller.scrollLeft = at - clientWidth / 2;
    this._soon();
  }

  /** Zoom by a factor; 0 shows everything. Without a place what is marked stays in the middle. */
  zoomBy(factor, place = null) {
    const { scrollLeft, clientWidth } = this.scroller;
    const around = place ?? 0.5;
    const marked = place === null && this.selected && this.scale;
    const at = marked ? this.scale.x(this.selected.start) : (scrollLeft + around * clientWidth) / (clientWidth * this.zoom);
    this.zoom = factor ? Math.min(TOP_ZOOM, Math.max(1, this.zoom * factor)) : 1;
    this._size();
    this.scroller.scrollLeft = at * clientWidth * this.zoom - around * clientWidth;
    this._soon();
  }

  _wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const { left, width } = this.scroller.getBoundingClientRect();
    this.zoomBy(event.deltaY < 0 ? 1.3 : 1 / 1.3, (event.clientX - left) / width);
  }

  _soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.changed) this._arrange();
      this._draw();
    });
  }

  _arrange() {
    this.changed = false;
    this.scale = new Scale(this.steps.all, this.active ? Date.now() : null);
    this.nodes = [...this.steps.byNode.keys()];
    this.nodes.forEach((node, i) => this._label(node, i));
    while (this.labels.childElementCount > this.nodes.length) this.labels.lastChild.remove();
    this.bands = this._rounds();
    const what = `${this.steps.last} steps of ${this.nodes.length} nodes`;
    this.scroller.setAttribute("aria-label", `Timeline: ${what}. The list of steps has the same in text.`);
    this._size();
  }

  _label(node, i) {
    const label = this.labels.children[i] ?? this.labels.appendChild(el("li", {}, el("span", {}), el("small", {})));
    const times = this.steps.byNode.get(node).length;
    const short = node.length > LONGEST_LABEL ? `${node.slice(0, LONGEST_LABEL - 1)}…` : node;
    setText(label.firstChild, short);
    label.title = node;
    const group = this.groups?.has(node) ? "group" : "";
    setText(label.lastChild, [group, times > 1 ? `×${times}` : ""].filter(Boolean).join(" "));
  }

  /** A round begins when a node has its turn again that had one in this round already. */
  _rounds() {
    const bands = [];
    let round = 1;
    for (const step of this.steps.all) {
      if (step.time <= round) continue;
      round = step.time;
      bands.push({ round, x: this.scale.x(step.start) });
      if (bands.length > MOST_BANDS) return [];
    }
    return bands.length ? [{ round: 1, x: 0 }, ...bands] : [];
  }

  _size() {
    const rounds = this.bands?.length ? ROUNDS : 0;
    const height = AXIS + Math.max(1, this.nodes?.length ?? 1) * ROW + rounds;
    this.height = height;
    this.spacer.style.width = `${Math.round(this.scroller.clientWidth * this.zoom)}px`;
    this.spacer.style.height = `${height}px`;
  }

  _draw() {
    const width = this.scroller.clientWidth;
    if (!this.scale || !width) return;
    this._size();
    const dense = devicePixelRatio || 1;
    const { canvas } = this;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${this.height}px`;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(this.height * dense);
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const view = { pen, width, whole: width * this.zoom, left: this.scroller.scrollLeft, colour: colours() };
    this._drawBands(view);
    this._drawAxis(view);
    this.nodes.forEach((node, i) => this._drawRow(view, node, AXIS + i * ROW));
    this._drawFolds(view);
  }

  _drawBands({ pen, width, whole, left, colour }) {
    const folds = this.scale.folds().map(({ x, width: share }) => ({ from: x * whole - left, to: (x + share) * whole - left }));
    this.bands.forEach(({ round, x }, i) => {
      const from = x * whole - left;
      const to = (this.bands[i + 1]?.x ?? 1) * whole - left;
      if (to < 0 || from > width || to - from < LEAST_BAND) return;
      if (i % 2) {
        pen.fillStyle = colour.band;
        pen.fillRect(from, AXIS, to - from, this.height - AXIS);
      }
      pen.fillStyle = colour.line;
      if (i) pen.fillRect(from, AXIS, 1, this.height - AXIS);
      const pause = folds.find((fold) => fold.from < from + NAMED && fold.to > from);
      const place = Math.max(pause?.to ?? from, 0);
      if (to - place < NAMED) return;
      pen.fillStyle = colour.soft;
      pen.fillText(`Round ${round}`, place + 5, this.height - 6);
    });
  }

  _drawAxis({ pen, width, whole, left, colour }) {
    const most = Math.max(2, Math.floor(width / 110)) * this.zoom;
    let free = -Infinity;
    for (const { x, text } of this.scale.ticks(most, axisText)) {
      const at = x * whole - left;
      if (at < -60 || at > width) continue;
      pen.fillStyle = colour.line;
      pen.fillRect(at, AXIS - 6, 1, this.height - AXIS + 6);
      if (at < free || at + pen.measureText(text).width + 5 > width) continue;
      pen.fillStyle = colour.soft;
      pen.fillText(text, at + 4, 14);
      free = at + pen.measureText(text).width + 14;
    }
    pen.fillStyle = colour.line;
    pen.fillRect(0, AXIS - 1, width, 1);
  }

  _drawRow({ pen, width, whole, left, colour }, node, top) {
    pen.fillStyle = colour.line;
    pen.fillRect(0, top + ROW - 1, width, 1);
    let drawn = -1;
    for (const step of this.steps.byNode.get(node)) {
      const from = this.scale.x(step.start) * whole - left;
      const to = this.scale.x(step.start + step.seconds * 1000) * whole - left;
      if (to < -2 || from > width) continue;
      const bar = Math.max(2, to - from);
      const marked = step === this.selected;
      if (!step.failed && !marked && from + bar <= drawn) continue; // it would not be seen
      pen.fillStyle = step.failed ? colour.bad : colour.bar;
      pen.beginPath();
      pen.roundRect(from, top + (ROW - BAR) / 2, bar, BAR, Math.min(3, bar / 2));
      pen.fill();
      if (marked) {
        pen.strokeStyle = colour.text;
        pen.lineWidth = 2;
        pen.strokeRect(from - 2, top + (ROW - BAR) / 2 - 3, bar + 4, BAR + 6);
      }
      drawn = Math.round(from + bar);
    }
  }

  _drawFolds({ pen, width, whole, left, colour }) {
    for (const { x, width: share, seconds } of this.scale.folds()) {
      const [from, wide] = [x * whole - left, share * whole];
      if (from + wide < 0 || from > width) continue;
      pen.fillStyle = colour.page;
      pen.fillRect(from, AXIS, wide, this.height - AXIS);
      pen.fillStyle = colour.soft;
      const text = `⋯ ${span(seconds)}`;
      pen.save();
      pen.translate(from + wide / 2 + 4, AXIS + (this.height - AXIS) / 2 + pen.measureText(text).width / 2);
      pen.rotate(-Math.PI / 2);
      pen.fillText(text, 0, 0);
      pen.restore();
    }
  }

  /** Return the step under the pointer, or null. */
  _at(event) {
    const node = this.nodes?.[Math.floor((event.offsetY - AXIS) / ROW)];
    if (node === undefined || event.offsetY < AXIS) return null;
    const whole = this.scroller.clientWidth * this.zoom;
    const x = event.offsetX + this.scroller.scrollLeft;
    let best = null;
    let nearest = NEAR;
    for (const step of this.steps.byNode.get(node)) {
      const from = this.scale.x(step.start) * whole;
      const to = Math.max(from + 2, this.scale.x(step.start + step.seconds * 1000) * whole);
      const away = x < from ? from - x : Math.max(0, x - to);
      if (away < nearest) [best, nearest] = [step, away];
    }
    return best;
  }
}

/** A moment on the axis, as precise as the marks are apart (in seconds). */
function axisText(seconds, apart) {
  if (!seconds) return "0";
  if (seconds + apart < 1) return span(seconds);
  const digits = Math.max(0, Math.ceil(-Math.log10(apart) - 1e-9));
  if (seconds < 60) return `${seconds.toFixed(digits)} s`;
  if (apart >= 60) return span(seconds);
  const rest = (seconds % 60).toFixed(digits);
  return `${Math.floor(seconds / 60)}:${rest.padStart(digits ? digits + 3 : 2, "0")}`;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    bar: of("accent"),
    bad: of("bad"),
    line: of("line"),
    soft: of("soft"),
    text: of("text"),
    band: of("raised"),
    page: of("page"),
  };
}
