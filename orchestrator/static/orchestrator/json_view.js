// JSON as text; what is too long for a page is cut and can be saved as a whole.

import { el } from "./dom.js";
import { count } from "./format.js";

const MOST = 100_000;

export function jsonView(value, fileName) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const parts = [el("pre", { tabindex: "0" }, text.slice(0, MOST))];
  if (text.length > MOST) {
    const save = el("button", { type: "button", class: "quiet", click: () => download(text, fileName) }, "Save all of it");
    parts.push(el("p", { class: "muted" }, `The first ${count(MOST)} of ${count(text.length)} characters. `, save));
  }
  return parts;
}

/** Let the browser save a text as a file. */
export function download(text, fileName) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  el("a", { href: url, download: fileName }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
