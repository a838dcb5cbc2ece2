// The latest dead letters of a workflow.

import { address, request } from "./api.js";
import { byId, el, notify, show } from "./dom.js";
import { count, time, words } from "./format.js";
import { jsonView } from "./json_view.js";

const SHOWN = 10;
const AT_MOST_EVERY = 2000;

export class DeadLetters {
  /** `opened` gets the node and the input of a dead letter that goes to the bench. */
  constructor(workflowId, { opened }) {
    this.workflowId = workflowId;
    this.opened = opened;
    this.items = new Map();
    this.timer = null;
    this.more = el("li", { class: "muted" });
  }

  /** Look again soon; many failures in a row cause one request. */
  refresh() {
    this.timer ??= setTimeout(() => this._load(), this.loaded ? AT_MOST_EVERY : 0);
  }

  async _load() {
    const url = new URL(address("dead-letters"));
    url.search = new URLSearchParams({ workflow_id: this.workflowId, limit: SHOWN });
    try {
      this._show(await request("GET", url));
      this.loaded = true;
    } catch (error) {
      notify(`Dead letters: ${error.message}`, "bad");
    } finally {
      this.timer = null;
    }
  }

  /** An item that somebody has opened stays the same element. */
  _show({ results, count: all }) {
    const items = results.map((row) => this.items.get(row.id) ?? this._item(row));
    this.items = new Map(results.map((row, i) => [row.id, items[i]]));
    const list = byId("dead");
    const rest = all - results.length;
    this.more.textContent = `and ${count(rest)} more`;
    const wanted = rest > 0 ? [...items, this.more] : items;
    const same = wanted.length === list.children.length && wanted.every((item, i) => list.children[i] === item);
    if (!same) list.replaceChildren(...wanted);
    show(byId("no-dead"), all === 0);
  }

  _item(row) {
    const detail = el("div", {});
    const load = async ({ currentTarget }) => {
      if (!currentTarget.open || detail.childElementCount) return;
      try {
        this._fill(detail, await request("GET", address("dead-letters", row.id)));
      } catch (error) {
        detail.replaceChildren(el("p", { class: "problem" }, error.message));
      }
    };
    const summary = el(
      "summary",
      {},
      el("strong", {}, row.error_type || words(row.reason)),
      el("span", {}, ` ${row.message.slice(0, 300)} `),
      el("small", { class: "muted" }, about(row)),
    );
    return el("li", {}, el("details", { toggle: load }, summary, detail));
  }

  _fill(detail, row) {
    const input = row.node_input;
    const fits = input !== null && typeof input === "object" && !Array.isArray(input);
    const open = el("button", { type: "button", class: "quiet", click: () => this.opened(row.node_id, input) }, "Open on the bench");
    detail.replaceChildren(
      ...(fits ? [el("p", {}, open)] : []),
      el("h4", {}, "Input of the node"),
      ...jsonView(input, `dead-letter-${row.id}.json`),
      ...(row.trace ? [el("h4", {}, "Trace"), ...jsonView(row.trace, "trace.txt")] : []),
    );
  }
}

function about(row) {
  const node = `node ${row.node_id} (${row.node_type})`;
  return [node, `item ${row.item_id}`, `activation ${row.activation}`, time(row.dead_at)].join(" · ");
}
