// The bench: one node alone.

import { ApiError, address, request } from "./api.js";
import { announce, byId, el, setText, show } from "./dom.js";
import { duration, time, words } from "./format.js";
import { jsonView } from "./json_view.js";

// What else a node may have done; nothing of it left the bench.
const MORE = [
  ["emitted", "It would put into queues"],
  ["effects", "It would write"],
  ["state", "Its state afterwards"],
  ["values", "Its form's values"],
  ["log", "Its log"],
];

const mayRun = ["editor", "admin"].includes(document.body.dataset.role);

export class Bench {
  /** `chosen` gets the id of the node that was picked. */
  constructor(workflowId, { chosen }) {
    this.workflowId = workflowId;
    this.chosen = chosen;
    this.select = byId("bench-node");
    this.input = byId("bench-input");
    this.result = byId("bench-result");
    this.run = byId("bench-run");
    this.run.disabled = !mayRun;
    show(byId("bench-not-allowed"), !mayRun);
    this.select.addEventListener("change", () => this.pick(this.select.value));
    this.input.addEventListener("input", () => this._readInput());
    byId("bench").addEventListener("submit", (event) => {
      event.preventDefault();
      if (mayRun && !this.busy) this._run();
    });
  }

  /** Offer the nodes of a definition. */
  offer(nodes, label, about) {
    this.about = new Map(nodes.map((n) => [n.id, about(n)]));
    this.select.replaceChildren(...nodes.map((n) => el("option", { value: n.id }, `${n.id} · ${label(n)}`)));
    if (nodes.length) this.pick(nodes[0].id);
  }

  /** Take a node, and show what is cached of it. */
  async pick(id) {
    this.select.value = id;
    setText(byId("bench-about"), this.about.get(id) ?? "");
    this.chosen(id);
    this.result.replaceChildren(el("p", { class: "muted" }, "The output appears here."));
    try {
      const cached = await request("GET", address("dev", "cache", this.workflowId, id));
      if (this.select.value === id && cached.output !== null && !this.busy) this._showCached(cached);
    } catch {
      // Nothing is cached, or it cannot be read; running the node will say why.
    }
  }

  /** Take a node with an input, as a dead letter has it. */
  async take(id, input) {
    await this.pick(id);
    this.input.value = JSON.stringify(input, null, 2);
    this._readInput();
    byId("bench-run").focus();
    byId("bench").scrollIntoView({ block: "center" });
  }

  /** Return the input, null for none, or undefined when it is not a JSON object. */
  _readInput() {
    const text = this.input.value.trim();
    let problem = "";
    let value = null;
    try {
      value = text ? JSON.parse(text) : null;
      if (text && (value === null || typeof value !== "object" || Array.isArray(value))) problem = "This must be a JSON object.";
    } catch (error) {
      problem = error.message;
    }
    setText(byId("bench-input-problem"), problem);
    this.input.setAttribute("aria-invalid", Boolean(problem));
    return problem ? undefined : value;
  }

  async _run() {
    const input = this._readInput();
    if (input === undefined) {
      this.input.focus();
      return;
    }
    const node_id = this.select.value;
    const run_upstream = byId("bench-upstream").checked ? "missing" : "never";
    this._working(true);
    try {
      const wanted = { workflow_id: this.workflowId, node_id, input, run_upstream };
      this._showOutput(await request("POST", address("dev", "execute"), wanted));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this._showError(error);
    } finally {
      this._working(false);
    }
  }

  _working(busy) {
    this.busy = busy;
    this.run.disabled = busy;
    setText(this.run, busy ? "Running …" : "Run node");
    if (busy) this.result.replaceChildren(el("p", { class: "muted" }, "Running …"));
  }

  _showOutput({ node_id, output, port, seconds, ran_upstream, ...rest }) {
    const facts = [["Port", port], ["Took", duration(seconds)]];
    if (ran_upstream?.length) facts.push(["Ran before it", ran_upstream.join(", ")]);
    const nothing = rest.completed ? "The source has nothing more." : "The node passed nothing on.";
    const more = MORE.filter(([name]) => isThere(rest[name])).map(([name, title]) => folded(title, rest[name]));
    this._show(`Output of node ${node_id}`, "good", facts, output, nothing, more);
    announce(`Node ${node_id} has run`);
  }

  _showCached({ node_id, output, port, origin, freshness, at }) {
    const facts = [["Port", port], ["Origin", words(origin)], ["Freshness", words(freshness)], ["Since", time(at * 1000)]];
    this._show(`Cached output of node ${node_id}`, "unknown", facts, output);
  }

  _show(title, tone, facts, output, nothing = "", more = []) {
    const content =
      output === null
        ? [el("p", { class: "muted" }, nothing)]
        : jsonView(output, `${this.workflowId}-output.json`);
    this.result.replaceChildren(heading(title, tone), factList(facts), ...content, ...more);
  }

  _showError(error) {
    const node = error.body.node;
    const problems = error.details.map((d) => el("li", {}, d.path ? `${d.path}: ${d.message}` : d.message));
    const title = node ? `${node.error_type} in node ${node.id}` : words(error.code);
    this.result.replaceChildren(heading(title, "bad"), el("p", { class: "message" }, error.message));
    if (problems.length) this.result.append(el("ul", {}, ...problems));
    if (error.code === "missing_input") {
      const hint = "Run these nodes first, tick the box to have them run, or give an input.";
      this.result.append(el("p", { class: "muted" }, hint));
    }
    if (node?.input !== undefined && node?.input !== null) {
      this.result.append(el("h4", {}, "Input"), ...jsonView(node.input, `${this.workflowId}-input.json`));
    }
    if (node?.trace) this.result.append(el("h4", {}, "Trace"), ...jsonView(node.trace, "trace.txt"));
    announce(`Failed: ${error.message}`);
  }
}

function heading(text, tone) {
  return el("h3", { class: "light", "data-tone": tone }, text);
}

function factList(facts) {
  return el("dl", { class: "facts small" }, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** Something that is there, but not looked at each time. */
function folded(title, value) {
  return el("details", {}, el("summary", {}, title), ...jsonView(value, "bench.json"));
}

const isThere = (value) => Boolean(value) && (typeof value !== "object" || Object.keys(value).length > 0);
