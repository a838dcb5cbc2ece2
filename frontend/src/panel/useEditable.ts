import { page } from "../page";
import { useView } from "../view";

/** Whether the workflow may be changed here: production is for watching. */
export const useEditable = (): boolean => useView((view) => view.mode) === "bench" && page.may.edit;
