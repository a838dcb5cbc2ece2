// Every queue and inbox, live.

import { request, socketAddress } from "./api.js";
import { connect } from "./connection.js";
import { byId, setText, show } from "./dom.js";
import { count, plural } from "./format.js";
import { withQuery } from "./letter_filter.js";
import { sampled } from "./queue_facts.js";
import { QueueRow } from "./queue_row.js";
import { Rows } from "./rows.js";

const PART = 200;
const MOST = 1000;
const EVERY = 4000;
const body = byId("rows");
const search = byId("filter-search");
const kind = byId("filter-kind");
const hovered = matchMedia("(hover: hover)").matches ? ":hover" : ":not(*)"; // a tap leaves :hover behind
const query = new URLSearchParams(location.search);
let order = { key: query.get("sort") ?? "fill", descending: query.get("order") !== "up" };
let loading = false;
let loadedAt = 0;
let total = 0;

const rows = new Rows(body, { key: keyOf, make: (queue) => new QueueRow(queue) });

function keyOf({ workflow_id, name }) {
  return `${workflow_id}\n${name}`;
}

connect(socketAddress("dashboard"), {
  onState: () => Date.now() - loadedAt >= EVERY && load(),
  onEvent: takeEvent,
  onConnection(live) {
    byId("queues").dataset.live = live;
    if (live) load();
  },
});

function takeEvent({ type, workflow_id, queues }) {
  if (type !== "queue_stats") return true;
  for (const [name, stats] of Object.entries(queues)) {
    const row = rows.rows.get(keyOf({ workflow_id, name }));
    row?.update(sampled(row.queue, stats));
  }
  return true;
}

async function load() {
  if (loading || document.hidden) return;
  loading = true;
  try {
    paint(await all());
    show(byId("problem"), false);
  } catch (error) {
    setText(byId("problem"), error.message);
    show(byId("problem"), true);
    show(byId("loading"), false);
  } finally {
    loading = false;
    loadedAt = Date.now();
  }
}

/** Return the queues of every workflow, part by part. */
async function all() {
  const found = { results: [], broken: [], count: 1 };
  while (found.results.length < Math.min(found.count, MOST)) {
    const part = await request("GET", withQuery(["queues"], { limit: PART, offset: found.results.length }));
    found.results.push(...part.results);
    found.broken = part.broken;
    found.count = part.count;
    if (!part.results.length) break;
  }
  return found;
}

function paint({ results, broken, count: number }) {
  total = number;
  rows.show(inOrder(results));
  show(byId("loading"), false);
  show(byId("empty"), number === 0);
  const texts = broken.map(({ workflow_id, message }) => `${workflow_id} cannot be loaded any more: ${message}`);
  setText(byId("broken"), texts.join(" "));
  show(byId("broken"), texts.length > 0);
  arrange();
}

/** Rows that are there keep their place while somebody is at work on them. */
function inOrder(queues) {
  const inUse = body.matches(hovered) || body.contains(document.activeElement);
  const places = new Map([...rows.rows.keys()].map((key, i) => [key, i]));
  if (inUse) return [...queues].sort((a, b) => (places.get(keyOf(a)) ?? 1e9) - (places.get(keyOf(b)) ?? 1e9));
  return sorted(queues.map((queue) => ({ queue, key: QueueRow.prototype.key }))).map(({ queue }) => queue);
}

function sorted(values) {
  const direction = order.descending ? -1 : 1;
  return [...values].sort((a, b) => {
    const [x, y] = [a.key(order.key), b.key(order.key)];
    const difference = typeof x === "string" ? x.localeCompare(y) : x - y;
    return direction * difference || a.key("name").localeCompare(b.key("name"));
  });
}

// Searching and sorting

function arrange() {
  const text = search.value.trim().toLowerCase();
  let shown = 0;
  for (const row of rows.values()) {
    const wanted = row.matches(text, kind.value);
    show(row.root, wanted);
    shown += wanted ? 1 : 0;
  }
  show(byId("queues"), shown > 0);
  show(byId("none-found"), total > 0 && shown === 0);
  const beyond = total > rows.rows.size ? `; the first ${count(rows.rows.size)} were read` : "";
  setText(byId("shown"), total ? `${count(shown)} of ${plural(total, "queue")}${beyond}` : "");
}

function showOrder() {
  for (const head of document.querySelectorAll("th[data-sort]")) {
    const chosen = head.dataset.sort === order.key;
    if (chosen) head.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
}

function remember() {
  const wanted = new URLSearchParams();
  if (search.value) wanted.set("q", search.value);
  if (kind.value) wanted.set("kind", kind.value);
  if (order.key !== "fill") wanted.set("sort", order.key);
  if (!order.descending) wanted.set("order", "up");
  history.replaceState(null, "", `${location.pathname}${wanted.size ? `?${wanted}` : ""}`);
}

function again() {
  arrange();
  remember();
}

for (const head of document.querySelectorAll("th[data-sort]")) {
  head.firstElementChild.addEventListener("click", () => {
    const key = head.dataset.sort;
    order = { key, descending: key === order.key ? !order.descending : key !== "name" };
    showOrder();
    rows.show(sorted(rows.values()).map(({ queue }) => queue));
    again();
  });
}
search.value = query.get("q") ?? "";
kind.value = query.get("kind") ?? "";
if (kind.selectedIndex < 0) kind.value = "";
search.addEventListener("input", again);
kind.addEventListener("change", again);
byId("filter").addEventListener("submit", (event) => event.preventDefault());
showOrder();
