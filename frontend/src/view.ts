// What is shown of the studio, and its address: ?node=<id>&tab=<tab>&mode=production.

import { create } from "zustand";

import { address } from "./api/client";
import { useDocument } from "./document/store";

const narrow = matchMedia("(max-width: 859px)");

/** Whether what lies beside the canvas on a wide screen lies over it. */
export const isNarrow = (): boolean => narrow.matches;

export type Mode = "bench" | "production";
/** The tabs of the side panel; which there are is the panel's business. */
export type Tab = string;
/** What lies over the canvas on narrow screens, or beside it on wide ones. */
export type Sheet = "palette" | "panel" | "versions" | null;

interface View {
  mode: Mode;
  tab: Tab;
  /** On a narrow screen at most one of them is open. */
  sheet: Sheet;
  /** Which node is to be brought into view; counts so that the same can be asked for again. */
  wanted: { id: string; count: number } | null;
  /** Counts how often somebody wanted to see the workflow as when it is opened. */
  overview: number;
  setMode(mode: Mode): void;
  setTab(tab: Tab): void;
  openSheet(sheet: Sheet): void;
  closeSheet(): void;
  /** Show the workflow as when it is opened: after its nodes were replaced. */
  showAll(): void;
  /** Select a node and bring it into view, with a tab of its panel if one is named. */
  focusNode(id: string, tab?: Tab): void;
}

const given = new URLSearchParams(location.search);

/** What the address asked for when the page was opened. */
export const opened = {
  node: given.get("node"),
  tab: given.get("tab"),
  deadLetter: given.get("dead_letter"),
};

export const useView = create<View>((set, get) => ({
  mode: given.get("mode") === "production" ? "production" : "bench",
  tab: given.get("tab") ?? "settings",
  sheet: null,
  wanted: null,
  overview: 0,
  setMode: (mode) => set({ mode }),
  setTab: (tab) => set({ tab }),
  openSheet: (sheet) => set({ sheet }),
  closeSheet: () => set({ sheet: null }),
  showAll: () => set({ overview: get().overview + 1 }),
  focusNode(id, tab) {
    useDocument.getState().select([id]);
    set({ wanted: { id, count: (get().wanted?.count ?? 0) + 1 }, ...(tab ? { tab } : {}) });
  },
}));

/** Keep the address up to date, so that it can be sent to somebody. */
export function followAddress(): () => void {
  const write = () => {
    const { workflowId, selection } = useDocument.getState();
    const { mode, tab } = useView.getState();
    const wanted = new URL(workflowId ? address("studio", workflowId) : address("studio"));
    if (selection.length === 1) {
      wanted.searchParams.set("node", selection[0]!);
      wanted.searchParams.set("tab", tab);
    }
    if (mode === "production") wanted.searchParams.set("mode", mode);
    if (wanted.href !== location.href) history.replaceState(null, "", wanted);
  };
  const stops = [useDocument.subscribe(write), useView.subscribe(write)];
  return () => stops.forEach((stop) => stop());
}
