// The audit log: who did what to what, when and from where; newest first.

import { request } from "./api.js";
import { AuditFilter, PAGE } from "./audit_filter.js";
import { entryRow } from "./audit_rows.js";
import { announce, byId, setText, show } from "./dom.js";
import { count } from "./format.js";
import { withQuery } from "./letter_filter.js";

const TYPING = 300;
const TYPED = ["actor", "object"];
const BOUNDS = ["since", "until"];
const controls = byId("filter").elements;
let filter = new AuditFilter(location.search);
let asked = 0;
let typing = null;

async function load() {
  const turn = ++asked;
  const wanted = filter.asked();
  byId("export").href = withQuery(["audit", "export"], wanted);
  byId("content").setAttribute("aria-busy", "true");
  try {
    const found = await request("GET", withQuery(["audit"], { ...wanted, limit: PAGE, offset: filter.offset }));
    if (turn !== asked) return;
    paint(found);
  } catch (error) {
    if (turn === asked) fail(error);
  }
  if (turn !== asked) return;
  show(byId("loading"), false);
  byId("content").removeAttribute("aria-busy");
}

function fail(error) {
  const details = error.details?.map(({ path, message }) => `${path}: ${message}`) ?? [];
  setText(byId("problem"), [error.message, ...details].join(" "));
  show(byId("problem"), true);
  show(byId("entries"), false);
  show(byId("none"), false);
  show(byId("pages"), false);
}

function paint({ results, count: total }) {
  show(byId("problem"), false);
  byId("rows").replaceChildren(...results.map((entry) => entryRow(entry, (changes) => filter.with(changes).search)));
  show(byId("entries"), results.length > 0);
  show(byId("none"), results.length === 0);
  const { offset } = filter;
  show(byId("pages"), offset > 0 || total > 0);
  show(byId("page-before"), offset > 0 || total > results.length);
  show(byId("page-after"), offset > 0 || total > results.length);
  byId("page-before").disabled = offset === 0;
  byId("page-after").disabled = offset + results.length >= total;
  const range = results.length < total && results.length ? `${count(offset + 1)}–${count(offset + results.length)} of ` : "";
  setText(byId("page-shown"), `${range}${total === 1 ? "1 entry" : `${count(total)} entries`}`);
}

function paintFilter() {
  for (const name of TYPED) if (document.activeElement !== controls[name]) controls[name].value = filter.get(name);
  controls.action.value = filter.get("action");
  if (controls.action.selectedIndex < 0) controls.action.value = "";
  controls.period.value = filter.period;
  if (controls.period.selectedIndex < 0) controls.period.value = "";
  for (const name of BOUNDS) controls[name].value = local(filter.get(name));
  show(byId("between"), filter.period === "between");
}

/** A moment as the control of the browser has it: in local time, without a zone. */
function local(text) {
  const at = new Date(text);
  if (!text || Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60e3).toISOString().slice(0, 19);
}

function go(next, { replace = false } = {}) {
  filter = next;
  history[replace ? "replaceState" : "pushState"](null, "", `${location.pathname}${filter.search}`);
  arrive();
}

/** What stands in the fields one types into, of which some may wait to be looked for. */
const typed = () => Object.fromEntries(TYPED.map((name) => [name, controls[name].value.trim()]));

function arrive() {
  clearTimeout(typing);
  paintFilter();
  load();
}

addEventListener("popstate", () => {
  filter = new AuditFilter(location.search);
  arrive();
});
byId("content").addEventListener("click", (event) => {
  const link = event.target.closest("a[data-here]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  go(new AuditFilter(new URL(link.href).search));
  announce(`Showing ${link.textContent.trim()}`);
});
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("filter").addEventListener("input", ({ target: { name } }) => {
  if (!TYPED.includes(name)) return;
  clearTimeout(typing);
  typing = setTimeout(() => go(filter.with(typed()), { replace: true }), TYPING);
});
byId("filter").addEventListener("change", ({ target: { name, value } }) => {
  if (name === "action") go(filter.with({ ...typed(), action: value }));
  else if (name === "period") go(filter.with({ ...typed(), period: value, since: "", until: "" }));
  else if (BOUNDS.includes(name)) go(filter.with({ ...typed(), [name]: value ? new Date(value).toISOString() : "", period: "between" }));
});
byId("page-before").addEventListener("click", () => turn(filter.offset - PAGE));
byId("page-after").addEventListener("click", () => turn(filter.offset + PAGE));

function turn(offset) {
  const next = filter.with({});
  if (offset > 0) next.query.set("offset", offset);
  go(next);
}

arrive();
