// Iterations a second, and the line that shows them.

import { svg } from "./dom.js";

const SAMPLES = 60;
const MEAN_OVER = 3;
const WIDTH = 120;
const HEIGHT = 28;

/** Finds rates from totals, for who has no history from the server. */
export class RateMeter {
  constructor() {
    this.history = [];
    this.last = null;
  }

  /** Take the total of this moment. After a pause of the page or a new start it begins anew. */
  sample(total, now = performance.now()) {
    const before = this.last;
    this.last = { total, now };
    if (!before) return;
    const seconds = (now - before.now) / 1000;
    if (total < before.total || seconds > 10) return;
    this.history.push((total - before.total) / seconds);
    if (this.history.length > SAMPLES) this.history.shift();
  }

  /** Forget the last total: what happened while nobody listened is not known. */
  interrupt() {
    this.last = null;
  }

  get perSecond() {
    const recent = this.history.slice(-MEAN_OVER);
    return recent.length ? recent.reduce((a, b) => a + b) / recent.length : 0;
  }
}

/** A small line of the last `samples` rates; the number beside it says the same to everybody. */
export function sparkline(samples = SAMPLES) {
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "line" });
  const look = { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" };
  const root = svg("svg", look, area, line);
  return {
    root,
    draw(history) {
      const parts = history.some(Boolean) ? pieces(points(history.slice(-samples), samples)) : [];
      line.setAttribute("d", parts.map(path).join(""));
      area.setAttribute("d", parts.map((part) => `${path(part)}V${HEIGHT}H${part[0][0]}Z`).join(""));
    },
  };
}

/** Where each rate is drawn, the newest at the right; null where it is not known. */
function points(history, samples) {
  const top = Math.max(...history, 1e-9);
  const step = WIDTH / (samples - 1);
  const left = WIDTH - (history.length - 1) * step;
  return history.map((value, i) => {
    if (value === null) return null;
    const y = HEIGHT - 2 - (value / top) * (HEIGHT - 4);
    return [(left + i * step).toFixed(1), y.toFixed(1)];
  });
}

/** The parts between the holes. */
function pieces(all) {
  const parts = [[]];
  for (const point of all) {
    if (point) parts.at(-1).push(point);
    else if (parts.at(-1).length) parts.push([]);
  }
  return parts.filter((part) => part.length > 1);
}

const path = (part) => `M${part.map((point) => point.join(" ")).join("L")}`;
