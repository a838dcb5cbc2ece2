// The bench's calls. Each sends the workflow as it is being edited.

import { ApiError, address, request } from "../api/client";
import { useDocument } from "../document/store";
import type { JsonObject, WorkflowDocument } from "../document/types";
import type { Cached, Failure, Input, Ran, Rendered, Standing, Upstream } from "./types";

/** In a path: a workflow that was never saved. */
const NOT_STORED = "_";

interface Where {
  workflow_id: string | null;
  workflow: WorkflowDocument;
}

function where(): Where {
  const { workflowId, document } = useDocument.getState();
  return { workflow_id: workflowId, workflow: document };
}

const post = <T>(parts: string[], body: object): Promise<T> => request("POST", address(...parts), body) as Promise<T>;

function ofNode<T>(method: string, what: string, nodeId: string | null, body: object = {}): Promise<T> {
  const { workflow_id, workflow } = where();
  const parts = ["dev", what, workflow_id ?? NOT_STORED, ...(nodeId === null ? [] : [nodeId])];
  return request(method, address(...parts), { workflow, ...body }) as Promise<T>;
}

export interface Execution {
  run_upstream: Upstream;
  input?: JsonObject | null;
  write?: boolean;
}

export const execute = (nodeId: string, how: Execution) =>
  post<Ran>(["dev", "execute"], { ...where(), node_id: nodeId, ...how });

/** `name` is under which the bench keeps the workflow; its answers say it. */
export const cancel = (nodeId: string, name: string) =>
  post<unknown>(["dev", "cancel"], { workflow_id: name, node_id: nodeId });

export const overview = () =>
  ofNode<{ workflow_id: string; nodes: Record<string, Standing> }>("POST", "cache", null);

export const look = (nodeId: string) => ofNode<Cached>("POST", "cache", nodeId);

export const inputOf = (nodeId: string) => ofNode<Input>("POST", "input", nodeId);

export const pin = (nodeId: string, data: JsonObject, port: string) =>
  ofNode<Cached>("PUT", "cache", nodeId, { data, port });

export const forget = (nodeId: string) => post<null>(["dev", "forget"], { ...where(), node_id: nodeId });

export const render = (nodeId: string, template: string) =>
  post<Rendered>(["dev", "render"], { ...where(), node_id: nodeId, template });

/** What of production is to be put on the bench. */
export type Source = { dead_letter: number } | { tap: string } | { queue: string; entry: string };

export function load(from: Source, as: "input" | "output" | null, nodeId: string | null): Promise<Cached> {
  return post<Cached>(["dev", "load"], { ...where(), from, as, node_id: nodeId });
}

export function failureOf(error: unknown): Failure {
  if (!(error instanceof ApiError)) throw error;
  return error.body as Failure & { details?: Failure["details"] } as Failure;
}
