// The graphs beside the runs, and what is known of the one that is chosen.

import { address, request } from "../api.js";
import { ask, byId, el, notify, setText, show } from "../dom.js";
import { count, time } from "../format.js";
import { mayEdit, mayOperate } from "../roles.js";
import { Drawing } from "./drawing.js";
import { shortId } from "./words.js";

const MOST = 200;
const SEARCHED_FROM = 9;

export class GraphList {
  /** `chosen` gets the id of a graph or ""; `start` that of the graph to run. */
  constructor({ chosen, start }) {
    this.chosen = chosen;
    this.start = start;
    this.graphs = [];
    this.current = "";
    byId("graph-search").addEventListener("input", () => this._paint());
    byId("graph-details").addEventListener("toggle", () => this._draw());
  }

  async load() {
    const url = new URL(address("graph"));
    url.search = new URLSearchParams({ limit: MOST });
    const { results, count: all } = await request("GET", url);
    this.graphs = results;
    show(byId("graph-search"), results.length >= SEARCHED_FROM);
    setText(byId("graphs-more"), `and ${count(all - results.length)} older ones`);
    show(byId("graphs-more"), all > results.length);
    byId("graphs").removeAttribute("aria-busy");
    this._paint();
  }

  /** Show a graph above its runs; "" shows the runs of all. */
  async choose(id) {
    this.current = id;
    this._paint();
    show(byId("graph"), false);
    if (!id) return;
    try {
      const graph = await request("GET", address("graph", id));
      if (this.current === id) this._show(graph);
    } catch (error) {
      notify(error.message, "bad");
    }
  }

  _paint() {
    const text = byId("graph-search").value.trim().toLowerCase();
    const found = this.graphs.filter(({ name, graph_id }) => `${name}\n${graph_id}`.toLowerCase().includes(text));
    const all = el("li", {}, this._choice("", "All graphs"));
    const focused = document.activeElement?.dataset?.graph;
    byId("graphs").replaceChildren(all, ...found.map((graph) => this._item(graph)));
    if (focused !== undefined) byId("graphs").querySelector(`[data-graph="${CSS.escape(focused)}"]`)?.focus();
  }

  _item({ graph_id, name }) {
    const run = el("button", { type: "button", class: "quiet small", "aria-label": `Run ${name}`, click: () => this.start(graph_id) }, "Run");
    return el("li", {}, this._choice(graph_id, name, graph_id === name ? "" : graph_id), ...(mayOperate ? [run] : []));
  }

  _choice(id, name, about = "") {
    const same = id === this.current;
    const button = el(
      "button",
      { type: "button", class: "graph-choice", "aria-pressed": String(same), title: name, click: () => this.chosen(id) },
      el("span", {}, name),
      ...(about ? [el("small", { class: "mono muted" }, about.length > 20 ? shortId(about) : about)] : []),
    );
    button.dataset.graph = id;
    return button;
  }

  _show(graph) {
    this.graph = graph;
    setText(byId("graph-name"), graph.name);
    const { nodes, edges = [] } = graph.definition;
    setText(byId("graph-about"), `${graph.graph_id} · ${count(nodes.length)} nodes, ${count(edges.length)} edges · made ${time(graph.created_at)}`);
    const warnings = graph.warnings.map(({ path, message }) => el("li", {}, path ? `${path}: ${message}` : message));
    byId("graph-warnings").replaceChildren(...warnings);
    show(byId("graph-warnings"), warnings.length > 0);
    const run = el("button", { type: "button", class: "primary", click: () => this.start(graph.graph_id) }, "Run this graph");
    const remove = el("button", { type: "button", class: "quiet danger", click: () => this._remove(graph) }, "Delete");
    byId("graph-actions").replaceChildren(...(mayEdit ? [remove] : []), ...(mayOperate ? [run] : []));
    byId("graph-drawing").replaceChildren();
    show(byId("graph"), true);
    this._draw();
  }

  _draw() {
    const place = byId("graph-drawing");
    if (byId("graph-details").open && !place.childElementCount && this.graph) new Drawing(place, this.graph.definition);
  }

  async _remove({ graph_id, name }) {
    if (!(await ask(`Delete ${name}?`, "All of its runs are removed with it.", "Delete"))) return;
    try {
      await request("DELETE", address("graph", graph_id));
      await this.load();
      this.chosen("");
    } catch (error) {
      notify(`Delete ${name}: ${error.message}`, "bad");
    }
  }
}
