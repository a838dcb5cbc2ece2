// A node's form in the admin: what depends on a field follows it without a reload.

import { byId, el, setText, show } from "./dom.js";

const form = byId("node-form");
const rows = new Map([...form.querySelectorAll("[data-name]")].map((row) => [row.dataset.name, row]));
const waiting = [];
let busy = false;

form.addEventListener("change", ({ target }) => {
  const row = target.closest("[data-name]");
  if (row) changed(row.dataset.name);
});
for (const [name, row] of rows) {
  if (row.dataset.kind === "key_value") offerRows(name, row);
}

/** Ask what follows from a change. One question at a time, so that no answer is overtaken. */
async function changed(name) {
  if (!waiting.includes(name)) waiting.push(name);
  if (busy) return;
  busy = true;
  form.setAttribute("aria-busy", "true");
  try {
    while (waiting.length) {
      const next = waiting.shift();
      take(next, await ask(next));
    }
    show(byId("node-form-problem"), false);
  } catch (error) {
    waiting.length = 0;
    setText(byId("node-form-problem"), `The fields could not be updated: ${error.message}`);
    show(byId("node-form-problem"), true);
  }
  form.removeAttribute("aria-busy");
  busy = false;
}

async function ask(name) {
  const answer = await fetch(form.dataset.url, {
    method: "POST",
    headers: {
      Accept: "application/json",
      "Content-Type": "application/json",
      "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
    },
    credentials: "same-origin",
    body: JSON.stringify({ values: values(), changed: name }),
  });
  const body = await answer.json().catch(() => null);
  if (!answer.ok || !body) throw new Error(body?.error?.message ?? `the server answered ${answer.status}`);
  return body.fields;
}

/** What the controls hold. The server reads texts as numbers and JSON where a field wants them. */
function values() {
  const found = {};
  for (const [name, row] of rows) {
    const value = valueOf(name, row);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

function valueOf(name, row) {
  const control = (part) => row.querySelector(`[name="${CSS.escape(`form-${name}${part}`)}"]:not([type=hidden])`);
  const template = control("-template")?.value;
  if (template?.trim()) return template;
  const { kind } = row.dataset;
  if (kind === "boolean") return control("").checked;
  if (kind === "multiple_choice") return [...row.querySelectorAll("input:checked")].map((box) => box.value);
  if (kind === "key_value") return [...row.querySelectorAll(".node-row")].map(pair).filter((each) => each.key || each.value);
  const text = (control("") ?? form.elements[`form-${name}`]).value;
  if (kind === "password" && !text) return undefined;
  return control("-as")?.value === "json" ? parsed(text) : text;
}

function pair(row) {
  const [key, text, as] = row.querySelectorAll("input, textarea, select");
  return { key: key.value, value: as.value === "json" ? parsed(text.value) : text.value };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function take(name, fields) {
  const below = descendants(name, fields);
  const refilled = [];
  for (const field of fields) {
    const row = rows.get(field.name);
    if (!row) continue;
    if (row.dataset.kind !== "hidden") show(row, field.visible);
    const follows = below.has(field.name);
    if (follows) empty(field, row);
    if (field.choices && fill(field, row) && follows && field.visible) refilled.push(field.label);
    paintProblems(field, row, follows || field.name === name);
  }
  if (refilled.length) setText(byId("node-form-news"), `${refilled.join(", ")}: new choices.`);
}

function descendants(name, fields) {
  const found = new Set([name]);
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const field of fields) if (field.depends_on.some((parent) => found.has(parent))) found.add(field.name);
  }
  found.delete(name);
  return found;
}

/** Put what the server has left of a field into its controls. */
function empty(field, row) {
  const value = field.value ?? "";
  for (const control of row.querySelectorAll("input:not([type=hidden]), textarea")) {
    if (control.type === "checkbox") control.checked = false;
    else control.value = "";
  }
  const single = row.querySelector(`select:not([name$="-as"]), :is(input, textarea)[id]:not([type=checkbox])`);
  if (single) single.value = String(value);
}

/** Show the choices, and tell whether they are others than before. */
function fill(field, row) {
  const offered = JSON.stringify(field.choices);
  const before = row.dataset.offered;
  row.dataset.offered = offered;
  const list = row.querySelector("select:not([name$='-as'])");
  if (list) return offered !== before && fillList(field.choices, list);
  const many = row.querySelector(".node-many");
  return Boolean(many) && offered !== before && fillMany(field, many);
}

function fillList(choices, list) {
  const current = list.value;
  const known = new Set(choices.map(({ value }) => String(value ?? "")));
  const options = choices.map((choice) => [choice.group ?? "", new Option(choice.label, choice.value ?? "")]);
  if (current && !known.has(current)) options.unshift(["", new Option(`${current} (not one of the choices)`, current)]);
  if (!known.has("")) options.unshift(["", new Option("---------", "")]);
  const wanted = options.map(([, option]) => option.text).join("\n");
  if (wanted === [...list.options].map((option) => option.text).join("\n")) return false;
  list.replaceChildren(...grouped(options));
  list.value = current;
  return true;
}

function grouped(options) {
  const found = [];
  for (const [group, option] of options) {
    if (!group) found.push(option);
    else if (found.at(-1)?.label === group) found.at(-1).append(option);
    else found.push(el("optgroup", { label: group }, option));
  }
  return found;
}

function fillMany(field, many) {
  const before = [...many.querySelectorAll("input")];
  const ticked = before.filter((box) => box.checked).map((box) => box.value);
  const known = new Set(field.choices.map(({ value }) => String(value)));
  const lost = ticked.filter((value) => !known.has(value));
  const wanted = [...lost.map((value) => ({ value, label: `${value} (not one of the choices)` })), ...field.choices];
  if (wanted.map(({ value }) => value).join("\n") === before.map((box) => box.value).join("\n")) return false;
  const boxes = wanted.map(({ value, label }) => {
    const name = `form-${field.name}`;
    const box = el("input", { type: "checkbox", name, value: String(value), checked: ticked.includes(String(value)) });
    return el("label", { class: "node-tick" }, box, ` ${label}`);
  });
  const none = el("span", { class: "help" }, "There is nothing to choose from.");
  many.replaceChildren(...(boxes.length ? boxes : [none]));
  return true;
}

/** A field that is still empty keeps what saving said of it. */
function paintProblems(field, row, now) {
  setText(row.querySelector(".node-unavailable"), field.choices_error ?? "");
  show(row.querySelector(".node-unavailable"), Boolean(field.choices_error));
  const untouched = !now && !field.errors.length && ["", "[]", "{}", "null"].includes(text(field.value));
  if (untouched || "advanced" in form.dataset) return;
  const list = row.querySelector(".errorlist");
  if (list.textContent !== field.errors.join("")) list.replaceChildren(...field.errors.map((error) => el("li", {}, error)));
  show(list, field.errors.length > 0);
  row.classList.toggle("errors", field.errors.length > 0);
  for (const control of row.querySelectorAll("[aria-describedby]")) {
    if (field.errors.length) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
}

function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}

function offerRows(name, row) {
  const list = row.querySelector(".node-rows");
  const add = () => {
    const added = list.lastElementChild.cloneNode(true);
    const number = list.childElementCount + 1;
    for (const control of added.children) {
      control.setAttribute("aria-label", control.getAttribute("aria-label").replace(/\d+/, number));
      control.value = control.tagName === "SELECT" ? "text" : "";
    }
    list.append(added);
    added.firstElementChild.focus();
  };
  list.after(el("button", { type: "button", class: "node-add", click: add }, "Add a row"));
}
