// The loops of a workflow, one line per slot.

import { byId, el, setText } from "./dom.js";
import { count, words } from "./format.js";
import { badge, paint } from "./status.js";

export class LoopTable {
  constructor() {
    this.body = byId("loops");
    this.lines = new Map();
  }

  paint(loops, live) {
    const keys = new Set(loops.map(keyOf));
    for (const [key, line] of this.lines) {
      if (keys.has(key)) continue;
      line.root.remove();
      this.lines.delete(key);
    }
    for (const loop of loops) {
      const key = keyOf(loop);
      if (!this.lines.has(key)) this.lines.set(key, this._line(loop));
      update(this.lines.get(key), loop, live);
    }
  }

  _line({ loop, slot }) {
    const line = {
      badge: badge(),
      reason: el("small", { class: "reason" }),
      iterations: el("td", { class: "number" }),
      inFlight: el("td", { class: "number" }),
      failures: el("td", { class: "number" }),
      runner: el("td", { class: "muted" }),
    };
    line.root = el(
      "tr",
      {},
      el("th", { scope: "row" }, slot ? `${loop} (slot ${slot})` : loop),
      el("td", {}, line.badge, line.reason),
      line.iterations,
      line.inFlight,
      line.failures,
      line.runner,
    );
    this.body.append(line.root);
    return line;
  }
}

const keyOf = ({ loop, slot }) => JSON.stringify([loop, slot]);

function update(line, loop, live) {
  paint(line.badge, loop.state, live);
  const alone = loop.isolated ? "in a process of its own" : "";
  setText(line.reason, live ? [words(loop.reason), alone].filter(Boolean).join(", ") : "");
  setText(line.iterations, count(loop.iterations));
  setText(line.inFlight, count(loop.in_flight));
  setText(line.failures, count(loop.failures));
  line.failures.classList.toggle("bad", loop.failures > 0);
  setText(line.runner, loop.runner ?? "–");
}
