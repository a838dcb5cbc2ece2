// The steps of a run as they are drawn, in the order of the log.

import { address, request } from "../api.js";

const AT_ONCE = 5000;

export class Steps {
  constructor(runId) {
    this.runId = runId;
    this.all = [];
    this.byNode = new Map();
    this.failed = 0;
  }

  get last() {
    return this.all.length;
  }

  at(position) {
    return this.all[position - 1];
  }

  /** Load what is behind the newest step that is known; `loaded` is called after each part. */
  async load(loaded) {
    this.loading ??= this._load(loaded).finally(() => (this.loading = null));
    return this.loading;
  }

  async _load(loaded) {
    let next = this.last;
    while (next !== null) {
      const url = new URL(address("graph", "runs", this.runId, "timeline"));
      url.search = new URLSearchParams({ after: next, limit: AT_ONCE });
      const part = await request("GET", url);
      for (const row of part.results) this._add(...row);
      next = part.next;
      loaded();
    }
  }

  /** Take a step as the socket tells it; false when there are others before it. */
  take(step) {
    if (step.position <= this.last) return true;
    if (step.position > this.last + 1 || this.loading) return false;
    const { position, number, node, seconds, port, error, round } = step;
    this._add(position, number, node, Date.parse(step.started_at), seconds, port, Boolean(error), round);
    return true;
  }

  _add(position, number, node, start, seconds, port, failed, round) {
    if (position !== this.last + 1) return;
    const before = this.byNode.get(node) ?? [];
    if (!before.length) this.byNode.set(node, before);
    const step = { position, number, node, start, seconds, port, failed, round, time: before.length + 1 };
    before.push(step);
    this.all.push(step);
    if (failed) this.failed += 1;
  }

  /** Return the positions of what is wanted; null stands for all of them. */
  matching(node, onlyFailed) {
    if (!node && !onlyFailed) return null;
    const rows = node ? (this.byNode.get(node) ?? []) : this.all;
    return (onlyFailed ? rows.filter((step) => step.failed) : rows).map((step) => step.position);
  }
}
