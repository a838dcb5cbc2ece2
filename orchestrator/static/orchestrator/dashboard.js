// The list of all workflows, live.

import { socketAddress } from "./api.js";
import { connect } from "./connection.js";
import { announce, byId, setText, show } from "./dom.js";
import { count, plural, words } from "./format.js";
import { offerExamples, offerImport } from "./new_workflows.js";
import { Row } from "./row.js";
import { apply } from "./status.js";
import { System } from "./system.js";

const body = byId("rows");
const filter = byId("filter");
const search = byId("search");
const hovered = matchMedia("(hover: hover)").matches ? ":hover" : ":not(*)"; // a tap leaves :hover behind
const rows = new Map();
const system = new System();
const query = new URLSearchParams(location.search);
const SHOWN = {
  all: () => true,
  active: (row) => !row.ended,
  attention: (row) => row.attention,
  ended: (row) => row.ended,
};
let live = false;
let order = { key: query.get("sort") ?? "name", descending: query.has("descending") };

const socket = connect(`${socketAddress("dashboard")}?detail=loops`, {
  onState: takeState,
  onEvent: takeEvent,
  onConnection(nowLive) {
    live = nowLive;
    for (const row of rows.values()) row.connection(live);
    system.connection(live);
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
  for (const [id, row] of rows) row.setRates(state.rates.workflows[id] ?? []);
  system.setRates(state.rates.workflows);
  takeSystem({ ...state.system, runners: state.runners_alive });
  arrange();
  byId("workflows").removeAttribute("aria-busy");
  show(byId("loading"), false);
}

function takeStatus(status) {
  let row = rows.get(status.workflow_id);
  if (!row) {
    row = new Row(takeStatus);
    rows.set(status.workflow_id, row);
  }
  const before = row.status?.status;
  row.update(status, live);
  if (before && before !== status.status) announce(`${status.name}: ${words(status.status)} ${words(status.reason)}`);
}

function takeSystem(state) {
  system.update(state, rows.size);
  const none = { queued: state.queued === null ? null : 0, dead_letters: state.dead_letters === null ? null : 0 };
  for (const [id, row] of rows) row.setExtra(state.workflows[id] ?? none);
}

function takeRates(rates) {
  for (const [id, row] of rows) row.addRate(id in rates ? rates[id] : 0);
  system.addRates(Object.values(rates));
  arrange();
}

function takeEvent(event) {
  if (event.type === "rates") takeRates(event.workflows);
  if (event.type === "system") takeSystem(event);
  if (event.workflow_id === undefined) return true;
  const row = rows.get(event.workflow_id);
  if (!row) return false;
  const enough = apply(row.status, event);
  row.paintNumbers();
  return enough;
}

// Choosing, searching and sorting

const chosen = () => filter.elements.show.value;

function arrange({ asked = false } = {}) {
  const text = search.value.trim().toLowerCase();
  const all = [...rows.values()];
  let found = 0;
  for (const row of all) {
    const wanted = SHOWN[chosen()](row) && row.matches(text);
    found += wanted;
    show(row.root, wanted);
  }
  // Rows do not jump away under the pointer or the focus.
  const inUse = body.matches(hovered) || body.contains(document.activeElement);
  if (asked || !inUse || body.childElementCount !== rows.size) sort(all);
  for (const [name, picks] of Object.entries(SHOWN)) setText(byId(`count-${name}`), count(all.filter(picks).length));
  show(filter, rows.size > 0);
  show(byId("workflows"), found > 0);
  show(byId("empty"), rows.size === 0);
  show(byId("none-found"), rows.size > 0 && found === 0);
  setText(byId("shown"), `${count(found)} of ${plural(rows.size, "workflow")} shown`);
}

function sort(all) {
  const direction = order.descending ? -1 : 1;
  const sorted = all.sort((a, b) => {
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
    if (head.dataset.sort !== order.key) head.removeAttribute("aria-sort");
    else head.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
  }
}

function remember() {
  const wanted = new URLSearchParams();
  if (chosen() !== "all") wanted.set("show", chosen());
  if (search.value) wanted.set("q", search.value);
  if (order.key !== "name" || order.descending) wanted.set("sort", order.key);
  if (order.descending) wanted.set("descending", "");
  history.replaceState(null, "", `${location.pathname}${wanted.size ? `?${wanted}` : ""}`);
}

function changed() {
  arrange({ asked: true });
  remember();
}

for (const head of document.querySelectorAll("th[data-sort]")) {
  head.firstElementChild.addEventListener("click", () => {
    const key = head.dataset.sort;
    const numeric = !["name", "state"].includes(key);
    order = { key, descending: key === order.key ? !order.descending : numeric };
    showOrder();
    changed();
  });
}

if (query.get("show") in SHOWN) filter.elements.show.value = query.get("show");
search.value = query.get("q") ?? "";
filter.addEventListener("input", changed);
filter.addEventListener("submit", (event) => event.preventDefault());
byId("show-all").addEventListener("click", () => {
  filter.elements.show.value = "all";
  search.value = "";
  changed();
  search.focus();
});
showOrder();
offerImport(() => socket.resync());
offerExamples(() => socket.resync());
