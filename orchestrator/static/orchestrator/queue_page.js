// One queue: how full, how fast, who writes and reads it, what is in it.

import { address, request, socketAddress } from "./api.js";
import { connect } from "./connection.js";
import { answerOf } from "./dialog.js";
import { byId, el, notify, setText, show } from "./dom.js";
import { age, bytes, count, plural, rate, time } from "./format.js";
import { parse } from "./json_exact.js";
import { fillBar, inHand, nameOf, sampled, stateOf, trend, waiting } from "./queue_facts.js";
import { itemOf } from "./queue_items.js";
import { withQuery } from "./letter_filter.js";
import { sparkline } from "./rates.js";
import { mayOperate } from "./roles.js";

const EVERY = 4000;
const MOST = 60;
const { workflow, queue: name } = document.body.dataset;
const here = ["queues", workflow, name];
const bar = fillBar();
const cards = new Map();
const history = { in_per_second: [], out_per_second: [] };
const sparks = { in_per_second: sparkline(), out_per_second: sparkline() };
let queue = null;
let loadedAt = 0;

byId("fill").append(bar.root);
connect(socketAddress("workflows", workflow), {
  onState: () => Date.now() - loadedAt >= EVERY && load(),
  onEvent({ type, queues }) {
    if (type === "queue_stats" && queues[name] && queue) take(sampled(queue, queues[name]));
    return true;
  },
  onConnection: (live) => live && queue && load(),
});

async function load() {
  loadedAt = Date.now();
  try {
    take(await request("GET", address(...here)));
    show(byId("problem"), false);
  } catch (error) {
    fail(error);
  }
}

function fail(error) {
  setText(byId("problem"), error.message);
  show(byId("problem"), true);
}

function take(found) {
  const first = queue === null;
  queue = found;
  const [word, tone] = stateOf(queue);
  byId("state").dataset.tone = tone;
  setText(byId("state"), word);
  setText(byId("trend"), trend(queue));
  setText(byId("name"), nameOf(queue));
  bar.paint(queue);
  remember();
  paintFacts();
  paintEnds();
  show(byId("purge"), mayOperate);
  byId("purge").disabled = waiting(queue) === 0;
  byId("purge").title = waiting(queue) ? "" : queue.depth ? "All that is in it is in hand" : "Nothing is in it";
  show(byId("parts"), true);
  if (first) look();
}

function remember() {
  for (const [key, values] of Object.entries(history)) {
    values.push(queue[key]);
    if (values.length > MOST) values.shift();
    sparks[key].draw(values);
  }
}

function paintFacts() {
  const limit = queue.max_length === null ? "" : ` of ${count(queue.max_length)}`;
  const speed = (value) => (value === null ? "–" : rate(value));
  card("Items", `${count(queue.depth)}${limit}`);
  card("Size", bytes(queue.bytes));
  card("Oldest", queue.oldest_age === null ? "–" : age(queue.oldest_age));
  card("In/s", speed(queue.in_per_second), sparks.in_per_second.root);
  card("Out/s", speed(queue.out_per_second), sparks.out_per_second.root);
  card("In hand", count(inHand(queue)));
  if (queue.delayed !== null) card("Tried again later", count(queue.delayed));
  if (queue.overflow) card("When full", queue.overflow.replaceAll("_", " "));
  if (queue.dropped) card("Dropped", count(queue.dropped));
}

/** Show a number; its place stays the same element. */
function card(title, text, ...more) {
  let value = cards.get(title);
  if (!value) {
    value = el("dd", {});
    cards.set(title, value);
    byId("facts").append(el("div", {}, el("dt", {}, title), value, ...more));
  }
  setText(value, text);
}

function paintEnds() {
  const writers = queue.writers.map((writer) => {
    const limits = `up to ${count(writer.max_length)} items, ${bytes(writer.max_bytes)}; when full: ${writer.overflow.replaceAll("_", " ")}`;
    return el("li", {}, nodeLink(writer.node), ` in loop ${writer.loop}`, el("small", { class: "muted" }, limits));
  });
  if (queue.kind === "inbox") writers.push(el("li", {}, "Replays of dead letters, and items that are tried again."));
  const hands = Object.entries(queue.in_hand).map(([slot, number]) => `slot ${slot} has ${count(number)} in hand`);
  const readers = queue.readers.map((loop) => el("li", {}, nodeLink(loop), " begins the loop", el("small", { class: "muted" }, hands.join(", ") || "nothing in hand")));
  const nobody = (text) => el("li", { class: "muted" }, text);
  replace("writers", writers.length ? writers : [nobody("Nobody.")]);
  replace("readers", readers.length ? readers : [nobody("Nobody: what is written stays in it.")]);
}

/** Lists are made anew only when they say something else, so that the focus stays. */
function replace(id, items) {
  const text = items.map((item) => item.textContent).join("\n");
  if (byId(id).dataset.said === text) return;
  byId(id).dataset.said = text;
  byId(id).replaceChildren(...items);
}

function nodeLink(node) {
  return el("a", { href: `${address("studio", workflow)}?${new URLSearchParams({ node, tab: "input" })}` }, `Node ${node}`);
}

// Looking into it

async function look() {
  try {
    const url = withQuery([...here, "items"], { count: byId("peek-count").value });
    const { results } = await request("GET", url, undefined, parse);
    byId("items").replaceChildren(...results.map(itemOf));
    show(byId("items-none"), results.length === 0);
    setText(byId("items-about"), `${plural(results.length, "item")}, as of ${time(Date.now())}`);
  } catch (error) {
    fail(error);
  }
}

byId("peek").addEventListener("submit", (event) => {
  event.preventDefault();
  look();
});
byId("peek-count").addEventListener("change", look);

// Emptying it

async function purge() {
  await load();
  const hand = inHand(queue);
  setText(byId("purge-title"), `Purge ${nameOf(queue)} of ${workflow}?`);
  const stay = hand ? ` ${count(hand)} in hand stay.` : "";
  setText(byId("purge-text"), `${items(waiting(queue))} will be removed for good: they become no dead letters.${stay}`);
  setText(byId("purge-wanted"), name);
  setText(byId("purge-yes"), `Remove ${items(waiting(queue))}`);
  byId("purge-name").value = "";
  byId("purge-yes").disabled = true;
  const given = await answerOf(byId("purge-dialog"));
  if (!given) return;
  try {
    const { removed } = await request("POST", address(...here, "purge"), { confirm: given.get("confirm") });
    notify(`${items(removed)} removed.`);
    await load();
    await look();
  } catch (error) {
    notify(`Purge: ${error.message}`, "bad");
  }
}

const items = (number) => plural(number, "item");

byId("purge").addEventListener("click", purge);
byId("purge-name").addEventListener("input", ({ target }) => {
  byId("purge-yes").disabled = target.value !== name;
});
load();
