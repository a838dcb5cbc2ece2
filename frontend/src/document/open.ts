// Opening the workflow that the page was asked for.

import { create } from "zustand";

import { api, call } from "../api/client";
import { page } from "../page";
import { keepDraft, readDraft, restore } from "./draft";
import { equal } from "./equal";
import { EMPTY } from "./normalise";
import { watchProblems } from "./problems";
import { useDocument } from "./store";

interface Opening {
  state: "loading" | "ready" | "failed";
  error: string;
}

export const useOpening = create<Opening>(() => ({ state: "loading", error: "" }));

async function load(workflowId: string | null): Promise<void> {
  const { replace } = useDocument.getState();
  if (workflowId === null) {
    replace({ ...EMPTY, name: "New workflow" }, { version: null });
    return;
  }
  const { definition, version } = await call(
    api.GET("/workflows/{workflow_id}/", { params: { path: { workflow_id: workflowId } } }),
  );
  replace(definition, { version, workflowId });
}

/** Load the workflow, and what was not saved of it; then keep drafts and look for problems. */
export async function open(): Promise<void> {
  useOpening.setState({ state: "loading", error: "" });
  try {
    await load(page.workflowId);
  } catch (error) {
    useOpening.setState({ state: "failed", error: (error as Error).message });
    return;
  }
  const draft = page.may.edit ? readDraft(page.workflowId) : null;
  if (draft && !equal(draft.document, useDocument.getState().document)) restore(draft);
  useOpening.setState({ state: "ready" });
  keepDraft();
  watchProblems();
}
