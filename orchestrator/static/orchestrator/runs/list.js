// The runs: filtered, in pages, and kept up to date.

import { address, request } from "../api.js";
import { announce, byId, el, notify, setText, show } from "../dom.js";
import { count } from "../format.js";
import { mayEdit, mayOperate } from "../roles.js";
import { paintBars } from "./bars.js";
import { GraphList } from "./graph_list.js";
import { NewGraph } from "./new_graph.js";
import { Poll } from "./poll.js";
import { RunRow } from "./run_row.js";
import { StartDialog } from "./start.js";
import { watchWorkers } from "./workers.js";
import { STATUSES, lasted } from "./words.js";

const PAGE = 50;
const TYPING = 250;
const ALWAYS = ["", "running", "completed", "failed"]; // the rarer ones when there are some
const HOUR = 3_600_000;

const query = new URLSearchParams(location.search);
const filter = {
  graph: query.get("graph") ?? "",
  status: STATUSES.includes(query.get("status")) ? query.get("status") : "",
  since: query.get("since") ?? "",
  search: query.get("search") ?? "",
  offset: Number(query.get("offset")) || 0,
};
const rows = new Map();
let shown = [];
let live = false;

const dialog = new StartDialog();
const start = (id) => dialog.open(graphs.graphs, id || filter.graph || null);
const graphs = new GraphList({ chosen: chooseGraph, start });
const newGraph = new NewGraph(async (id) => {
  await graphs.load();
  chooseGraph(id);
  announce("The graph was made");
});
const poll = new Poll(look, (known) => {
  live = known;
  for (const run of shown) rows.get(run.run_id)?.update(run, live);
});

// What is asked for

function change(news) {
  Object.assign(filter, { offset: 0 }, news);
  const kept = Object.entries(filter).filter(([, value]) => value);
  const text = new URLSearchParams(kept).toString();
  history.replaceState(null, "", `${location.pathname}${text && `?${text}`}`);
  paintFilter();
  poll.now();
}

function chooseGraph(id) {
  graphs.choose(id);
  change({ graph: id });
}

async function look(isNewest) {
  const wanted = { limit: PAGE, offset: filter.offset };
  if (filter.graph) wanted.graph_id = filter.graph;
  if (filter.status) wanted.status = filter.status;
  if (filter.search) wanted.search = filter.search;
  if (filter.since) wanted.since = new Date(Date.now() - Number(filter.since) * HOUR).toISOString();
  const url = new URL(address("graph", "runs"));
  url.search = new URLSearchParams(wanted);
  const answer = await request("GET", url);
  if (isNewest()) take(answer);
}

// What is shown

function take(answer) {
  live = true;
  shown = answer.results;
  const ids = new Set(shown.map((run) => run.run_id));
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.root.remove();
    rows.delete(id);
  }
  const body = byId("rows");
  shown.forEach((run, i) => {
    const row = rows.get(run.run_id) ?? new RunRow(run, () => poll.now());
    rows.set(run.run_id, row);
    row.update(run, live);
    if (body.children[i] !== row.root) body.insertBefore(row.root, body.children[i] ?? null);
  });
  tick();
  paintStatuses(answer.by_status);
  paintPager(answer);
  paintEmpty(answer);
  show(byId("loading"), false);
  byId("runs").removeAttribute("aria-busy");
}

function tick() {
  const longest = Math.max(0, ...shown.map((run) => lasted(run) ?? 0));
  for (const run of shown) rows.get(run.run_id)?.tick(longest);
  show(byId("history"), shown.length > 2);
  if (shown.length > 2) paintBars(byId("bars"), shown);
}

function paintStatuses(counts) {
  const all = Object.values(counts).reduce((a, b) => a + b, 0);
  for (const button of byId("statuses").children) {
    const { status } = button.dataset;
    const found = status ? (counts[status] ?? 0) : all;
    setText(button.lastChild, count(found));
    show(button, found > 0 || ALWAYS.includes(status) || status === filter.status);
  }
}

function paintPager({ count: all, limit, offset, results }) {
  show(byId("pager"), all > limit || offset > 0);
  setText(byId("range"), results.length ? `${count(offset + 1)}–${count(offset + results.length)} of ${count(all)}` : `none of ${count(all)}`);
  byId("newer").disabled = offset === 0;
  byId("older").disabled = offset + results.length >= all;
}

function paintEmpty({ results }) {
  show(byId("runs"), results.length > 0);
  show(byId("empty"), results.length === 0);
  const filtered = filter.status || filter.search || filter.since || filter.offset;
  if (filtered) empty("No run matches", "Widen the filter to see others.");
  else if (graphs.graphs.length) empty("There is no run yet", mayOperate ? "Start one: it appears here, and its page shows it step by step." : "An operator can start one.");
  else empty("There is no graph yet", mayEdit ? "Make one from JSON, or load the examples on the page of the workflows." : "An editor can make one.");
}

function empty(title, text) {
  setText(byId("empty-title"), title);
  setText(byId("empty-text"), text);
}

function paintFilter() {
  for (const button of byId("statuses").children) button.setAttribute("aria-pressed", String(button.dataset.status === filter.status));
  byId("since").value = filter.since;
  if (document.activeElement !== byId("search")) byId("search").value = filter.search;
}

for (const status of ["", ...STATUSES]) {
  const button = el("button", { type: "button", click: () => change({ status }) }, el("span", {}, status || "all"), " ", el("small", {}));
  button.dataset.status = status;
  byId("statuses").append(button);
}

let typing = null;
byId("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => change({ search: byId("search").value.trim() }), TYPING);
});
byId("since").addEventListener("change", () => change({ since: byId("since").value }));
byId("newer").addEventListener("click", () => change({ offset: Math.max(0, filter.offset - PAGE) }));
byId("older").addEventListener("click", () => change({ offset: filter.offset + PAGE }));
byId("start-run").addEventListener("click", () => start());
byId("new-graph").addEventListener("click", () => newGraph.open());
show(byId("new-graph"), mayEdit);

watchWorkers((alive) => {
  const tone = alive === null ? "unknown" : alive ? "good" : "bad";
  byId("workers").dataset.tone = tone;
  setText(byId("workers"), alive === null ? "Workers" : `${alive} worker${alive === 1 ? "" : "s"}`);
  show(byId("no-worker"), alive === 0);
});

async function begin() {
  paintFilter();
  try {
    await graphs.load();
    show(byId("start-run"), mayOperate && graphs.graphs.length > 0);
    if (filter.graph) graphs.choose(filter.graph);
  } catch (error) {
    notify(error.message, "bad");
  }
  await poll.now();
  setInterval(() => live && tick(), 1000);
}

begin();
