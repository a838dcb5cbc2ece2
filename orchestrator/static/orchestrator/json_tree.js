// JSON as a tree. What is folded is not in the page, and what is long comes in parts.

import { announce, el } from "./dom.js";
import { count } from "./format.js";
import { icon } from "./icons.js";
import { kind } from "./json_exact.js";

const AT_ONCE = 100;
const LONGEST = 2000;
const FEW = 12;
const PLAIN = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Make a tree. `open` levels of it are unfolded, or without it whatever is small; with a `path`
 * every value offers how a template names it, beginning with that path.
 */
export function jsonTree(value, { open = null, path = "" } = {}) {
  return el("div", { class: "tree" }, branch(null, value, open ?? 1, { small: open === null, path }));
}

export const isTree = (value) => ["object", "list"].includes(kind(value));

function branch(name, value, open, { small, path }) {
  if (!isTree(value)) return leaf(name, scalar(value), path);
  const entries = Object.entries(value);
  const list = Array.isArray(value);
  if (!entries.length) return leaf(name, el("span", { class: "muted" }, list ? "[ ]" : "{ }"), path);
  const size = list ? `[${count(entries.length)}]` : `{${count(entries.length)}}`;
  const inside = el("div", { class: "inside" });
  const unfolds = small ? entries.length <= FEW : open > 1;
  const make = ([key, each]) =>
    branch(key, each, small ? Number(unfolds && isSmall(each)) : open - 1, { small, path: path && step(path, key, list) });
  const fill = () => inside.childElementCount || more(inside, entries, 0, make);
  const root = el(
    "details",
    { open: open > 0, toggle: () => root.open && fill() },
    el("summary", {}, ...label(name), el("span", { class: "muted" }, `${size} `), preview(value)),
    inside,
  );
  if (open > 0) fill();
  return root;
}

const isSmall = (value) => isTree(value) && Object.keys(value).length <= FEW;

function more(inside, entries, from, make) {
  const to = Math.min(entries.length, from + AT_ONCE);
  inside.append(...entries.slice(from, to).map(make));
  if (to === entries.length) return;
  const button = el("button", { type: "button", class: "quiet" }, `Show more (${count(entries.length - to)} left)`);
  button.addEventListener("click", () => {
    button.remove();
    more(inside, entries, to, make);
  });
  inside.append(button);
}

const label = (name) => (name === null ? [] : [el("span", { class: "key" }, name), ": "]);

function leaf(name, value, path) {
  return el("div", { class: "leaf" }, ...label(name), value, ...(path ? [copier(path)] : []));
}

function preview(value) {
  const text = JSON.stringify(value, (_, each) => (typeof each === "string" && each.length > 40 ? `${each.slice(0, 40)}…` : each));
  return el("span", { class: "preview" }, text.length > 120 ? `${text.slice(0, 120)}…` : text);
}

/** A value that is not a tree; a long text is cut, and shown whole when that is asked for. */
export function scalar(value) {
  const text = JSON.stringify(value) ?? "null";
  const node = el("span", { class: `value ${kind(value)}` }, text.slice(0, LONGEST));
  if (text.length <= LONGEST) return node;
  const rest = el("button", { type: "button", class: "quiet" }, `… all ${count(text.length)} characters`);
  rest.addEventListener("click", () => {
    node.textContent = text;
    rest.remove();
  });
  return el("span", {}, node, " ", rest);
}

/** How a template or a condition names this place. */
function step(path, key, list) {
  if (list) return `${path}[${key}]`;
  return PLAIN.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

function copier(path) {
  const button = el("button", { type: "button", class: "copy", title: `Copy ${path}`, "aria-label": `Copy the path ${path}` }, icon("copy"));
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(path);
    announce(`Copied ${path}`);
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
  });
  return button;
}
