// Nodes and edges as they are, with live counters. It only shows; nothing can be changed here.

import { setText, svg } from "./dom.js";
import { compact, duration } from "./format.js";
import { BOX, layout } from "./layout.js";
import { tone } from "./status.js";

const LETTERS = 24;
const SMALLEST = 0.8; // below that it scrolls, so that the text can be read

export class Graph {
  /** `chosen` gets the id of the node that somebody picked. */
  constructor(container, { chosen }) {
    this.container = container;
    this.chosen = chosen;
    this.boxes = new Map();
  }

  /** Draw a definition; `label` gives the title of a node. */
  draw({ nodes, edges }, label) {
    const { places, width, height } = layout(nodes, edges);
    const title = new Map(nodes.map((n) => [n.id, label(n)]));
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Flow" }, arrow());
    root.style.width = `${width}px`;
    root.style.minWidth = `${width * SMALLEST}px`;
    const known = edges.filter((e) => places.has(e.source) && places.has(e.target));
    root.append(...known.map((e) => drawEdge(e, places)));
    for (const node of nodes) {
      const box = this._box(node, title.get(node.id), places.get(node.id));
      this.boxes.set(node.id, box);
      root.append(box.root);
    }
    this.container.replaceChildren(root);
  }

  _box(node, title, { x, y }) {
    const count = svg("tspan", {});
    const failed = svg("tspan", { class: "failed" });
    const pick = () => this.chosen(node.id);
    const root = svg(
      "g",
      {
        class: "node",
        transform: `translate(${x} ${y})`,
        role: "button",
        tabindex: "0",
        "aria-pressed": "false",
        click: pick,
        keydown: (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          pick();
        },
      },
      svg("title", {}, `${title} (${node.type}, node ${node.id})`),
      svg("rect", { class: "box", width: BOX.width, height: BOX.height, rx: 9 }),
      svg("rect", { class: "stripe", x: 5, y: 10, width: 4, height: BOX.height - 20, rx: 2 }),
      svg("text", { x: 16, y: 25, class: "label" }, cut(title)),
      svg("text", { x: 16, y: 43, class: "type" }, cut(`${node.id} · ${node.type}`, LETTERS + 4)),
      svg("text", { x: 16, y: 64, class: "count" }, count, failed),
    );
    return { root, count, failed, title };
  }

  /** Show the counters: {id: {count, failed, lastMs, executing, state}}. */
  paint(counters, live) {
    for (const [id, box] of this.boxes) {
      const of = counters.get(id);
      box.root.dataset.tone = of && live ? tone(of.state) : "unknown";
      box.root.classList.toggle("executing", Boolean(of?.executing && live));
      const lasted = of?.lastMs && !of.failed ? ` · ${duration(of.lastMs / 1000)}` : "";
      setText(box.count, of ? `${compact(of.count)}${lasted}` : "");
      setText(box.failed, of?.failed ? ` · ${compact(of.failed)} failed` : "");
      const numbers = of ? `, ${of.count} done, ${of.failed} failed` : "";
      box.root.setAttribute("aria-label", `${box.title}, node ${id}${numbers}`);
    }
  }

  select(id) {
    for (const [other, { root }] of this.boxes) root.setAttribute("aria-pressed", other === id);
  }
}

function cut(text, letters = LETTERS) {
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
}

function arrow() {
  const marker = { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto" };
  return svg("defs", {}, svg("marker", { ...marker, markerUnits: "userSpaceOnUse" }, svg("path", { d: "M0 0L8 4L0 8Z" })));
}

function drawEdge(edge, places) {
  const from = places.get(edge.source);
  const to = places.get(edge.target);
  const [x1, y1] = [from.x + BOX.width, from.y + BOX.height / 2];
  const [x2, y2] = [to.x - 2, to.y + BOX.height / 2];
  const bend = Math.max(36, Math.abs(x2 - x1) / 2);
  const path = svg("path", {
    class: "edge",
    d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`,
    "marker-end": "url(#arrow)",
  });
  const port = edge.sourceHandle && edge.sourceHandle !== "default" ? edge.sourceHandle : "";
  const text = [port, edge.condition && `if ${edge.condition}`].filter(Boolean).join(" ");
  if (!text) return path;
  // Beside the target: the edges of one node part there.
  const label = svg("text", { class: "port", x: (x1 + x2) / 2, y: (y1 + 2 * y2) / 3 - 7 }, cut(text, 18));
  label.append(svg("title", {}, text));
  return svg("g", {}, path, label);
}
