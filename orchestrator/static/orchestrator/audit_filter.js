// Which entries of the audit log are looked at: the address of the page says it, and can be shared.

export const PAGE = 50;
const PERIODS = { "1h": 3600e3, "24h": 24 * 3600e3, "7d": 7 * 24 * 3600e3 };
const EXACT = ["actor", "action", "object"];
const BOUNDS = ["since", "until"];

export class AuditFilter {
  constructor(search) {
    this.query = new URLSearchParams(search);
  }

  get(name) {
    return this.query.get(name) ?? "";
  }

  get offset() {
    return Math.max(0, Number.parseInt(this.get("offset"), 10) || 0);
  }

  /** The choice of a time: one of PERIODS, `between`, or "" for any. */
  get period() {
    const bounded = BOUNDS.some((name) => this.get(name));
    return bounded ? "between" : this.get("period");
  }

  /** The same with other values; "" takes one away. It begins with the first page. */
  with(changes) {
    const next = new AuditFilter(this.query);
    next.query.delete("offset");
    for (const [name, value] of Object.entries(changes)) {
      if (value === "") next.query.delete(name);
      else next.query.set(name, value);
    }
    return next;
  }

  /** The restrictions as the API wants them. */
  asked() {
    const wanted = {};
    for (const name of [...EXACT, ...BOUNDS]) if (this.get(name)) wanted[name] = this.get(name);
    const period = PERIODS[this.period];
    if (period) wanted.since = new Date(Date.now() - period).toISOString();
    return wanted;
  }

  get search() {
    return this.query.size ? `?${this.query}` : "";
  }
}
