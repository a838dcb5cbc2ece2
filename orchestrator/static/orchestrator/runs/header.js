// The head of a run's page: status, facts, and why it failed.

import { address } from "../api.js";
import { byId, el, setText, show } from "../dom.js";
import { ago, count, time, words } from "../format.js";
import { isActive, lasted, paintStatus, shortId, span } from "./words.js";

export function paintHeader(run, graph, { steps, live, choose }) {
  const name = graph?.name ?? run.graph_id;
  setText(byId("name"), name);
  const crumb = byId("crumb-graph");
  show(crumb, true);
  setText(crumb, name);
  crumb.href = `${document.body.dataset.runs}?${new URLSearchParams({ graph: run.graph_id })}`;
  crumb.after(crumb.dataset.slash ? "" : " / ");
  crumb.dataset.slash = "yes";
  paintStatus(byId("state"), run.status, live || !isActive(run.status));
  setText(byId("state-note"), run.cancel_requested && isActive(run.status) ? "is being cancelled …" : run.message && !run.error ? run.message : "");
  paintFacts(run, steps);
  paintFailure(run, choose);
}

function paintFacts(run, steps) {
  const seconds = lasted(run);
  const pairs = [
    ["Duration", seconds === null ? "–" : span(seconds), isActive(run.status) ? "so far" : run.attempt > 1 ? "of the last attempt" : ""],
    ["Steps", count(run.steps), `of at most ${count(run.max_steps)}`],
    ["Failed steps", count(steps.failed), "", steps.failed > 0],
    ["Created", ago(run.created_at), time(run.created_at)],
    ["Attempt", String(run.attempt), run.checkpoint_every ? `a checkpoint every ${run.checkpoint_every === 1 ? "step" : `${count(run.checkpoint_every)} steps`}` : "few checkpoints"],
    ["Worker", run.owner || "–", run.timeout ? `time limit ${span(run.timeout)}` : ""],
  ];
  const root = byId("facts");
  pairs.forEach(([name, value, note, bad], i) => {
    const box = root.children[i] ?? root.appendChild(el("div", {}, el("dt", {}), el("dd", {}, el("span", {}), el("small", {}))));
    setText(box.firstChild, name);
    const [shown, small] = box.lastChild.children;
    setText(shown, value);
    setText(small, note);
    box.classList.toggle("bad", Boolean(bad));
  });
  parentFact(run, root, pairs.length);
}

function parentFact({ parent }, root, place) {
  if (!parent || root.children[place]) return;
  const link = el("a", { href: address("runs", parent.run) }, shortId(parent.run));
  const note = el("small", {}, `at checkpoint ${parent.checkpoint}`);
  root.append(el("div", {}, el("dt", {}, "Forked from"), el("dd", {}, link, note)));
}

function paintFailure({ error, message }, choose) {
  const box = byId("failure");
  show(box, Boolean(error));
  if (!error || box.dataset.shown === JSON.stringify(error)) return;
  box.dataset.shown = JSON.stringify(error);
  const head = [el("strong", {}, error.error_type || words(error.code))];
  if (error.node) {
    const open = () => choose(error.node);
    head.push(" in ", el("button", { type: "button", class: "link", click: open }, error.node));
  }
  const problems = (error.problems ?? []).map((each) => el("li", {}, `${each.path}: ${each.message}`));
  box.replaceChildren(
    el("p", {}, ...head),
    el("p", { class: "failure-text" }, error.message || message),
    ...(problems.length ? [el("ul", { class: "problems" }, ...problems)] : []),
  );
}
