// Replaying and discarding, one or many; many are asked about with their number.

import { address, request } from "./api.js";
import { answerOf } from "./dialog.js";
import { byId, notify, setText } from "./dom.js";
import { count, plural, words } from "./format.js";
import { withQuery } from "./letter_filter.js";

const RUNS = ["running", "starting", "blocked", "degraded", "completed"];

/** How many letters a selection hits now: those that are dead. */
async function hits(selection) {
  if (selection.ids) return selection.ids.length;
  const url = withQuery(["dead-letters"], { ...selection.filter, status: "dead", limit: 1 });
  return (await request("GET", url)).count;
}

/** Ask, then replay; true when it was done. `where` says which letters these are. */
export function replayMany(selection, where) {
  return attempt("Replay", async () => {
    const number = await hits(selection);
    if (!number) return nothingLeft();
    setText(byId("replay-title"), `Replay ${plural(number, "dead letter")}?`);
    setText(byId("replay-text"), `${where} Each goes into its loop's inbox once, with the same item id.`);
    setText(byId("replay-yes"), `Replay ${count(number)}`);
    const given = await answerOf(byId("replay-dialog"));
    if (!given) return false;
    const body = { ...selection, from: given.get("from"), per_second: Number(given.get("per_second")) };
    const done = await request("POST", address("dead-letters", "replay"), body);
    notify([`${plural(done.count, "letter")} ${done.count === 1 ? "is" : "are"} on the way.`, left(done), ...waiting(done.workflows)].join(" "));
    return true;
  });
}

/** Ask, then discard; true when it was done. */
export function discardMany(selection, where) {
  return attempt("Discard", async () => {
    const number = await hits(selection);
    if (!number) return nothingLeft();
    setText(byId("discard-title"), `Discard ${plural(number, "dead letter")}?`);
    setText(byId("discard-text"), `${where} They stay to be looked at, but cannot be replayed any more.`);
    setText(byId("discard-yes"), `Discard ${count(number)}`);
    const given = await answerOf(byId("discard-dialog"));
    if (!given) return false;
    const note = given.get("note").trim();
    const body = note ? { ...selection, note } : selection;
    const done = await request("POST", address("dead-letters", "discard"), body);
    notify([`${plural(done.count, "letter")} discarded.`, left(done)].join(" "));
    return true;
  });
}

function nothingLeft() {
  notify("None of them is dead any more.");
  return true;
}

const left = ({ skipped }) => (skipped ? `${count(skipped)} left as they are: no longer dead, or without a place in the active version.` : "");

/** What keeps replayed items of workflows from being worked on. */
function waiting(workflows) {
  return Object.entries(workflows)
    .filter(([, status]) => !RUNS.includes(status))
    .map(([id, status]) => `${id} is ${words(status)}: they wait in its inbox.`);
}

export const waitsBecause = (id, status) => waiting({ [id]: status }).join(" ").replace("they wait", "it waits");

async function attempt(what, work) {
  try {
    return await work();
  } catch (error) {
    notify([`${what}: ${error.message}`, ...(error.details ?? []).map((d) => d.message)].join(" "), "bad");
    return false;
  }
}

