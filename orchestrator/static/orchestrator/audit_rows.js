// An entry of the audit log: when, who, what, and what was before and after.

import { el } from "./dom.js";
import { ago, plural, time } from "./format.js";
import { changesBetween } from "./json_changes.js";
import { isTree, jsonTree, scalar } from "./json_tree.js";
import { cell } from "./rows.js";

const LINES = 6;
const LONGEST = 120;
const DIGEST = /^[0-9a-f]{40,}$/;
const SIGNS = { add: "+", remove: "−", change: "~" };
const WORDS = { add: "added", remove: "removed", change: "changed" };

/** Return a row; `filtered(changes)` is the query of the page with other restrictions. */
export function entryRow(entry, filtered) {
  const only = (name, value) => el("a", { href: filtered({ [name]: value }), "data-here": "" }, value);
  const from = [entry.address && `from ${entry.address}`, entry.token && `token ${entry.token}…`].filter(Boolean);
  return el(
    "tr",
    { role: "row" },
    cell("", "at", el("time", { datetime: entry.at, title: entry.at }, time(entry.at)), el("small", {}, ago(entry.at))),
    cell("", "actor", only("actor", entry.actor), el("small", {}, from.join(", "))),
    el("th", { scope: "row", role: "rowheader", class: "what" }, only("action", entry.action), el("small", {}, entry.object ? only("object", entry.object) : "")),
    cell("", "change", ...summary(entry), whole(entry)),
  );
}

function summary({ before, after }) {
  const known = changesOf(before, after);
  if (!known.length) return [el("span", { class: "muted" }, before === null && after === null ? "" : "nothing differs")];
  const more = known.length > LINES ? [el("small", {}, `and ${plural(known.length - LINES, "place")} more`)] : [];
  return [el("ul", { class: "lines" }, ...known.slice(0, LINES).map(line)), ...more];
}

/** What has only one side is told as it is: nothing was there to be changed. */
function changesOf(before, after) {
  if (before === null && after === null) return [];
  if (before === null || after === null) {
    const side = before ?? after;
    if (!isTree(side)) return [{ path: "", op: before === null ? "told" : "remove", before: side, after: side }];
    const op = before === null ? "told" : "remove";
    return Object.entries(side).map(([path, value]) => ({ path, op, before: value, after: value }));
  }
  return changesBetween(before, after);
}

function line({ path, op, before, after }) {
  const values = [];
  if (op === "change" || op === "remove") values.push(el("del", {}, short(before)));
  if (op === "change") values.push(el("span", { class: "arrow", "aria-label": "became", role: "img" }, "→"));
  if (op === "add" || op === "change") values.push(el("ins", {}, short(after)));
  if (op === "told") values.push(el("span", {}, short(after)));
  const sign = SIGNS[op] ? [el("span", { class: "sign", "aria-hidden": "true" }, SIGNS[op]), el("span", { class: "hidden" }, `${WORDS[op]} `)] : [];
  return el("li", { "data-op": op }, ...sign, el("span", { class: "path" }, path || "all of it"), " ", ...values);
}

function short(value) {
  const text = typeof value === "string" && value ? value : value === null ? "none" : JSON.stringify(value);
  const most = DIGEST.test(text) ? 12 : LONGEST;
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** All that is known of an entry; made when somebody unfolds it. */
function whole(entry) {
  const inside = el("div", {});
  const root = el("details", { toggle: () => root.open && !inside.childElementCount && inside.append(...parts(entry)) }, el("summary", {}, "All of it"), inside);
  return root;
}

function parts(entry) {
  const facts = [
    ["Entry", String(entry.id)],
    ["User", entry.actor_id === null ? "the system, or nobody known" : `${entry.actor} (${entry.actor_id})`],
    ["Address", entry.address],
    ["Program", entry.agent],
    ["Token", entry.token && `${entry.token}…`],
  ];
  const pairs = facts.filter(([, value]) => value).map(([title, value]) => el("div", {}, el("dt", {}, title), el("dd", {}, value)));
  const sides = [["Before", entry.before], ["After", entry.after]].filter(([, value]) => value !== null);
  return [el("dl", { class: "pairs" }, ...pairs), ...sides.flatMap(([title, value]) => [el("h3", {}, title), isTree(value) ? jsonTree(value) : scalar(value)])];
}
