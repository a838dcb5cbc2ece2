// Where the nodes of a graph are drawn: in layers from top to bottom, from the entry point on.

export const BOX = { width: 168, height: 46 };
const GAP = { x: 26, y: 46 };
const MARGIN = 14;
const BESIDE = 24; // for each edge that leads back
const LABEL = 116; // for what stands beside these

/** Return `{places: Map(id -> {x, y}), ways, back: Set(way), right, width, height}`.
 *
 * A way is an edge, or what is taken when the budget of an edge is used up (`limit` is that edge). */
export function layout(nodes, edges, entry) {
  const ids = nodes.map(({ id }) => id);
  const known = new Set(ids);
  const all = edges.flatMap((edge) => [edge, ...(edge.on_limit ? [{ source: edge.source, target: edge.on_limit, limit: edge }] : [])]);
  const ways = all.filter(({ source, target }) => known.has(source) && known.has(target));
  const back = leadingBack(ids, ways, entry);
  const layer = depths(ids, ways.filter((edge) => !back.has(edge)));
  const rows = inRows(ids, ways.filter((edge) => !back.has(edge)), layer);
  const widest = Math.max(1, ...rows.map((row) => row.length));
  const places = new Map();
  rows.forEach((row, y) => {
    const indent = ((widest - row.length) * (BOX.width + GAP.x)) / 2;
    row.forEach((id, x) => {
      places.set(id, { x: MARGIN + indent + x * (BOX.width + GAP.x), y: MARGIN + y * (BOX.height + GAP.y) });
    });
  });
  const right = MARGIN + widest * (BOX.width + GAP.x) - GAP.x;
  const width = right + MARGIN + (back.size ? Math.min(3, back.size) * BESIDE + LABEL : 0);
  return { places, ways, back, right, width, height: 2 * MARGIN + rows.length * (BOX.height + GAP.y) - GAP.y };
}

/** Edges to a node that is on the way from the entry point already. Without recursion: it may be deep. */
function leadingBack(ids, edges, entry) {
  const after = new Map(ids.map((id) => [id, []]));
  for (const edge of edges) after.get(edge.source).push(edge);
  const [back, seen, open] = [new Set(), new Set(), new Set()];
  for (const start of [entry, ...ids]) {
    if (!after.has(start) || seen.has(start)) continue;
    const way = [[start, 0]];
    seen.add(start);
    open.add(start);
    while (way.length) {
      const top = way.at(-1);
      const edge = after.get(top[0])[top[1]++];
      if (!edge) open.delete(way.pop()[0]);
      else if (open.has(edge.target)) back.add(edge);
      else if (!seen.has(edge.target)) {
        seen.add(edge.target);
        open.add(edge.target);
        way.push([edge.target, 0]);
      }
    }
  }
  return back;
}

/** The longest way to each node. */
function depths(ids, edges) {
  const depth = new Map(ids.map((id) => [id, 0]));
  const left = new Map(ids.map((id) => [id, 0]));
  const after = new Map(ids.map((id) => [id, []]));
  for (const { source, target } of edges) {
    left.set(target, left.get(target) + 1);
    after.get(source).push(target);
  }
  const ready = ids.filter((id) => !left.get(id));
  while (ready.length) {
    const id = ready.pop();
    for (const target of after.get(id)) {
      depth.set(target, Math.max(depth.get(target), depth.get(id) + 1));
      left.set(target, left.get(target) - 1);
      if (!left.get(target)) ready.push(target);
    }
  }
  return depth;
}

/** Rows of ids; in each the nodes stand below what leads to them. */
function inRows(ids, edges, depth) {
  const rows = [];
  for (const id of ids) (rows[depth.get(id)] ??= []).push(id);
  const before = new Map(ids.map((id) => [id, []]));
  for (const { source, target } of edges) before.get(target).push(source);
  for (let y = 1; y < rows.length; y++) {
    const at = new Map(rows[y - 1].map((id, x) => [id, x - rows[y - 1].length / 2]));
    const mean = (id) => {
      const places = before.get(id).filter((other) => at.has(other)).map((other) => at.get(other));
      return places.length ? places.reduce((a, b) => a + b) / places.length : 0;
    };
    rows[y] = rows[y].map((id) => [mean(id), id]).sort((a, b) => a[0] - b[0]).map(([, id]) => id);
  }
  return rows;
}
