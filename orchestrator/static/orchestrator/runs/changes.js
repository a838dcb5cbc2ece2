// How a step changed the state: each place with what was there before and after.

import { el } from "../dom.js";
import { count } from "../format.js";
import { isTree, jsonTree, scalar } from "../json_tree.js";

const AT_ONCE = 100;
const SIGNS = { add: "+", remove: "−", change: "~" };
const WORDS = { add: "added", remove: "removed", change: "changed" };

export function changeList(changes) {
  const list = el("ul", { class: "changes" });
  append(list, changes, 0);
  return list;
}

function append(list, changes, from) {
  list.append(...changes.slice(from, from + AT_ONCE).map(item));
  const left = changes.length - from - AT_ONCE;
  if (left <= 0) return;
  const button = el("button", { type: "button", class: "quiet small" }, `${count(left)} more`);
  const rest = el("li", {}, button);
  button.addEventListener("click", () => {
    rest.remove();
    append(list, changes, from + AT_ONCE);
  });
  list.append(rest);
}

function item(change) {
  const { path, op } = change;
  const head = el(
    "p",
    { class: "change-head" },
    el("span", { class: "change-sign", "aria-hidden": "true" }, SIGNS[op] ?? "~"),
    el("code", {}, path || "the whole state"),
    el("small", { class: "muted" }, WORDS[op] ?? op),
  );
  const sides = [];
  if (op !== "add") sides.push(side("before", change.before));
  if (op !== "remove") sides.push(side("after", change.after));
  return el("li", { class: "change", "data-op": op }, head, ...sides);
}

function side(name, value) {
  return el(
    "div",
    { class: `side-${name}` },
    el("span", { class: "hidden" }, `${name}: `),
    isTree(value) ? jsonTree(value, { open: 0 }) : scalar(value),
  );
}
