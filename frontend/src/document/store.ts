// The document that is being edited, with undo and redo.

import { temporal } from "zundo";
import { create, useStore } from "zustand";

import { copied, pasted, type Fragment } from "./clipboard";
import * as edit from "./edit";
import { equal } from "./equal";
import { layout } from "./layout";
import { indexOf } from "./lookup";
import { EMPTY, normalise } from "./normalise";
import type { JsonObject, Point, WorkflowDocument } from "./types";

/** What the document was made from; `version` is null when nothing was stored yet. */
export interface Base {
  version: number | null;
  definition: WorkflowDocument;
}

export interface DocumentState {
  /** The workflow that is edited; null until a new one is saved. */
  workflowId: string | null;
  document: WorkflowDocument;
  base: Base;
  /** Ids of the selected nodes, and of the selected edges. */
  selection: string[];
  selectedEdges: string[];

  addNode(type: string, at: Point): string;
  /** Add an edge. Whether the ports fit is asked by `ports.ts` before. */
  connect(source: string, port: string | null, target: string, targetPort?: string | null): void;
  reconnect(edgeId: string, to: edit.Connection): void;
  setForm(id: string, values: JsonObject): void;
  setConfig(id: string, config: JsonObject): void;
  setLabel(id: string, label: string): void;
  rename(name: string): void;
  setCondition(edgeId: string, text: string): void;
  /** Remove nodes with their edges, and edges. */
  remove(ids: string[]): void;
  duplicate(ids: string[]): void;
  /** Add what was copied; its top left corner goes to `at`. */
  paste(fragment: Fragment, at?: Point): void;
  /** Put nodes somewhere else; small steps in a row are undone as one. */
  move(places: ReadonlyMap<string, Point>, small?: boolean): void;
  /** Tidy up the selected nodes, or all when fewer than two are selected. */
  layout(): void;
  select(nodes: string[], edges?: string[]): void;
  /** Open a stored version: with `version` it becomes the base and the history begins anew;
   *  without, it is a change that can be undone. */
  replace(document: unknown, stored?: { version: number | null; workflowId?: string | null }): void;
  undo(): void;
  redo(): void;
  /** What was sent is stored as this version now; what was changed since stays a change. */
  markSaved(version: number, definition: WorkflowDocument, workflowId?: string): void;
}

const HISTORY = 200;
const BURST = 1000; // what is typed in one go is undone in one go

let burst = { key: "", at: 0 };
let joining = false;
let batch: "none" | "begun" | "going" = "none";

/** Say that the change to come continues the last one of this key, if that was a moment ago. */
function typing(key: string): void {
  const now = performance.now();
  joining = burst.key === key && now - burst.at < BURST;
  burst = { key, at: now };
}

function step(): void {
  joining = batch === "going";
  burst = { key: "", at: 0 };
}

/** Make several changes that are undone as one. */
export function together(work: () => void): void {
  batch = "begun";
  try {
    work();
  } finally {
    batch = "none";
  }
}

export const useDocument = create<DocumentState>()(
  temporal(
    (set, get) => {
      const change = (next: WorkflowDocument, more: Partial<DocumentState> = {}) => {
        if (next !== get().document) set({ document: next, ...more });
      };
      return {
        workflowId: null,
        document: EMPTY,
        base: { version: null, definition: EMPTY },
        selection: [],
        selectedEdges: [],

        addNode(type, at) {
          step();
          const [next, id] = edit.withNode(get().document, type, at);
          change(next, { selection: [id], selectedEdges: [] });
          return id;
        },
        connect(source, port, target, targetPort = null) {
          step();
          change(edit.withEdge(get().document, { source, port, target, targetPort }));
        },
        reconnect(edgeId, to) {
          step();
          change(edit.reconnected(get().document, edgeId, to));
        },
        setForm(id, values) {
          if (equal(indexOf(get().document).nodes.get(id)?.data?.form ?? {}, values)) return;
          typing(`form ${id}`);
          change(edit.withData(get().document, id, { form: values }));
        },
        setConfig(id, config) {
          if (equal(indexOf(get().document).nodes.get(id)?.data?.config ?? {}, config)) return;
          typing(`config ${id}`);
          change(edit.withData(get().document, id, { config: edit.cleaned(config) }));
        },
        setLabel(id, label) {
          typing(`label ${id}`);
          change(label ? edit.withData(get().document, id, { label }) : edit.withoutLabel(get().document, id));
        },
        rename(name) {
          typing("name");
          if (name !== get().document.name) change({ ...get().document, name });
        },
        setCondition(edgeId, text) {
          typing(`condition ${edgeId}`);
          change(edit.withEdgeChanged(get().document, edgeId, { condition: text || null }));
        },
        remove(ids) {
          step();
          change(edit.without(get().document, ids), { selection: [], selectedEdges: [] });
        },
        duplicate(ids) {
          get().paste(copied(get().document, ids));
        },
        paste(fragment, at) {
          step();
          const [next, ids] = pasted(get().document, fragment, at);
          change(next, { selection: ids, selectedEdges: [] });
        },
        move(places, small = false) {
          if (small) typing("move");
          else step();
          change(edit.moved(get().document, places));
        },
        layout() {
          step();
          const { document, selection } = get();
          change(edit.moved(document, layout(document, selection.length > 1 ? new Set(selection) : undefined)));
        },
        select(nodes, edges = []) {
          const { selection, selectedEdges } = get();
          if (!equal(nodes, selection) || !equal(edges, selectedEdges)) {
            set({ selection: nodes, selectedEdges: edges });
          }
        },
        replace(raw, stored) {
          step();
          const document = normalise(raw);
          const fresh = { document, selection: [], selectedEdges: [] };
          if (!stored) return set(fresh);
          const { version, workflowId = get().workflowId } = stored;
          set({ ...fresh, workflowId, base: { version, definition: document } });
          useDocument.temporal.getState().clear();
        },
        undo: () => travel("undo"),
        redo: () => travel("redo"),
        markSaved(version, definition, workflowId) {
          step();
          set({ base: { version, definition }, ...(workflowId ? { workflowId } : {}) });
        },
      };
    },
    {
      limit: HISTORY,
      partialize: ({ document }) => ({ document }),
      equality: (before, after) => before.document === after.document,
      handleSet: (record) => (before) => {
        if (!joining) record(before);
        if (batch === "begun") batch = "going";
      },
    },
  ),
);

/** Go back or forth; what is not there any more cannot be selected. */
function travel(direction: "undo" | "redo"): void {
  step();
  useDocument.temporal.getState()[direction]();
  const { document, selection, selectedEdges, select } = useDocument.getState();
  const { nodes, edges } = indexOf(document);
  select(
    selection.filter((id) => nodes.has(id)),
    selectedEdges.filter((id) => edges.has(id)),
  );
}

const dirtyOf = ({ document, base }: DocumentState) =>
  document !== base.definition && !equal(document, base.definition);

/** Whether there is something to save. */
export const isDirty = (): boolean => dirtyOf(useDocument.getState());
export const useDirty = (): boolean => useDocument(dirtyOf);

/** Whether there is something to undo, and to redo. */
export function useHistory(): { canUndo: boolean; canRedo: boolean } {
  const canUndo = useStore(useDocument.temporal, (state) => state.pastStates.length > 0);
  const canRedo = useStore(useDocument.temporal, (state) => state.futureStates.length > 0);
  return { canUndo, canRedo };
}
