// The dead letters page: what failed for good, by error or one by one.

import { request, socketAddress } from "./api.js";
import { connect } from "./connection.js";
import { announce, byId, el, setText, show } from "./dom.js";
import { count, plural, words } from "./format.js";
import { FURTHER, LetterFilter, PAGE, TEXTS, withQuery } from "./letter_filter.js";
import { GroupRow, LetterRow, titleOf } from "./letter_rows.js";
import { Selection } from "./letter_selection.js";
import { Rows } from "./rows.js";

const AT_MOST_EVERY = 2000;
const REST = 10; // a search that takes long is asked that many times more rarely
const TYPING = 250;
const hovered = matchMedia("(hover: hover)").matches ? ":hover" : ":not(*)"; // a tap leaves :hover behind
let filter = new LetterFilter(location.search);
let newest = 0;
let asked = 0;
let awaited = false;
let shownNewest = null;
let timer = null;
let loadedAt = 0;
let pause = AT_MOST_EVERY;
let total = 0;

const groups = new Rows(byId("group-rows"), {
  key: (group) => group.fingerprint,
  make: (group) => new GroupRow(group, { filter: () => filter, newest: () => newest, changed: load }),
});
const letters = new Rows(byId("letter-rows"), {
  key: (letter) => letter.id,
  make: (letter) => new LetterRow(letter, { filter: () => filter, selected: () => selection.paint() }),
});
const selection = new Selection({
  letters,
  total: () => total,
  filter: () => (filter.status === "dead" ? { ...filter.asked(), max_id: newest } : null),
  changed: load,
});

connect(socketAddress("dashboard"), {
  onState: refresh,
  onEvent(event) {
    if (event.type === "node_failed") refresh();
    return true;
  },
  onConnection: (live) => live && refresh(),
});

// Loading

/** Look again soon; many failures in a row cause one request. */
function refresh() {
  if (document.hidden || document.querySelector("dialog[open]")) return;
  timer ??= setTimeout(() => {
    timer = null;
    load({ gently: true });
  }, Math.max(0, loadedAt + pause - Date.now()));
}

/** Show what the filter asks for; `gently` leaves alone what somebody is at work on or waits for. */
async function load({ gently = false } = {}) {
  if (gently && awaited) return;
  const turn = ++asked;
  awaited = !gently;
  loadedAt = Date.now();
  const wanted = filter.asked();
  const oneByOne = filter.oneByOne;
  const part = { limit: PAGE, offset: filter.offset };
  try {
    const overview = await request("GET", withQuery(["dead-letters", "groups"], { ...wanted, ...(oneByOne ? { limit: 1 } : part) }));
    if (turn !== asked) return;
    const busy = gently && oneByOne && inUse();
    const list = oneByOne && !busy ? await request("GET", withQuery(["dead-letters"], { ...wanted, ...part, max_id: overview.newest })) : null;
    if (turn !== asked) return;
    paint(overview, list, oneByOne);
  } catch (error) {
    if (turn === asked) fail(error);
  } finally {
    if (turn === asked) awaited = false;
    pause = Math.max(AT_MOST_EVERY, REST * (Date.now() - loadedAt));
  }
}

/** Rows do not jump away under the pointer, the focus or a selection. */
function inUse() {
  const body = byId("letter-rows");
  return body.matches(hovered) || body.contains(document.activeElement) || selection.any;
}

function fail(error) {
  const details = error.details?.map((detail) => `${detail.path}: ${detail.message}`) ?? [];
  setText(byId("problem"), [error.message, ...details].join(" "));
  show(byId("problem"), true);
  show(byId("loading"), false);
}

// Painting

function paint(overview, list, oneByOne) {
  show(byId("problem"), false);
  show(byId("loading"), false);
  paintTabs(overview.statuses);
  if (oneByOne) paintLetters(overview, list);
  else {
    newest = overview.newest;
    total = overview.count;
    groups.show(overview.results);
  }
  paintGroup(oneByOne && filter.get("fingerprint") ? overview.results[0] : null);
  const some = oneByOne ? letters.rows.size > 0 : groups.rows.size > 0;
  show(byId("groups"), !oneByOne && some);
  show(byId("letters"), oneByOne && some);
  byId("letters").dataset.shows = filter.status;
  show(byId("none"), !some);
  if (!some) paintNone(overview.statuses);
  paintPages(oneByOne ? letters.rows.size : groups.rows.size, oneByOne ? "letter" : "error");
  selection.paint();
}

function paintLetters(overview, list) {
  if (list) {
    newest = overview.newest;
    shownNewest = list.count;
    total = list.count;
    letters.show(list.results);
  }
  const there = filter.status === "all" ? sum(overview.statuses) : overview.statuses[filter.status];
  const more = there - (shownNewest ?? 0);
  const late = !list && more !== 0;
  show(byId("news"), late);
  if (late) setText(byId("news-show"), more > 0 ? `Show ${plural(more, "new letter")}` : "The list has changed: show it anew");
}

