import { page } from "../page";
import { useView } from "../view";

/** What runs is watched, not changed: only the bench is for building. */
export const mayEdit = (): boolean => page.may.edit && useView.getState().mode === "bench";
export const useMayEdit = (): boolean => useView((view) => view.mode === "bench") && page.may.edit;
