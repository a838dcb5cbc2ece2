// What is in a queue: the oldest entries, looked at without anybody's noticing.

import { address } from "./api.js";
import { el } from "./dom.js";
import { age, bytes, plural } from "./format.js";
import { jsonTree } from "./json_tree.js";

const SHOWN = 160;

/** Return an <li> of an entry. It is filled when somebody opens it. */
export function itemOf(entry) {
  const inside = el("div", {});
  const fill = () => {
    if (node.open && !inside.childElementCount) inside.append(...contents(entry));
  };
  const node = el(
    "details",
    { toggle: fill },
    el(
      "summary",
      {},
      el("code", { class: "item-id" }, entry.item_id ?? entry.id),
      el("span", { class: "preview" }, preview(entry)),
      el("small", { class: "muted" }, about(entry)),
    ),
    inside,
  );
  return el("li", {}, node);
}

function preview(entry) {
  if (entry.omitted) return "left out: the answer is large already";
  if (entry.unreadable) return `no item: ${entry.unreadable}`;
  return JSON.stringify(entry.data).slice(0, SHOWN);
}

const seconds = (value) => (value === null ? null : Number(value.rawJSON ?? value));

function about(entry) {
  const parts = [bytes(entry.size)];
  if (entry.age !== null) parts.push(`here for ${age(seconds(entry.age))}`);
  parts.push(entry.deliveries ? `handed out ${entry.deliveries === 1 ? "once" : `${entry.deliveries} times`}` : "waits");
  if (entry.attempts?.length) parts.push(`${plural(entry.attempts.length, "attempt")} failed`);
  return parts.join(" · ");
}

function contents(entry) {
  if (entry.omitted) return [el("p", { class: "muted" }, "Look at fewer entries to see it.")];
  if (entry.unreadable) return [el("pre", { tabindex: "0" }, entry.text)];
  const parts = [el("h3", {}, "Data"), jsonTree(entry.data, { path: "data" })];
  if (entry.start) parts.push(el("h3", {}, "The iteration had begun with"), jsonTree(entry.start));
  if (Object.keys(entry.headers ?? {}).length) parts.push(el("h3", {}, "Headers"), jsonTree(entry.headers));
  if (entry.attempts?.length) parts.push(el("h3", {}, "Attempts that failed"), jsonTree(entry.attempts));
  return [...parts, facts(entry)];
}

function facts(entry) {
  const rows = [
    ["Entry", entry.id],
    ["Made by", `version ${entry.version}, activation ${entry.activation}`],
    ["Born", entry.born_age === null ? null : `${age(seconds(entry.born_age))} ago`],
    ["Enters at", entry.entry_node && `node ${entry.entry_node}`],
    ["Replay of", entry.origin && el("a", { href: address("dead-letters", entry.origin) }, `dead letter ${entry.origin}`)],
  ];
  const there = rows.filter(([, value]) => value);
  return el("dl", { class: "pairs" }, ...there.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}
