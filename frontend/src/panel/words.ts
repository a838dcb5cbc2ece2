// How the bench's words are said to people.

import { ago, time, words } from "@shared/format.js";

import type { Freshness, Given, Origin, Standing, Used } from "../bench/types";
import { nameOf } from "./nodeName";

export const FRESHNESS: Readonly<Record<Freshness, string>> = {
  fresh: "Fresh",
  stale: "Stale",
  missing: "Not run",
  pinned: "Pinned",
};

const ORIGINS: Readonly<Record<Origin, string>> = {
  run: "a run",
  pin: "by hand",
  tap: "a tap of production",
  dead_letter: "a dead letter",
  queue: "a queue",
};

export const originOf = (origin: Origin | null): string => (origin ? ORIGINS[origin] ?? words(origin) : "");

/** What the bench says of a node that was not run; its badge says as much. */
export const NOT_RUN = "it has not been run";

/** One sentence about a node's output. */
export function aboutStanding({ freshness, why, origin }: Standing): string {
  if (freshness === "fresh") return "Made with the settings and the input that it has now.";
  if (freshness === "pinned") return `Pinned, from ${originOf(origin)}: nothing before it is run.`;
  if (why === NOT_RUN) return "";
  return why ? `${why[0]!.toUpperCase()}${why.slice(1)}.` : "";
}

export const when = (seconds: number): string => ago(seconds * 1000);
export const whenExactly = (seconds: number): string => time(seconds * 1000);

export function aboutGiven({ origin, of }: Given): string {
  if (origin === "dead_letter") return `dead letter ${String(of?.dead_letter ?? "")}`;
  if (origin === "queue") return `the queue ${String(of?.queue ?? "")}`;
  return originOf(origin);
}

export function aboutUsed({ node_id, origin, freshness, port }: Used): string {
  if (node_id === null) return origin === "run" ? "an input that was sent" : originOf(origin);
  const way = port && port !== "default" ? ` by ${port}` : "";
  return `${nameOf(node_id)}${way}${freshness === "fresh" ? "" : ` (${FRESHNESS[freshness].toLowerCase()})`}`;
}
