// The parts of a form that stores a credential: its values, who may use it, and what is wrong.
// What is typed stays in the controls only, and is taken out of them when it was sent.

import { el, setText, show } from "./dom.js";

/** The values of one kind; those of the others are hidden and not sent. */
export class Values {
  constructor(form) {
    this.form = form;
    this.reveal = form.querySelector("[data-reveal]");
    this.reveal.addEventListener("change", () => this._reveal());
    form.querySelector("[data-more]").addEventListener("click", () => this._more().firstElementChild.focus());
  }

  choose(kind) {
    for (const part of this.form.querySelectorAll("fieldset.values")) {
      part.disabled = part.dataset.kind !== kind;
      show(part, !part.disabled);
      if (!part.disabled) this.part = part;
    }
  }

  /** What was typed, by name. */
  read() {
    const found = {};
    for (const control of this.part.querySelectorAll("[data-value]")) {
      if (control.value) found[control.dataset.value] = control.value;
    }
    for (const row of this._rows()) {
      const [name, value] = row.children;
      if (name.value || value.value) found[name.value] = value.value;
    }
    return found;
  }

  /** A name that stands there twice, or "": only one of its values could be stored. */
  get twice() {
    const names = this._rows().map((row) => row.firstElementChild.value).filter(Boolean);
    return names.find((name, i) => names.indexOf(name) !== i) ?? "";
  }

  clear() {
    for (const row of this.form.querySelectorAll(".named-row:not(:first-child)")) row.remove();
    for (const control of this.form.querySelectorAll("fieldset.values :is(input, textarea)")) control.value = "";
    this.reveal.checked = false;
    this._reveal();
  }

  _rows() {
    return [...this.part.querySelectorAll(".named-row")];
  }

  _more() {
    const number = this._rows().length + 1;
    const last = this._rows().at(-1);
    const row = last.cloneNode(true);
    for (const [place, control] of [...row.children].entries()) {
      control.value = "";
      control.setAttribute("aria-label", `${place ? "Value" : "Name"} ${number}`);
    }
    last.after(row);
    return row;
  }

  _reveal() {
    for (const control of this.form.querySelectorAll("[data-secret]")) {
      if (control.tagName === "INPUT") control.type = this.reveal.checked ? "text" : "password";
      else control.classList.toggle("revealed", this.reveal.checked);
    }
  }
}

/** Who may use it: everybody whose rights suffice, or users and groups by name. */
export class Grants {
  constructor(form) {
    this.form = form;
    form.querySelector(".grants").addEventListener("change", ({ target }) => target.name === "who" && this._paint());
  }

  read() {
    const { who, users, groups } = this.form.elements;
    return who.value === "all" ? { users: null, groups: null } : { users: names(users.value), groups: names(groups.value) };
  }

  show({ users, groups }) {
    this.form.elements.who.value = users === null && groups === null ? "all" : "some";
    this.form.elements.users.value = (users ?? []).join("\n");
    this.form.elements.groups.value = (groups ?? []).join("\n");
    this._paint();
  }

  _paint() {
    show(this.form.querySelector(".names"), this.form.elements.who.value === "some");
  }
}

const names = (text) => [...new Set(text.split("\n").map((name) => name.trim()).filter(Boolean))];

export const whoMay = ({ users, groups }) => {
  if (users === null && groups === null) return "every editor";
  const named = [...(users ?? []), ...(groups ?? []).map((name) => `group ${name}`)];
  return named.length ? named.join(", ") : "whoever made it, and admins";
};

/** Show what was refused beside the control that it is about, and lead to the first of these. */
export function showProblems(form, error) {
  clearProblems(form);
  const rest = [];
  const places = new Set();
  for (const { path, message } of error.details ?? []) {
    const place = placeOf(form, path);
    if (!place) rest.push(`${path}: ${message}`);
    else {
      place.append(el("span", {}, place.dataset.problem === "values" && path !== "values" ? `${path.slice(7)}: ${message} ` : `${message} `));
      places.add(place);
    }
  }
  if (!places.size && !rest.length) rest.push(error.message);
  setText(form.querySelector('[data-problem=""]'), rest.join(" "));
  const controls = [...places].map((place) => place.id && form.querySelector(`[aria-describedby~="${place.id}"]:not(:disabled)`)).filter(Boolean);
  for (const control of controls) control.setAttribute("aria-invalid", "true");
  controls[0]?.focus();
}

export function clearProblems(form) {
  for (const place of form.querySelectorAll("[data-problem]")) place.replaceChildren();
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

function placeOf(form, path) {
  const near = [path, path.replace(/\[\d+\]$/, ""), path.startsWith("values") ? "values" : null];
  const places = [...form.querySelectorAll("[data-problem]")].filter((each) => each.dataset.problem && !each.closest(":disabled"));
  for (const name of near) {
    const place = places.find((each) => each.dataset.problem === name);
    if (place) return place;
  }
  return null;
}
