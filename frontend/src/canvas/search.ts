// Which choices a text finds: all of its words must be there, and the label counts most.

interface Searched {
  label: string;
  hint?: string;
  group: string;
  words?: string;
}

export function ranked<T extends Searched>(choices: readonly T[], text: string): T[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [...choices];
  const found: { choice: T; rank: number }[] = [];
  for (const choice of choices) {
    const rank = rankOf(choice, words);
    if (rank !== null) found.push({ choice, rank });
  }
  return found.sort((a, b) => a.rank - b.rank).map(({ choice }) => choice);
}

function rankOf({ label, hint = "", group, words = "" }: Searched, wanted: readonly string[]): number | null {
  const name = label.toLowerCase();
  const all = [name, hint, group, words].join("\n").toLowerCase();
  if (!wanted.every((word) => all.includes(word))) return null;
  const first = wanted[0]!;
  if (name.startsWith(first)) return 0;
  return name.includes(first) ? 1 : 2;
}
