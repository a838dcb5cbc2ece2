// Iterations a second, from the totals that the events bring.

import { svg } from "./dom.js";

const SAMPLES = 60;
const MEAN_OVER = 3;
const WIDTH = 120;
const HEIGHT = 28;

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

/** A small line of the last minute; the number beside it says the same to everybody. */
export function sparkline() {
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "line" });
  const look = { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" };
  const root = svg("svg", look, area, line);
  return {
    root,
    draw(history) {
      const top = Math.max(...history, 1e-9);
      const step = WIDTH / (SAMPLES - 1);
      const left = WIDTH - (history.length - 1) * step;
      const points = history.map((value, i) => {
        const y = HEIGHT - 2 - (value / top) * (HEIGHT - 4);
        return `${(left + i * step).toFixed(1)} ${y.toFixed(1)}`;
      });
      const path = history.some(Boolean) && points.length > 1 ? `M${points.join("L")}` : "";
      line.setAttribute("d", path);
      area.setAttribute("d", path && `${path}V${HEIGHT}H${left.toFixed(1)}Z`);
    },
  };
}
