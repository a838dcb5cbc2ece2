// One run: what it is, its timeline, its steps, and what each of them changed.

import { address, request, socketAddress } from "../api.js";
import { connect } from "../connection.js";
import { announce, byId, el, notify, setText, show } from "../dom.js";
import { count } from "../format.js";
import { RunActions } from "./actions.js";
import { Checkpoints } from "./checkpoints.js";
import { Drawing } from "./drawing.js";
import { Gantt } from "./gantt.js";
import { paintHeader } from "./header.js";
import { StartDialog } from "./start.js";
import { StatePanel } from "./state_panel.js";
import { StepList } from "./step_list.js";
import { StepPanel } from "./step_panel.js";
import { Steps } from "./steps.js";
import { Tabs } from "./tabs.js";
import { watchWorkers } from "./workers.js";
import { isActive, span } from "./words.js";

const TICK = 1000;

const { run: runId, runs: runsPage } = document.body.dataset;
const query = new URLSearchParams(location.search);
const steps = new Steps(runId);
const gantt = new Gantt(byId("gantt"), steps, { chosen: choose, pointed: readOut });
const list = new StepList(byId("steps"), steps, { chosen: choose });
const panel = new StepPanel(byId("panel-step"), runId, { fork });
const state = new StatePanel(byId("panel-state"), runId);
const checkpoints = new Checkpoints(byId("panel-checkpoints"), runId, { fork });
const actions = new RunActions(byId("actions"), { done });
const dialog = new StartDialog();
const tabs = new Tabs(byId("tabs"), openTab);

let run = null;
let graph = null;
let drawing = null;
let selected = null;
let live = false;
let workers = null;

// The run

function takeRun(news) {
  const before = run?.status;
  run = { ...run, ...news };
  if (before && before !== run.status) announce(`The run is ${run.status}`);
  paintHeader(run, graph, { steps, live, choose: chooseNode });
  actions.update(run, live);
  show(byId("waiting"), run.status === "pending" && workers === 0);
}

async function loadRun() {
  try {
    takeRun(await request("GET", address("graph", "runs", runId)));
    state.changed();
  } catch (error) {
    notify(error.message, "bad");
  }
}

function done(name, answer) {
  if (name === "again") {
    dialog.open([{ graph_id: run.graph_id, name: graph?.name ?? run.graph_id }], run.graph_id, runId);
  } else if (name === "remove") {
    location.assign(runsPage);
  } else {
    takeRun(answer);
  }
}

async function fork(checkpoint) {
  try {
    const made = await request("POST", address("graph", "runs", runId, "fork"), { checkpoint });
    location.assign(address("runs", made.run_id));
  } catch (error) {
    notify(`Fork: ${error.message}`, "bad");
  }
}

// Its steps

function wanted() {
  return steps.matching(byId("step-node").value, byId("step-failed").checked);
}

function paintSteps() {
  const positions = wanted();
  const follow = byId("step-follow").checked && isActive(run.status);
  list.update(positions, follow);
  gantt.update({ active: isActive(run.status), groups: panel.groups });
  const all = `${count(steps.last)} in all`;
  setText(byId("steps-count"), positions ? `${count(positions.length)} of ${count(steps.last)}` : all);
  show(byId("following"), isActive(run.status));
  show(byId("no-steps"), list.length === 0);
  setText(byId("no-steps"), steps.last ? "No step matches." : isActive(run.status) ? "None has ended yet." : "It took none.");
  show(byId("steps"), list.length > 0);
  for (const node of steps.byNode.keys()) {
    if (![...byId("step-node").options].some(({ value }) => value === node)) byId("step-node").append(el("option", { value: node }, node));
  }
  drawing?.paint(turns(), byId("step-node").value);
  paintHeader(run, graph, { steps, live, choose: chooseNode });
}

let painting = null;
const paintSoon = () => {
  painting ??= setTimeout(() => {
    painting = null;
    paintSteps();
  }, 200);
};

function turns() {
  return new Map([...steps.byNode].map(([node, rows]) => [node, { times: rows.length, failed: rows.filter((step) => step.failed).length }]));
}

async function loadSteps() {
  try {
    await steps.load(paintSoon);
  } catch (error) {
    notify(`Steps: ${error.message}`, "bad");
  }
  paintSteps();
}

