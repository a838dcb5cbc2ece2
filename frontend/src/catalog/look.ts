// What a node type looks like: its category has one of eight hues, the same in palette and canvas.

const HUES: Readonly<Record<string, number>> = {
  sources: 0,
  queues: 1,
  flow: 2,
  transform: 3,
  files: 4,
  tools: 5,
  timing: 6,
  grouping: 7,
};
const ORDER = ["sources", "transform", "flow", "queues", "files", "grouping", "timing", "tools"];

export function hueOf(category: string): number {
  const known = HUES[category];
  if (known !== undefined) return known;
  let sum = 0;
  for (const letter of category) sum = (sum * 31 + letter.charCodeAt(0)) % 997;
  return sum % 8;
}

/** Categories in the order in which a workflow is built; those of others come last, by name. */
export function byCategory(a: string, b: string): number {
  const [i, j] = [ORDER.indexOf(a), ORDER.indexOf(b)];
  if (i >= 0 && j >= 0) return i - j;
  if (i < 0 && j < 0) return a.localeCompare(b);
  return i < 0 ? 1 : -1;
}
