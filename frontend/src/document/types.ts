// A workflow as it is stored. Keys that are not known here are kept and returned untouched.

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export interface Point {
  x: number;
  y: number;
}

export interface NodeData {
  label?: string;
  form?: JsonObject;
  config?: JsonObject;
  [key: string]: unknown;
}

export interface WorkflowNode {
  id: string;
  type: string;
  data?: NodeData;
  position?: Point;
  [key: string]: unknown;
}

export interface WorkflowEdge {
  id: string;
  source: string;
  target: string;
  sourceHandle?: string | null;
  targetHandle?: string | null;
  condition?: string | null;
  [key: string]: unknown;
}

export interface WorkflowDocument {
  name?: string;
  nodes: WorkflowNode[];
  edges: WorkflowEdge[];
  entry_point?: string | null;
  [key: string]: unknown;
}

export const DEFAULT_PORT = "default";

/** The port an edge leaves from or leads to: names are case-insensitive, none is `default`. */
export const portOf = (handle: string | null | undefined): string => (handle || DEFAULT_PORT).toLowerCase();
