// Small drawings for buttons; the words beside them, or their labels, say the same.

import { svg } from "./dom.js";

const SHAPES = {
  start: "M4.5 2.8v10.4L13 8z",
  resume: "M4.5 2.8v10.4L13 8z",
  pause: "M4 3h2.8v10H4zM9.2 3H12v10H9.2z",
  drain: "M7.1 2h1.8v5.2h2.7L8 11 4.4 7.2h2.7zM3 12.2h10V14H3z",
  stop: "M3.5 3.5h9v9h-9z",
  copy: "M5 1.5h8.5V11H11V9.5h1v-6.5H6.5v1H5zM2.5 5H10v9.5H2.5zM4 6.5V13h4.5V6.5z",
  force: "M3.9 2.6 8 6.7l4.1-4.1 1.3 1.3L9.3 8l4.1 4.1-1.3 1.3L8 9.3l-4.1 4.1-1.3-1.3L6.7 8 2.6 3.9z",
};

export function icon(name) {
  const look = { class: "icon", viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" };
  return svg("svg", look, svg("path", { d: SHAPES[name], fill: "currentColor", "fill-rule": "evenodd" }));
}
