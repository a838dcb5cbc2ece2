// The versions of a workflow over HTTP.

import { api, call } from "../api/client";
import type { components } from "../api/schema";
import { normalise } from "../document/normalise";
import type { WorkflowDocument } from "../document/types";

export type VersionRow = components["schemas"]["VersionRow"];

/** A stored version; its definition is as it would be drawn. */
export interface Version extends VersionRow {
  definition: WorkflowDocument;
}

export const PAGE = 50;

export async function listVersions(workflowId: string, offset = 0, limit = PAGE) {
  const params = { path: { workflow_id: workflowId }, query: { offset, limit } };
  return call(api.GET("/workflows/{workflow_id}/versions/", { params }));
}

export async function readVersion(workflowId: string, number: number): Promise<Version> {
  const path = { workflow_id: workflowId, number: String(number) };
  const found = await call(api.GET("/workflows/{workflow_id}/versions/{number}/", { params: { path } }));
  return { ...found, definition: normalise(found.definition) };
}

export async function readNewest(workflowId: string): Promise<Version> {
  const path = { workflow_id: workflowId };
  const found = await call(api.GET("/workflows/{workflow_id}/", { params: { path } }));
  return { ...found, definition: normalise(found.definition) };
}

export async function createWorkflow(body: WorkflowDocument) {
  return call(api.POST("/workflows/", { body }));
}

/** Save what was made of version `after`; 409 when another was saved since. */
export async function saveVersion(workflowId: string, body: WorkflowDocument, after: number | null) {
  const params = { path: { workflow_id: workflowId }, query: { after: after ?? undefined } };
  return call(api.PUT("/workflows/{workflow_id}/", { params, body }));
}
