// One dead letter: why it failed, with what, and what is to become of it.

import { address, request, socketAddress } from "./api.js";
import { connect } from "./connection.js";
import { byId, el, notify, setText, show } from "./dom.js";
import { plural, time } from "./format.js";
import { parse } from "./json_exact.js";
import { jsonTree } from "./json_tree.js";
import { jsonView } from "./json_view.js";
import { discardMany, waitsBecause } from "./letter_actions.js";
import { attempts, facts } from "./letter_facts.js";
import { LetterFilter, withQuery } from "./letter_filter.js";
import { Payload } from "./letter_payload.js";
import { paintStatus, titleOf } from "./letter_rows.js";
import { mayOperate } from "./roles.js";

const here = ["dead-letters", document.body.dataset.letter];
const filter = new LetterFilter(location.search);
const back = `${address("dead-letters")}${filter.search}`;
let letter = null;

const payload = new Payload({
  save: (changes) => change("PATCH", [], changes),
  replay: (origin, changes) => replay(origin, changes),
});

byId("back").href = back;
connect(socketAddress("dashboard"), {
  onState: followUp,
  onEvent: () => true,
  onConnection: () => {},
});

/** A replay goes its way: tell when it is in the inbox, and when it has failed again. */
async function followUp() {
  if (document.hidden || !letter) return;
  if (letter.status === "replaying") await load();
  if (letter.status !== "replayed") return;
  const url = withQuery(["dead-letters"], { origin: letter.id, limit: 1 });
  const { results: [again] } = await request("GET", url).catch(() => ({ results: [] }));
  if (!again || byId("again").firstChild) return;
  byId("again").append("It failed again: ", el("a", { href: address("dead-letters", again.id) }, `dead letter ${again.id}`), ".");
  show(byId("again"), true);
}

async function load() {
  try {
    take(await request("GET", address(...here), undefined, parse));
    show(byId("problem"), false);
  } catch (error) {
    fail(error);
  }
}

function fail(error) {
  setText(byId("problem"), [error.message, ...(error.details ?? []).map((d) => `${d.path}: ${d.message}`)].join(" "));
  show(byId("problem"), true);
}

/** Send a change; the letter that comes back is shown. Returns false when it was refused. */
async function change(method, path, body) {
  try {
    const answer = await request(method, address(...here, ...path), body, parse);
    show(byId("problem"), false);
    if (path[0] === "replay") await load();
    else take(answer);
    return answer;
  } catch (error) {
    fail(error);
    byId("problem").scrollIntoView({ block: "nearest" });
    if (error.status === 409) await reloadKeeping();
    return false;
  }
}

/** Somebody else was first: show how it is now, and still say what was refused. */
async function reloadKeeping() {
  const said = byId("problem").textContent;
  await load();
  setText(byId("problem"), said);
  show(byId("problem"), true);
}

async function replay(origin, changes) {
  if (changes && !(await change("PATCH", [], changes))) return false;
  const answer = await change("POST", ["replay"], { from: origin });
  if (!answer) return false;
  notify(["It is on its way with the same item id.", waitsBecause(answer.workflow_id, answer.workflow_status)].join(" "));
  await offerNext();
  return true;
}

async function discard() {
  if (!(await discardMany({ ids: [letter.id] }, `${titleOf(letter)} at node ${letter.node_id} of ${letter.workflow_id}.`))) return;
  await load();
  await offerNext();
}

/** Lead to the next letter of the list that somebody came from. */
async function offerNext() {
  const { results, count: left } = await request("GET", withQuery(["dead-letters"], { ...filter.asked(), status: "dead", limit: 2 }));
  const next = results.find(({ id }) => id !== letter.id);
  const outcome = byId("outcome");
  const link = next && el("a", { href: `${address("dead-letters", next.id)}${filter.search}` }, "Next letter");
  const rest = next ? ` ${plural(left, "letter")} of this list ${left === 1 ? "is" : "are"} still dead.` : " No other letter of this list is dead.";
  outcome.append(rest, " ", link ?? el("a", { href: back }, "Back to the list"));
  (outcome.querySelector("a") ?? outcome).focus();
}

function take(found) {
  letter = found;
  document.title = `${titleOf(letter)} · Dead letter ${letter.id} · Workflow Orchestrator`;
  setText(byId("name"), titleOf(letter));
  paintStatus(byId("status"), letter.status);
  setText(byId("message"), letter.message || "no message");
  const query = new URLSearchParams({ node: letter.node_id, mode: "bench", dead_letter: letter.id });
  byId("bench").href = `${address("studio", letter.workflow_id)}?${query}`;
  const dead = letter.status === "dead" && mayOperate;
  show(byId("bench"), Boolean(letter.node_id));
  show(byId("discard"), dead);
  byId("facts").replaceChildren(...facts(letter));
  payload.show(letter, dead);
  paintNote(dead);
  show(byId("trace-part"), Boolean(letter.trace));
  byId("trace").replaceChildren(...jsonView(letter.trace, "trace.txt"));
  show(byId("attempts-part"), letter.attempts.length > 1);
  byId("attempts").replaceChildren(...attempts(letter));
  byId("headers").replaceChildren(jsonTree(letter.headers));
  paintOutcome();
  show(byId("parts"), true);
}

function paintNote(dead) {
  const note = byId("note");
  show(byId("note-form"), dead || Boolean(letter.note));
  if (document.activeElement !== note) note.value = letter.note;
  note.readOnly = !dead;
  show(byId("note-save"), note.value !== letter.note);
}

function paintOutcome() {
  const said = outcomeOf(letter);
  show(byId("outcome"), Boolean(said));
  if (said && byId("outcome").dataset.said !== said) byId("outcome").replaceChildren(said);
  byId("outcome").dataset.said = said;
}

function outcomeOf({ status, replay_from, replayed_by, replayed_at, replay_at, discarded_by, discarded_at }) {
  const from = replay_from === "node" ? "from the node that failed" : "from the start of its loop";
  const who = (name) => (name ? ` by ${name}` : "");
  if (status === "replaying") return `On its way ${from}${who(replayed_by)}, asked for ${time(replay_at)}.`;
  if (status === "replayed") return `Replayed ${from}${who(replayed_by)}, ${time(replayed_at)}. If it fails again, that is a new dead letter.`;
  if (status === "discarded") return `Discarded${who(discarded_by)}, ${time(discarded_at)}.`;
  return "";
}

byId("discard").addEventListener("click", discard);
byId("note").addEventListener("input", ({ target }) => show(byId("note-save"), target.value !== letter.note));
byId("note-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await change("PATCH", [], { note: byId("note").value })) notify("The note is saved.");
});
load().then(followUp);
