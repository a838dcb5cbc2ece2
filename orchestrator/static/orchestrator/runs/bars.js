// A bar per run, the newest on the right: how long each took and how it ended. The table says the same.

import { address } from "../api.js";
import { el } from "../dom.js";
import { lasted, shortId, span, toneOf } from "./words.js";

const LEAST = 6; // percent

export function paintBars(root, runs) {
  const seconds = runs.map((run) => lasted(run) ?? 0);
  // By the root: one long run must not make all others look alike.
  const longest = Math.max(...seconds, 1e-9);
  const old = new Map([...root.children].map((bar) => [bar.dataset.run, bar]));
  const bars = runs.map((run, i) => {
    const bar = old.get(run.run_id) ?? make(run);
    bar.dataset.tone = toneOf(run.status);
    bar.title = `${shortId(run.run_id)}, ${run.status}, ${span(seconds[i])}`;
    bar.firstChild.style.height = `${Math.max(LEAST, Math.sqrt(seconds[i] / longest) * 100)}%`;
    return bar;
  });
  bars.reverse();
  const same = bars.length === root.childElementCount && bars.every((bar, i) => root.children[i] === bar);
  if (!same) root.replaceChildren(...bars);
}

function make(run) {
  const link = el("a", { href: address("runs", run.run_id), tabindex: "-1" }, el("i", {}));
  link.dataset.run = run.run_id;
  return link;
}
