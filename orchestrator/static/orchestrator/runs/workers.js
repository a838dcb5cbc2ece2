// How many workers are alive, asked for now and then.

import { readiness } from "../api.js";

const EVERY = 10_000;

/** `told` gets the number, or null when it is not known. */
export function watchWorkers(told) {
  const look = async () => {
    if (document.hidden) return;
    try {
      told((await readiness()).workers_alive ?? null);
    } catch {
      told(null);
    }
  };
  look();
  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look);
}
