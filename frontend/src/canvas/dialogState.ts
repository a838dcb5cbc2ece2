// Which dialog of the canvas is open.

import { create } from "zustand";

import type { Point } from "../document/types";

export interface From {
  source: string;
  port?: string | null;
}

export type Dialog =
  /** Choose a node type; it is connected behind `from`, or put into the edge `into`. */
  | { kind: "add"; from?: From; into?: string; at?: Point }
  /** Choose what a node is to be connected to. */
  | { kind: "connect"; from: From }
  | { kind: "find" }
  | { kind: "help" };

interface Dialogs {
  open: Dialog | null;
  show(dialog: Dialog): void;
  close(): void;
}

export const useDialogs = create<Dialogs>((set) => ({
  open: null,
  show: (dialog) => set({ open: dialog }),
  close: () => set({ open: null }),
}));
