// Saving, and what is done when somebody else has saved before.

import { announce, notify } from "@shared/dom.js";
import { create } from "zustand";

import { ApiError } from "../api/client";
import { equal } from "../document/equal";
import { isDirty, useDocument } from "../document/store";
import type { WorkflowDocument } from "../document/types";
import { denied, useRights } from "../live/rights";
import { formSettled } from "../panel/formSettled";
import { createWorkflow, readNewest, saveVersion, type Version } from "./api";
import { noteVersion } from "./newest";

interface Saving {
  busy: boolean;
  /** Why the last save did not succeed, for people; it stays until one does. */
  problem: string;
  /** What somebody else has saved since the version that is being changed. */
  theirs: Version | null;
}

export const useSaving = create<Saving>(() => ({ busy: false, problem: "", theirs: null }));

/** Save what is being edited as a new version; whether that was done, or was not needed. */
export async function save(): Promise<boolean> {
  if (useSaving.getState().busy || !useRights.getState().edit) return false;
  useSaving.setState({ busy: true, problem: "" });
  await formSettled();
  const { workflowId, document, base } = useDocument.getState();
  try {
    if (workflowId && !isDirty()) return true;
    await (workflowId ? saveNext(workflowId, document, base.version) : saveFirst(document));
    return true;
  } catch (error) {
    await refused(error, workflowId, document);
    return false;
  } finally {
    useSaving.setState({ busy: false });
  }
}

async function saveFirst(sent: WorkflowDocument): Promise<void> {
  const stored = await createWorkflow(sent);
  useDocument.getState().markSaved(stored.version, sent, stored.id);
  noteVersion(stored);
  announce("Saved as version 1");
}

async function saveNext(workflowId: string, sent: WorkflowDocument, after: number | null): Promise<void> {
  const stored = await saveVersion(workflowId, sent, after);
  useDocument.getState().markSaved(stored.version, sent);
  noteVersion(stored);
  announce(stored.created ? `Saved as version ${stored.version}` : `It is the same as version ${stored.version}`);
}

async function refused(error: unknown, workflowId: string | null, sent: WorkflowDocument): Promise<void> {
  if (!(error instanceof ApiError)) throw error;
  if (denied(error)) return;
  if (error.status === 409 && workflowId) return conflict(workflowId, sent);
  const first = error.details[0] as { path: string; message: string } | undefined;
  const more = error.details.length > 1 ? ` and ${error.details.length - 1} more` : "";
  const said = error.status === 400 && first ? `${first.path}: ${first.message}${more}` : error.message;
  useSaving.setState({ problem: `Not saved. ${said}` });
}

/** When an answer got lost on its way, what is stored is what was sent; that is no conflict. */
async function conflict(workflowId: string, sent: WorkflowDocument): Promise<void> {
  try {
    const theirs = await readNewest(workflowId);
    noteVersion(theirs);
    if (equal(theirs.definition, sent)) useDocument.getState().markSaved(theirs.version, sent);
    else useSaving.setState({ theirs });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    useSaving.setState({ problem: `Not saved: somebody else has saved a version. ${error.message}` });
  }
}

/** Look at what somebody else has saved, before saving oneself. */
export async function compareWithNewest(): Promise<void> {
  const { workflowId } = useDocument.getState();
  if (!workflowId) return;
  try {
    const theirs = await readNewest(workflowId);
    if (isDirty()) useSaving.setState({ theirs });
    else takeTheirs(theirs);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!denied(error)) notify(error.message, "bad");
  }
}

export const decideLater = () => useSaving.setState({ theirs: null });

/** Go on with a document that follows their version; undo brings back what was there. */
export function goOnWith(document: WorkflowDocument, theirs: Version): void {
  decideLater();
  useSaving.setState({ problem: "" });
  useDocument.setState({ base: { version: theirs.version, definition: theirs.definition } });
  if (document !== useDocument.getState().document) useDocument.getState().replace(document);
}

/** Put both on the canvas; somebody looks at it before it is saved. */
export function combine(merged: WorkflowDocument, theirs: Version): void {
  goOnWith(merged, theirs);
  notify(`Version ${theirs.version} and your changes are on the canvas together. Look at them, then save.`);
}

export function takeTheirs(theirs: Version): void {
  const lost = isDirty();
  goOnWith(theirs.definition, theirs);
  notify(`This is version ${theirs.version} now.${lost ? " Undo brings yours back." : ""}`);
}

/** Make mine the newest; theirs stays in the list of versions. */
export async function keepMine(theirs: Version): Promise<void> {
  goOnWith(useDocument.getState().document, theirs);
  await save();
}
