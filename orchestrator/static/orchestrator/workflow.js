// One workflow: its flow with live counters, its loops, its bench and its dead letters.

import { ActionButtons } from "./actions.js";
import { ApiError, address, request, socketAddress } from "./api.js";
import { Bench } from "./bench.js";
import { connect } from "./connection.js";
import { DeadLetters } from "./dead_letters.js";
import { announce, byId, el, setText, show } from "./dom.js";
import { count, rate, words } from "./format.js";
import { Graph } from "./graph.js";
import { LoopTable } from "./loops.js";
import { RateMeter, sparkline } from "./rates.js";
import { apply, badge, keepCounters, paint, totals, urgency } from "./status.js";

const workflowId = document.body.dataset.workflow;
const state = byId("state").appendChild(badge());
const meter = new RateMeter();
const spark = sparkline();
const loops = new LoopTable();
const buttons = new ActionButtons((changed) => takeStatus(changed));
const graph = new Graph(byId("graph"), { chosen: (id) => bench.pick(id) });
const bench = new Bench(workflowId, { chosen: (id) => graph.select(id) });
const dead = new DeadLetters(workflowId, { opened: (id, input) => bench.take(id, input) });
let status = null;
let live = false;
let newest = null;

byId("actions").append(buttons.root);
connect(socketAddress("workflows", workflowId), {
  onState: takeStatus,
  onEvent: takeEvent,
  onConnection(nowLive) {
    live = nowLive;
    meter.interrupt();
    if (status) paintAll();
  },
});
setInterval(() => {
  if (!live || !status) return;
  meter.sample(totals(status).iterations);
  spark.draw(meter.history);
  paintFacts();
}, 1000);
loadDefinition();

async function loadDefinition() {
  try {
    const [version, types] = await Promise.all([
      request("GET", address("workflows", workflowId)),
      request("GET", address("nodes")),
    ]);
    drawDefinition(version, new Map(types.results.map((t) => [t.type, t])));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    setText(byId("problem"), error.message);
    show(byId("problem"), true);
    show(byId("parts"), error.status !== 404);
  }
}

function drawDefinition({ version, name, definition }, types) {
  const label = (node) => String(node.data?.label || types.get(node.type)?.label || node.type);
  const about = (node) => types.get(node.type)?.description ?? "";
  newest = version;
  setText(byId("name"), name);
  document.title = `${name} · Workflow Orchestrator`;
  graph.draw({ nodes: definition.nodes, edges: definition.edges ?? [] }, label);
  bench.offer(definition.nodes, label, about);
  if (status) paintAll();
}

function takeStatus(changed) {
  const before = status;
  keepCounters(before, changed);
  status = changed;
  if (before && before.activation !== status.activation) meter.interrupt();
  if (before && before.status !== status.status) announce(`${status.name}: ${words(status.status)} ${words(status.reason)}`);
  if (!before || totals(before).failures !== totals(status).failures) dead.refresh();
  paintAll();
}

function takeEvent(event) {
  if (!status) return false;
  const enough = apply(status, event);
  if (event.type === "node_failed") dead.refresh();
  if (event.type === "node_stats") paintNumbers();
  return enough;
}

function paintAll() {
  paint(state, status.status, live);
  setText(byId("reason"), live ? words(status.reason) : "");
  buttons.update(status, live);
  const other = status.version !== null && newest !== null && status.version !== newest;
  if (other) setText(byId("other-version"), `Version ${status.version} is in production; this is version ${newest}, the newest.`);
  show(byId("other-version"), other);
  show(byId("no-loops"), status.loops.length === 0);
  paintNumbers();
}

function paintNumbers() {
  graph.paint(counters(status), live);
  loops.paint(status.loops, live);
  paintFacts();
}

function paintFacts() {
  const { iterations, inFlight, failures } = totals(status);
  const facts = {
    "Iterations/s": live ? rate(meter.perSecond) : "–",
    Iterations: count(iterations),
    "In flight": count(inFlight),
    Failures: count(failures),
    Version: status.version ?? "none yet",
    Activation: status.activation || "none yet",
    "Runners alive": live ? status.runners_alive : "–",
  };
  const list = byId("facts");
  if (!list.childElementCount) {
    for (const name of Object.keys(facts)) list.append(el("div", {}, el("dt", {}, name), el("dd", {})));
    list.firstElementChild.append(spark.root);
  }
  Object.values(facts).forEach((value, i) => setText(list.children[i].children[1], value));
  list.children[3].classList.toggle("bad", failures > 0);
}

/** The counters of each node, summed over the slots of its loop. */
function counters({ loops: all }) {
  const found = new Map();
  for (const loop of all) {
    for (const [id, node] of Object.entries(loop.nodes)) {
      const sum = found.get(id) ?? { count: 0, failed: 0, lastMs: 0, executing: false, state: loop.state };
      sum.count += node.count;
      sum.failed += node.failed;
      sum.lastMs = Math.max(sum.lastMs, node.last_ms);
      sum.executing ||= node.executing;
      if (urgency(loop.state) < urgency(sum.state)) sum.state = loop.state;
      found.set(id, sum);
    }
  }
  return found;
}
