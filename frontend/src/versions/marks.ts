// What is marked on the canvas: nodes that are different from those of another version.

import { create } from "zustand";

export interface Mark {
  kind: "added" | "changed";
  text: string;
}

type Marks = ReadonlyMap<string, Mark>;

const NONE: Marks = new Map();

/** `compared` is what somebody looks at in the list of versions; it goes before what runs. */
export const useMarks = create<{ compared: Marks | null; production: Marks }>(() => ({
  compared: null,
  production: NONE,
}));

export const useMark = (id: string): Mark | undefined =>
  useMarks(({ compared, production }) => (compared ?? production).get(id));

export function marks(touched: ReadonlyMap<string, Mark["kind"]>, texts: Record<Mark["kind"], string>): Marks {
  return new Map([...touched].map(([id, kind]) => [id, { kind, text: texts[kind] }]));
}

export const showCompared = (compared: Marks | null) => useMarks.setState({ compared });
export const showProduction = (production: Marks = NONE) => useMarks.setState({ production });
