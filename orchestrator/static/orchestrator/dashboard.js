// The list of all workflows, live.

import { readiness, socketAddress } from "./api.js";
import { connect } from "./connection.js";
import { announce, byId, setText, show } from "./dom.js";
import { count, words } from "./format.js";
import { Row } from "./row.js";
import { apply } from "./status.js";

const CHECK_SYSTEM_EVERY = 10_000;
const body = byId("rows");
const search = byId("search");
const hovered = matchMedia("(hover: hover)").matches ? ":hover" : ":not(*)"; // a tap leaves :hover behind
const rows = new Map();
const query = new URLSearchParams(location.search);
let live = false;
let order = { key: query.get("sort") ?? "name", descending: query.has("descending") };

const socket = connect(socketAddress("dashboard"), {
  onState: takeState,
  onEvent: takeEvent,
  onConnection(nowLive) {
    live = nowLive;
    for (const row of rows.values()) row.connection(live);
    if (live) checkSystem();
    else paintSystem({ checks: {} });
  },
});

function takeState(state) {
  const known = new Set(state.workflows.map((w) => w.workflow_id));
  for (const [id, row] of rows) {
    if (known.has(id)) continue;
    row.root.remove();
    rows.delete(id);
  }
  state.workflows.forEach(takeStatus);
  paintRunners(state.runners_alive);
  arrange();
  byId("workflows").removeAttribute("aria-busy");
  show(byId("loading"), false);
}

function takeStatus(status) {
  let row = rows.get(status.workflow_id);
  if (!row) {
    row = new Row((changed) => takeStatus(changed));
    rows.set(status.workflow_id, row);
  }
  const before = row.status?.status;
  row.update(status, live);
  if (before && before !== status.status) announce(`${status.name}: ${words(status.status)} ${words(status.reason)}`);
}

function takeEvent(event) {
  const row = rows.get(event.workflow_id);
  if (!row) return false;
  const enough = apply(row.status, event);
  row.paintNumbers();
  return enough;
}

// Searching and sorting

function arrange({ asked = false } = {}) {
  const text = search.value.trim().toLowerCase();
  const found = [...rows.values()].filter((row) => row.matches(text));
  for (const row of rows.values()) show(row.root, row.matches(text));
  // Rows do not jump away under the pointer or the focus.
  const inUse = body.matches(hovered) || body.contains(document.activeElement);
  if (asked || !inUse || body.childElementCount !== rows.size) sort();
  show(byId("workflows"), rows.size > 0);
  show(byId("empty"), rows.size === 0);
  show(byId("none-found"), rows.size > 0 && found.length === 0);
  const all = `${count(rows.size)} workflow${rows.size === 1 ? "" : "s"}`;
  setText(byId("shown"), text ? `${count(found.length)} of ${all}` : all);
}

function sort() {
  const direction = order.descending ? -1 : 1;
  const sorted = [...rows.values()].sort((a, b) => {
    const [x, y] = [a.key(order.key), b.key(order.key)];
    const difference = typeof x === "string" ? x.localeCompare(y) : x - y;
    return direction * difference || a.key("name").localeCompare(b.key("name"));
  });
  sorted.forEach((row, i) => {
    if (body.children[i] !== row.root) body.insertBefore(row.root, body.children[i] ?? null);
  });
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
  if (order.key !== "name" || order.descending) wanted.set("sort", order.key);
  if (order.descending) wanted.set("descending", "");
  history.replaceState(null, "", `${location.pathname}${wanted.size ? `?${wanted}` : ""}`);
}

for (const head of document.querySelectorAll("th[data-sort]")) {
  head.firstElementChild.addEventListener("click", () => {
    const key = head.dataset.sort;
    const numeric = !["name", "state"].includes(key);
    order = { key, descending: key === order.key ? !order.descending : numeric };
    showOrder();
    arrange({ asked: true });
    remember();
  });
}

search.value = query.get("q") ?? "";
search.addEventListener("input", () => {
  arrange();
  remember();
});
showOrder();

setInterval(() => {
  if (!live) return;
  for (const row of rows.values()) row.sample();
  arrange();
}, 1000);

// The system

function light(id, tone, text) {
  byId(id).dataset.tone = tone;
  setText(byId(id), text);
}

function paintRunners(alive) {
  light("system-runners", alive ? "good" : "bad", alive === 1 ? "1 runner" : `${alive} runners`);
  show(byId("no-runner"), alive === 0 && rows.size > 0);
}

function paintSystem({ checks }) {
  for (const [name, title] of [["redis", "Redis"], ["database", "Database"]]) {
    const state = live ? checks[name] : undefined;
    const tone = state === undefined ? "unknown" : state === "ok" ? "good" : "bad";
    light(`system-${name}`, tone, tone === "bad" ? `${title} away` : title);
    byId(`system-${name}`).title = state ?? "not known";
  }
  if (!live) light("system-runners", "unknown", "Runners");
}

async function checkSystem() {
  if (document.hidden || !live) return;
  try {
    paintSystem(await readiness());
  } catch {
    paintSystem({ checks: {} });
  }
}

setInterval(checkSystem, CHECK_SYSTEM_EVERY);
