import { notify } from "@shared/dom.js";

import { useNodeType } from "../catalog/store";
import { page } from "../page";
import { useView } from "../view";
import { insertPath } from "./templateTarget";

/** Write a path into the form of the node; undefined when there is none. */
export function useInsert(type: string): ((path: string) => void) | undefined {
  const hasForm = useNodeType(type)?.has_form;
  return hasForm && page.may.edit ? insert : undefined;
}

function insert(path: string): void {
  useView.getState().setTab("settings");
  // The form is hidden until then, and nothing that is hidden takes the focus.
  requestAnimationFrame(() => {
    if (!insertPath(path)) notify("None of its fields takes a template.");
  });
}
