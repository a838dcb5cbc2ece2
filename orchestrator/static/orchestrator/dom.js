// Building the page. Text from data only ever becomes text nodes or attribute values.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** Make an element; a function among the attributes becomes a listener. */
export function el(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

/** Set a text only when it differs, so that nothing is laid out or read aloud again. */
export function setText(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/** Tell a screen reader, without moving the focus. */
export function announce(text) {
  byId("announcer").append(el("span", {}, `${text}. `));
  while (byId("announcer").childElementCount > 3) byId("announcer").firstChild.remove();
}

const LASTS = 8000;

/** Show a message at the bottom; an error stays until it is closed. */
export function notify(text, tone = "info") {
  const box = el("div", { class: "note", "data-tone": tone, role: tone === "bad" ? "alert" : "status" });
  const close = el("button", { type: "button", class: "quiet", "aria-label": "Close", click: () => box.remove() }, "×");
  box.append(el("span", {}, text), close);
  byId("notices").append(box);
  if (tone !== "bad") setTimeout(() => box.remove(), LASTS);
}

/** Ask before something that matters; resolves to true or false. */
export function ask(title, text, yes) {
  const dialog = byId("question");
  setText(byId("question-title"), title);
  setText(byId("question-text"), text);
  setText(byId("question-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
