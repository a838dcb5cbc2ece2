// The strip above the workflows: what is there, how fast it all is, what waits, what has failed.

import { byId, setText, show } from "./dom.js";
import { compact, count, plural, rate } from "./format.js";
import { sparkline } from "./rates.js";
import { KEPT } from "./row.js";

const STORES = [["redis", "Redis"], ["database", "Database"]];

export class System {
  constructor() {
    this.live = false;
    this.state = null;
    this.totals = [];
    this.spark = sparkline(KEPT);
    byId("total-rate").after(this.spark.root);
  }

  /** Without a connection nothing is known to be there. */
  connection(live) {
    this.live = live;
    this.paint();
  }

  /** Take the runners, redis, database, queued and dead letters that the server knows of. */
  update(state, workflows) {
    this.state = state;
    this.runners(state.runners ?? this.alive, workflows);
  }

  runners(alive, workflows) {
    this.alive = alive;
    show(byId("no-runner"), this.live && alive === 0 && workflows > 0);
    this.paint();
  }

  /** Take the rates of every workflow; the newest are the last of each. */
  setRates(histories) {
    const all = Object.values(histories);
    const length = Math.max(0, ...all.map((rates) => rates.length));
    this.totals = Array.from({ length }, (_, i) => sum(all.map((rates) => rates[rates.length - length + i])));
    this.paintRate();
  }

  addRates(rates) {
    this.totals.push(sum(rates));
    if (this.totals.length > KEPT) this.totals.shift();
    this.paintRate();
  }

  paint() {
    const { live, state, alive } = this;
    const known = live && state !== null;
    light("runners", known ? (alive ? "good" : "bad") : "unknown", known ? plural(alive, "runner") : "Runners");
    for (const [name, title] of STORES) {
      const found = live ? state?.[name] : null;
      const tone = (found ?? null) === null ? "unknown" : found === "ok" ? "good" : "bad";
      light(name, tone, tone === "bad" ? `${title} away` : title, found);
    }
    total("queued", live ? state?.queued : null);
    total("dead", live ? state?.dead_letters : null);
    byId("total-dead").classList.toggle("bad", live && state?.dead_letters > 0);
    this.paintRate();
  }

  paintRate() {
    this.spark.draw(this.totals);
    setText(byId("total-rate"), this.live ? rate(this.totals.at(-1) ?? 0) : "–");
    this.spark.root.parentElement.dataset.live = this.live;
  }
}

/** The sum of what is known; null when nothing is. */
function sum(rates) {
  const known = rates.filter((value) => value !== undefined);
  return known.length && known.every((value) => value === null) ? null : known.reduce((a, b) => a + b, 0);
}

function light(name, tone, text, reason) {
  const node = byId(`system-${name}`);
  node.dataset.tone = tone;
  node.title = reason ?? "";
  setText(node, text);
}

function total(name, number) {
  const node = byId(`total-${name}`);
  const known = number !== null && number !== undefined;
  setText(node, known ? compact(number) : "–");
  node.title = known ? count(number) : "not known";
}