function choose(step) {
  selected = step;
  gantt.select(step);
  list.select(step);
  tabs.open("step");
  panel.show(step, steps.at(1).start);
  remember();
}

/** Show the steps of a node, and of these the newest that failed, or the newest. */
async function chooseNode(node) {
  if (!steps.byNode.has(node)) await loadSteps();
  byId("step-node").value = node;
  byId("step-follow").checked = false;
  paintSteps();
  const last = steps.byNode.get(node)?.findLast((step) => step.failed) ?? steps.byNode.get(node)?.at(-1);
  if (last) choose(last);
}

function readOut(step) {
  const place = step ?? selected;
  setText(byId("gantt-readout"), place ? `Step ${count(place.position)} · ${place.node} · ${span(place.seconds)}${place.failed ? " · failed" : ""}` : "");
}

for (const id of ["step-node", "step-failed"]) byId(id).addEventListener("change", paintSteps);
byId("step-follow").addEventListener("change", paintSteps);
byId("zoom-in").addEventListener("click", () => gantt.zoomBy(2));
byId("zoom-out").addEventListener("click", () => gantt.zoomBy(0.5));
byId("zoom-fit").addEventListener("click", () => gantt.zoomBy(0));

// The panels

function openTab(name) {
  if (name === "checkpoints") checkpoints.load();
  if (name === "state") state.open();
  else state.visible = false;
  remember();
}

function remember() {
  const kept = new URLSearchParams();
  if (tabs.current && tabs.current !== "step") kept.set("tab", tabs.current);
  if (selected) kept.set("step", selected.position);
  history.replaceState(null, "", `${location.pathname}${kept.size ? `?${kept}` : ""}`);
}

async function loadGraph() {
  const root = byId("panel-graph");
  try {
    graph = await request("GET", address("graph", run.graph_id));
    panel.groups = new Map(
      graph.definition.nodes
        .filter(({ type }) => type === "group")
        .map(({ id, data }) => [id, (data?.form?.members ?? []).map(({ name }) => name)]),
    );
    const place = el("div", { class: "drawing" });
    root.replaceChildren(el("p", { class: "muted" }, "A node shows how often it had its turn; choose one to see its steps."), place);
    drawing = new Drawing(place, graph.definition, { chosen: chooseNode });
  } catch (error) {
    root.replaceChildren(el("p", { class: "problem" }, error.message));
  }
}

// The socket

function takeState({ status, steps: taken, error, message, log }) {
  const changed = status !== run.status;
  const moved = changed || taken !== run.steps;
  takeRun({ status, steps: taken, error, message });
  const whole = log.every((step) => steps.take(step));
  if (!whole) loadSteps();
  else paintSoon();
  if (changed) loadRun();
  if (moved) state.changed();
}

function takeEvent(event) {
  if (event.type === "run_status") {
    loadRun();
    if (!isActive(event.status)) loadSteps(); // its last steps may be told a moment later
  }
  if (event.type !== "run_step") return true;
  if (!steps.take(event.step)) return false;
  if (run.status === "pending") loadRun();
  run.steps = Math.max(run.steps, event.step.number);
  paintSoon();
  state.changed();
  return true;
}

function watch() {
  connect(socketAddress("runs", runId), {
    onState: takeState,
    onEvent: takeEvent,
    onConnection(now) {
      live = now;
      takeRun({});
    },
  });
  watchWorkers((alive) => {
    workers = alive;
    takeRun({});
  });
  setInterval(() => isActive(run.status) && live && (takeRun({}), gantt.update({ active: true, groups: panel.groups })), TICK);
}

async function begin() {
  try {
    run = await request("GET", address("graph", "runs", runId));
  } catch (error) {
    setText(byId("problem"), error.status === 404 ? "There is no such run; it may have been deleted." : error.message);
    show(byId("problem"), true);
    return;
  }
  show(byId("parts"), true);
  takeRun({});
  await Promise.all([loadGraph(), loadSteps()]);
  paintSteps();
  tabs.open(query.get("tab") ?? "step");
  const step = steps.at(Number(query.get("step")));
  if (step) choose(step);
  watch();
}

begin();
