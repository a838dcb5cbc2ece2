// The panel over the whole page: input, settings and output side by side.

import { create } from "zustand";

import { useDocument } from "../document/store";

interface Wide {
  wide: boolean;
  setWide(wide: boolean): void;
}

export const useWide = create<Wide>((set) => ({
  wide: false,
  setWide: (wide) => set({ wide }),
}));

/** Open one node with everything side by side. */
export function openWide(id: string): void {
  useDocument.getState().select([id]);
  useWide.getState().setWide(true);
}
