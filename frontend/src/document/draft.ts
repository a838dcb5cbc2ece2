// What is not saved is kept in this browser, so that closing the tab or a crash loses nothing.

import { create } from "zustand";

import { page } from "../page";
import { isDirty, useDocument } from "./store";
import { normalise } from "./normalise";
import type { WorkflowDocument } from "./types";

interface Draft {
  at: number;
  version: number | null;
  base: WorkflowDocument;
  document: WorkflowDocument;
}

interface DraftState {
  /** The draft that was restored when the page was opened. */
  restored: Draft | null;
  /** Why drafts cannot be kept. */
  problem: string | null;
  dismiss(): void;
}

export const useDraft = create<DraftState>((set) => ({
  restored: null,
  problem: null,
  dismiss: () => set({ restored: null }),
}));

const PAUSE = 400;
let mine = false; // another tab's draft of the same workflow is not ours to remove

const keyOf = (workflowId: string | null) => `studio-draft ${page.root} ${page.user} ${workflowId ?? "new"}`;

export function readDraft(workflowId: string | null): Draft | null {
  try {
    const found = JSON.parse(localStorage.getItem(keyOf(workflowId)) ?? "null") as Draft | null;
    return found && { ...found, document: normalise(found.document), base: normalise(found.base) };
  } catch {
    return null;
  }
}

/** Go on with a draft; saving it says so when somebody else has saved in the meantime. */
export function restore(draft: Draft): void {
  mine = true;
  useDocument.setState({
    document: draft.document,
    base: { version: draft.version, definition: draft.base },
    selection: [],
    selectedEdges: [],
  });
  useDocument.temporal.getState().clear();
  useDraft.setState({ restored: draft });
}

export function forget(workflowId: string | null): void {
  if (mine) localStorage.removeItem(keyOf(workflowId));
  mine = false;
}

function write(): void {
  const { workflowId, document, base } = useDocument.getState();
  if (!isDirty()) return forget(workflowId);
  const draft: Draft = { at: Date.now(), version: base.version, base: base.definition, document };
  try {
    localStorage.setItem(keyOf(workflowId), JSON.stringify(draft));
    mine = true;
    if (useDraft.getState().problem) useDraft.setState({ problem: null });
  } catch {
    useDraft.setState({ problem: "This browser has no room for a draft: save before you leave." });
  }
}

/** Keep a draft of what is changed, and forget it when it is saved. */
export function keepDraft(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const now = () => {
    clearTimeout(timer);
    timer = undefined;
    write();
  };
  const stop = useDocument.subscribe((state, before) => {
    if (state.workflowId !== before.workflowId) forget(before.workflowId);
    if (state.document === before.document && state.base === before.base) return;
    timer ??= setTimeout(now, PAUSE);
  });
  const leaving = () => timer && now();
  window.addEventListener("pagehide", leaving);
  return () => {
    stop();
    window.removeEventListener("pagehide", leaving);
  };
}
