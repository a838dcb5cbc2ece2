// Which dead letters are looked at: the address of the page says it, and can be shared.

import { address } from "./api.js";

export const PAGE = 50;
const PERIODS = { "1h": 3600e3, "24h": 24 * 3600e3, "7d": 7 * 24 * 3600e3 };
const EXACT = ["workflow_id", "node_id", "loop", "reason", "error_type", "activation", "version", "fingerprint", "search"];
export const TEXTS = ["search", "workflow_id", "reason", "period", "view"];
/** Restrictions that have no control of their own. */
export const FURTHER = ["node_id", "loop", "error_type", "activation", "version"];

export class LetterFilter {
  constructor(query) {
    this.query = new URLSearchParams(query);
  }

  get(name) {
    return this.query.get(name) ?? "";
  }

  get status() {
    return this.get("status") || "dead";
  }

  /** Letters one by one: asked for, or those of one error. */
  get oneByOne() {
    return this.get("view") === "letters" || this.query.has("fingerprint");
  }

  get offset() {
    return Math.max(0, Number.parseInt(this.get("offset"), 10) || 0);
  }

  get restricted() {
    return EXACT.some((name) => this.query.has(name)) || this.query.has("period");
  }

  /** The same with other values; "" takes one away. It begins with the first page. */
  with(changes) {
    const next = new LetterFilter(this.query);
    next.query.delete("offset");
    for (const [name, value] of Object.entries(changes)) {
      if (value === "" || value === null) next.query.delete(name);
      else next.query.set(name, value);
    }
    return next;
  }

  /** The restrictions as the API wants them. */
  asked() {
    const wanted = {};
    for (const name of EXACT) if (this.get(name)) wanted[name] = this.get(name);
    const period = PERIODS[this.get("period")];
    if (period) wanted.since = new Date(Date.now() - period).toISOString();
    if (this.status !== "all") wanted.status = this.status;
    return wanted;
  }

  get search() {
    return this.query.size ? `?${this.query}` : "";
  }
}

/** An address of the API with a query. */
export function withQuery(parts, query) {
  const url = new URL(address(...parts));
  url.search = new URLSearchParams(query).toString();
  return url.href;
}
