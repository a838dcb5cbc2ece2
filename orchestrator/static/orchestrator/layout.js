// Where nodes are drawn: where the workflow says, or in layers when it does not say.

export const BOX = { width: 208, height: 78 };
const GAP = { x: 72, y: 34 };
const MARGIN = 20;

/** Return {id: {x, y}} and the size of the whole. */
export function layout(nodes, edges) {
  const placed = nodes.every((n) => Number.isFinite(n.position?.x) && Number.isFinite(n.position?.y));
  const places = placed ? spread(nodes, edges) : inLayers(nodes, edges);
  const all = [...places.values()];
  const left = Math.min(...all.map((p) => p.x)) - MARGIN;
  const top = Math.min(...all.map((p) => p.y)) - MARGIN;
  for (const place of all) {
    place.x -= left;
    place.y -= top;
  }
  return {
    places,
    width: Math.max(...all.map((p) => p.x)) + BOX.width + MARGIN,
    height: Math.max(...all.map((p) => p.y)) + BOX.height + MARGIN,
  };
}

/** Keep the given places, drawn apart as far as our boxes need. */
function spread(nodes, edges) {
  const at = new Map(nodes.map((n) => [n.id, n.position]));
  const across = edges
    .map((e) => [at.get(e.source), at.get(e.target)])
    .filter(([a, b]) => a && b && b.x > a.x && Math.abs(b.y - a.y) < BOX.height)
    .map(([a, b]) => b.x - a.x);
  const sorted = [...nodes].map((n) => n.position).sort((a, b) => a.x - b.x || a.y - b.y);
  const down = sorted
    .map((p, i) => (i && sorted[i - 1].x === p.x ? p.y - sorted[i - 1].y : 0))
    .filter((d) => d > 0);
  const x = factor(BOX.width + GAP.x, across);
  const y = factor(BOX.height + GAP.y, down);
  return new Map(nodes.map((n) => [n.id, { x: n.position.x * x, y: n.position.y * y }]));
}

function factor(wanted, distances) {
  const least = distances.reduce((a, b) => Math.min(a, b), Infinity);
  return Math.min(3, Math.max(1, wanted / least));
}

function inLayers(nodes, edges) {
  const layer = layers(nodes, edges);
  const filled = [];
  const places = new Map();
  for (const { id } of nodes) {
    const column = layer.get(id);
    const row = (filled[column] = (filled[column] ?? -1) + 1);
    places.set(id, { x: column * (BOX.width + GAP.x), y: row * (BOX.height + GAP.y) });
  }
  return places;
}

/** The longest way to each node; a cycle is entered at the node that comes first. */
function layers(nodes, edges) {
  const after = new Map(nodes.map((n) => [n.id, []]));
  const waitsFor = new Map(nodes.map((n) => [n.id, 0]));
  for (const { source, target } of edges) {
    if (!after.has(source) || !after.has(target)) continue;
    after.get(source).push(target);
    waitsFor.set(target, waitsFor.get(target) + 1);
  }
  const layer = new Map(nodes.map((n) => [n.id, 0]));
  const done = new Set();
  const ready = nodes.map((n) => n.id).filter((id) => !waitsFor.get(id));
  const rest = nodes.map((n) => n.id)[Symbol.iterator]();
  while (done.size < nodes.length) {
    const id = ready.pop() ?? rest.next().value;
    if (done.has(id)) continue;
    done.add(id);
    for (const next of after.get(id)) {
      if (done.has(next)) continue;
      layer.set(next, Math.max(layer.get(next), layer.get(id) + 1));
      waitsFor.set(next, waitsFor.get(next) - 1);
      if (!waitsFor.get(next)) ready.push(next);
    }
  }
  return layer;
}