const sum = (statuses) => Object.values(statuses).reduce((a, b) => a + b, 0);

function paintTabs(statuses) {
  for (const tab of document.querySelectorAll("[data-status]")) {
    const { status } = tab.dataset;
    const number = status === "all" ? sum(statuses) : statuses[status];
    setText(tab.querySelector(".count"), count(number));
    tab.href = filter.with({ status: status === "dead" ? "" : status }).search || "?";
    if (status === filter.status) tab.setAttribute("aria-current", "true");
    else tab.removeAttribute("aria-current");
  }
}

/** The error whose letters are shown. */
function paintGroup(group) {
  const box = byId("group");
  show(box, Boolean(group));
  if (!group || box.dataset.newest === `${group.newest}`) return;
  box.dataset.newest = group.newest;
  const where = `${words(group.reason)} · ${group.workflow_id} · node ${group.node_id}`;
  box.replaceChildren(
    el("div", {}, el("h2", {}, titleOf(group)), el("p", { class: "says" }, group.message.slice(0, 1000)), el("small", { class: "muted" }, where)),
    el("a", { class: "button", href: filter.with({ fingerprint: "" }).search || "?", "data-here": "" }, "All errors"),
  );
}

function paintNone(statuses) {
  const nothing = sum(statuses) === 0 && !filter.restricted;
  const calm = !filter.restricted && filter.status === "dead";
  const title = nothing ? "Nothing has failed for good" : calm ? "Everything is dealt with" : "No letter matches";
  setText(byId("none-title"), title);
  const text = calm ? "When an item fails for good it appears here by itself, with its input and the trace." : "Take a restriction away to see more.";
  setText(byId("none-text"), text);
  byId("none").dataset.calm = calm;
}

function paintPages(shown, noun) {
  const { offset } = filter;
  show(byId("pages"), offset > 0 || total > shown);
  byId("page-before").disabled = offset === 0;
  byId("page-after").disabled = offset + shown >= total;
  const range = shown ? `${count(offset + 1)}–${count(offset + shown)} of ` : "";
  setText(byId("page-shown"), range + plural(total, noun));
}

function paintFilter() {
  for (const name of TEXTS) {
    const control = byId("filter").elements[name];
    if (document.activeElement !== control) control.value = filter.get(name);
  }
  byId("filter-view").disabled = Boolean(filter.get("fingerprint"));
  const further = FURTHER.filter((name) => filter.get(name));
  byId("also").replaceChildren(
    ...further.map((name) => el("a", { class: "chip", href: filter.with({ [name]: "" }).search || "?", "data-here": "" }, `${words(name)}: ${filter.get(name)} ×`)),
  );
  show(byId("also"), further.length > 0);
}

// Going from one filter to another, without a new page

function go(next, { replace = false } = {}) {
  filter = next;
  history[replace ? "replaceState" : "pushState"](null, "", `${location.pathname}${filter.search}`);
  arrive();
}

function arrive() {
  selection.clear();
  show(byId("news"), false);
  paintFilter();
  load();
}

addEventListener("popstate", () => {
  filter = new LetterFilter(location.search);
  arrive();
});

byId("content").addEventListener("click", (event) => {
  const link = event.target.closest("[data-status], [data-here], #groups .error-type");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  go(new LetterFilter(new URL(link.href).search));
  announce(`Showing ${link.textContent.trim()}`);
});

byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("filter").addEventListener("change", ({ target }) => target.name !== "search" && go(filter.with({ [target.name]: target.value })));
let typing = null;
byId("filter-search").addEventListener("input", ({ target }) => {
  clearTimeout(typing);
  typing = setTimeout(() => go(filter.with({ search: target.value.trim() }), { replace: true }), TYPING);
});
byId("page-before").addEventListener("click", () => go(filter.with({ offset: Math.max(0, filter.offset - PAGE) || "" })));
byId("page-after").addEventListener("click", () => go(filter.with({ offset: filter.offset + PAGE })));
byId("news-show").addEventListener("click", () => {
  selection.clear();
  load();
});

async function listWorkflows() {
  const url = withQuery(["workflows"], { limit: 200 });
  const { results } = await request("GET", url);
  const known = results.map(({ id, name }) => el("option", { value: id }, name === id ? id : `${name} (${id})`));
  byId("filter-workflow").append(...known);
  const chosen = filter.get("workflow_id");
  if (chosen && !results.some(({ id }) => id === chosen)) byId("filter-workflow").append(el("option", { value: chosen }, chosen));
  paintFilter();
}

listWorkflows().catch(() => {}); // the letters matter more, and say what is wrong
arrive();
