// The dialog that starts a run: a graph, its initial state, and the limits.

import { address, request } from "../api.js";
import { byId, el, setText, show } from "../dom.js";
import { isObject, parse } from "../json_exact.js";

const NAMED = /\bdata\.([A-Za-z_]\w*)/g;

export class StartDialog {
  constructor() {
    this.dialog = byId("start");
    byId("start-form").addEventListener("submit", (event) => this._submit(event));
    byId("start-cancel").addEventListener("click", () => this.dialog.close());
    byId("start-graph").addEventListener("change", () => this._graph());
    byId("start-state").addEventListener("input", () => this._check());
  }

  /** Open it for one of these graphs, with the initial state of a run, or of the graph's newest. */
  async open(graphs, graphId, runId = null) {
    this._problems([]);
    const options = graphs.map(({ graph_id, name }) => el("option", { value: graph_id }, name === graph_id ? name : `${name} (${graph_id})`));
    byId("start-graph").replaceChildren(...options);
    byId("start-graph").value = graphId ?? graphs[0]?.graph_id ?? "";
    byId("start-state").value = "";
    this.runId = runId;
    this.dialog.showModal();
    await this._graph();
    this._check();
  }

  async _graph() {
    const id = byId("start-graph").value;
    const before = byId("start-state").value;
    if (!id) return;
    try {
      const [graph, newest] = await Promise.all([request("GET", address("graph", id)), stateOf(id, this.runId)]);
      if (byId("start-graph").value !== id) return;
      this._reads(graph.definition);
      const typed = byId("start-state").value !== before; // meanwhile; that is kept
      if (!typed) byId("start-state").value = JSON.stringify(newest ?? {}, null, 2);
      this._check();
    } catch (error) {
      this._problems([error.message]);
    }
  }

  /** Offer the fields that the graph reads and no node of it writes. */
  _reads(definition) {
    const chips = fieldsRead(definition).map((name) =>
      el("button", { type: "button", class: "quiet small", click: () => this._add(name) }, name),
    );
    const box = byId("start-reads");
    box.replaceChildren(...(chips.length ? [el("small", { class: "muted" }, "The graph reads:"), ...chips] : []));
  }

  _add(name) {
    const state = this._check();
    if (state === null) return;
    if (!(name in state)) state[name] = null;
    const area = byId("start-state");
    area.value = JSON.stringify(state, null, 2);
    const at = area.value.indexOf(`${JSON.stringify(name)}: `) + name.length + 4;
    area.focus();
    area.setSelectionRange(at, area.value.indexOf("\n", at) - (area.value[area.value.indexOf("\n", at) - 1] === "," ? 1 : 0));
  }

  /** Return the state, or null with the reason below the field. */
  _check() {
    const { value, problem } = read(byId("start-state").value);
    setText(byId("start-state-problem"), problem);
    byId("start-state").setAttribute("aria-invalid", String(Boolean(problem)));
    return value;
  }

  async _submit(event) {
    event.preventDefault();
    const state = this._check();
    if (state === null) {
      byId("start-state").focus();
      return;
    }
    const body = { graph_id: byId("start-graph").value, initial_state: state, wait: false };
    for (const [name, id] of [["max_steps", "start-steps"], ["timeout", "start-timeout"], ["checkpoint_every", "start-checkpoints"]]) {
      if (byId(id).value !== "") body[name] = Number(byId(id).value);
    }
    byId("start-go").disabled = true;
    try {
      const run = await request("POST", address("graph", "run"), body);
      location.assign(address("runs", run.run_id));
    } catch (error) {
      this._problems([error.message, ...error.details.map(({ path, message }) => `${path}: ${message}`)]);
    } finally {
      byId("start-go").disabled = false;
    }
  }

  _problems(texts) {
    byId("start-problems").replaceChildren(...texts.map((text) => el("li", {}, text)));
    show(byId("start-problems"), texts.length > 0);
  }
}

function read(text) {
  let value;
  try {
    value = parse(text.trim() || "{}");
  } catch (error) {
    return { value: null, problem: `This is no JSON: ${error.message}` };
  }
  return isObject(value) ? { value, problem: "" } : { value: null, problem: "The state has to be an object: { … }" };
}

export function fieldsRead(definition) {
  const written = new Set(definition.nodes.map((node) => node.target ?? node.data?.form?.target ?? node.id));
  const text = JSON.stringify([definition.nodes, definition.edges ?? []]);
  return [...new Set([...text.matchAll(NAMED)].map(([, name]) => name))].filter((name) => !written.has(name));
}

/** The initial state of a run, or of the newest run of a graph; null when there is none. */
async function stateOf(graphId, runId) {
  const url = new URL(address("graph", "runs"));
  url.search = new URLSearchParams({ graph_id: graphId, limit: 1 });
  const id = runId ?? (await request("GET", url)).results[0]?.run_id;
  return id ? (await request("GET", address("graph", "runs", id), undefined, parse)).initial_state : null;
}
