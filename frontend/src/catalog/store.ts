// The node types that are installed.

import { create } from "zustand";

import { api, call } from "../api/client";

export type NodeKind = "producer" | "blocking" | "non_blocking" | "conditional";

export interface NodeType {
  type: string;
  label: string;
  description: string;
  icon: string;
  category: string;
  kind: NodeKind;
  pool: "async" | "thread" | "process";
  input_ports: string[];
  output_ports: string[];
  queue_role: "writer" | "reader" | null;
  has_form: boolean;
}

interface Catalog {
  /** null until they are there. */
  types: ReadonlyMap<string, NodeType> | null;
  /** By name, why a node type could not be loaded. */
  broken: Record<string, string>;
  error: string | null;
  load(): Promise<void>;
}

interface Answer {
  results: NodeType[];
  broken: Record<string, string>;
}

export const useCatalog = create<Catalog>((set) => ({
  types: null,
  broken: {},
  error: null,
  async load() {
    set({ error: null });
    try {
      const { results, broken } = (await call(api.GET("/nodes/"))) as unknown as Answer;
      set({ types: new Map(results.map((type) => [type.type, type])), broken });
    } catch (error) {
      set({ error: (error as Error).message });
    }
  },
}));

export const useNodeType = (type: string): NodeType | undefined => useCatalog((state) => state.types?.get(type));
