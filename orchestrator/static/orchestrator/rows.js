// A table's body that keeps the rows that are still there, so that focus and selection stay.

import { el } from "./dom.js";

export class Rows {
  /** `make(value)` returns {root, update(value)}; `key(value)` says which row a value is. */
  constructor(body, { key, make }) {
    this.body = body;
    this.key = key;
    this.make = make;
    this.rows = new Map();
  }

  show(values) {
    const kept = new Map();
    for (const value of values) {
      const key = this.key(value);
      const row = this.rows.get(key) ?? this.make(value);
      row.update(value);
      kept.set(key, row);
    }
    for (const [key, row] of this.rows) if (!kept.has(key)) row.root.remove();
    this.rows = kept;
    [...kept.values()].forEach(({ root }, i) => {
      if (this.body.children[i] !== root) this.body.insertBefore(root, this.body.children[i] ?? null);
    });
  }

  values() {
    return [...this.rows.values()];
  }
}

/** A cell; on a narrow screen its label stands beside it. */
export function cell(label, style, ...children) {
  return el("td", { role: "cell", "data-label": label, class: style }, ...children);
}
