// A graph as it is: nodes, edges with their conditions, and how far a run has come.

import { setText, svg } from "../dom.js";
import { compact } from "../format.js";
import { BOX, layout } from "./graph_layout.js";

const LETTERS = 22;
const LABEL = 26;
const BESIDE = 20; // letters beside an edge that leads back
const SMALLEST = 0.7; // below that it scrolls, so that the text can be read
let drawings = 0;

export class Drawing {
  /** `chosen` gets the id of the node that somebody picked; without it nodes are no buttons. */
  constructor(root, definition, { chosen = null } = {}) {
    const { nodes, edges = [], entry_point: entry } = definition;
    const { places, ways, back, right, width, height } = layout(nodes, edges, entry);
    this.arrow = `arrow-${++drawings}`;
    this.boxes = new Map(nodes.map((node) => [node.id, this._box(node, places.get(node.id), entry, chosen)]));
    const lines = ways.flatMap((edge, i) => this._edge(edge, places, back.has(edge), right, i));
    const picture = svg(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Nodes and edges" },
      this._marker(),
      ...lines,
      ...[...this.boxes.values()].map((box) => box.root),
    );
    picture.style.width = `${width}px`;
    picture.style.minWidth = `${width * SMALLEST}px`;
    root.replaceChildren(picture);
  }

  /** Show how often each node had its turn: {id: {times, failed}}. */
  paint(turns, selected) {
    for (const [id, box] of this.boxes) {
      const { times = 0, failed = 0 } = turns.get(id) ?? {};
      box.root.dataset.tone = failed ? "bad" : times ? "good" : "unknown";
      box.root.classList.toggle("reached", times > 0);
      setText(box.times, times ? `×${compact(times)}` : "");
      if (box.root.hasAttribute("aria-pressed")) box.root.setAttribute("aria-pressed", String(id === selected));
      box.root.setAttribute("aria-label", `${id}, ${box.kind}, ${times} turns${failed ? `, ${failed} failed` : ""}`);
    }
  }

  _box(node, { x, y }, entry, chosen) {
    const kind = node.tool ?? (node.type === "tool" ? node.data?.form?.tool : node.type) ?? "";
    const times = svg("text", { class: "times", x: BOX.width - 10, y: 19 });
    const look = { class: "node", transform: `translate(${x} ${y})`, role: chosen ? "button" : "img", "aria-label": `${node.id}, ${kind}` };
    const pick = chosen && (() => chosen(node.id));
    const use = chosen && {
      tabindex: "0",
      "aria-pressed": "false",
      click: pick,
      keydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        pick();
      },
    };
    const root = svg(
      "g",
      { ...look, ...use },
      svg("title", {}, `${node.id} (${kind})`),
      svg("rect", { class: "box", width: BOX.width, height: BOX.height, rx: node.id === entry ? BOX.height / 2 : 8 }),
      svg("text", { class: "label", x: 16, y: 20 }, cut(String(node.id), LETTERS - 4)),
      svg("text", { class: "type", x: 16, y: 36 }, cut(String(kind), LETTERS)),
      times,
    );
    return { root, times, kind };
  }

  _marker() {
    const look = { id: this.arrow, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto", markerUnits: "userSpaceOnUse" };
    return svg("defs", {}, svg("marker", look, svg("path", { d: "M0 0L8 4L0 8Z" })));
  }

  _edge(way, places, isBack, right, i) {
    const [from, to] = [places.get(way.source), places.get(way.target)];
    const path = isBack ? backwards(from, to, right, i) : forwards(from, to);
    const style = way.limit ? "edge limit" : "edge";
    const line = svg("path", { class: style, d: path.d, "marker-end": `url(#${this.arrow})` });
    const text = way.limit ? `after ${way.limit.budget} times` : labelOf(way);
    if (!text) return [line];
    const label = svg("text", { class: isBack ? "port beside" : "port", x: path.x, y: path.y }, cut(text, isBack ? BESIDE : LABEL));
    label.append(svg("title", {}, text));
    return [line, label];
  }
}

function forwards(from, to) {
  const [x1, y1, x2, y2] = [from.x + BOX.width / 2, from.y + BOX.height, to.x + BOX.width / 2, to.y - 1];
  const bend = Math.max(18, (y2 - y1) / 2);
  // Beside the target: the edges of one node part there.
  return { d: `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`, x: (x1 + 3 * x2) / 4, y: y2 - 14 };
}

function backwards(from, to, right, i) {
  const [x1, y1, x2, y2] = [from.x + BOX.width, from.y + BOX.height / 2, to.x + BOX.width + 1, to.y + BOX.height / 2];
  const out = right + 12 + 22 * (i % 3);
  const middle = (y1 + y2) / 2;
  return { d: `M${x1} ${y1}C${out} ${y1} ${out} ${y1} ${out} ${middle}S${out} ${y2} ${x2} ${y2}`, x: out + 6, y: middle + 4 };
}

function labelOf({ sourceHandle, condition, budget }) {
  const port = sourceHandle && sourceHandle !== "default" ? sourceHandle : "";
  return [port, condition && `if ${condition}`, budget && `at most ${budget} times`].filter(Boolean).join(", ");
}

const cut = (text, letters) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);
