// The bench: what is known of each node's output, and runs of single nodes.

import { create } from "zustand";

import { announce } from "@shared/dom.js";

import { nodeOf } from "../document/lookup";
import { useDocument } from "../document/store";
import type { JsonObject } from "../document/types";
import { formSettled } from "../panel/formSettled";
import * as api from "./api";
import type { Cached, Failure, Outcome, Standing, Upstream } from "./types";

export interface RunOptions {
  upstream?: Upstream;
  /** Instead of what the nodes before it have left. */
  input?: JsonObject | null;
  /** Let what it emits and stages become real. */
  write?: boolean;
}

interface Bench {
  /** Under which the bench keeps the workflow; null before its first answer. */
  name: string | null;
  /** By node, whether what is remembered of it still holds. */
  standings: Record<string, Standing>;
  /** Why that is not known. */
  problem: string | null;
  /** The node that runs now, and since when. */
  running: string | null;
  since: number;
  /** How the last run of a node in this page went. */
  results: Record<string, Outcome>;
  /** Outputs that were looked at. */
  looked: Record<string, Cached>;
  /** Counts what may have changed any input. */
  changes: number;

  run(nodeId: string, options?: RunOptions): Promise<Outcome | null>;
  cancel(): Promise<void>;
  pin(nodeId: string, data: JsonObject, port?: string): Promise<void>;
  /** Let go of an output, pinned or not, of a given input, and of a cursor. */
  forget(nodeId: string): Promise<void>;
  load(from: api.Source, as?: "input" | "output" | null, nodeId?: string | null): Promise<Cached>;
  look(nodeId: string): Promise<void>;
  refresh(): Promise<void>;
}

let asked = 0;

/** What is on its way to the bench: a run that is asked for meanwhile is to have it. */
let loading: Promise<unknown> = Promise.resolve();

export const useBench = create<Bench>((set, get) => ({
  name: null,
  standings: {},
  problem: null,
  running: null,
  since: 0,
  results: {},
  looked: {},
  changes: 0,

  async run(nodeId, { upstream = "missing", input = null, write = false } = {}) {
    if (get().running !== null) return null;
    set({ running: nodeId, since: Date.now() });
    let outcome: Outcome;
    try {
      await Promise.all([formSettled(), loading]);
      const ran = await api.execute(nodeId, { run_upstream: upstream, input, write });
      outcome = { at: Date.now(), ran };
      announce(`Node ${nodeId} has run`);
    } catch (error) {
      const failure = api.failureOf(error);
      const form = nodeOf(useDocument.getState().document, failure.node?.id ?? nodeId)?.data?.form;
      outcome = { at: Date.now(), failure, form };
      announce(`Node ${nodeId} failed: ${failure.message}`);
    }
    set({ running: null, results: withOutcome(get().results, nodeId, outcome), looked: {} });
    await get().refresh();
    return outcome;
  },

  async cancel() {
    const { running, name } = get();
    if (running === null || name === null) return;
    // It may have ended in the meantime; then there is nothing to cancel.
    await api.cancel(running, name).catch(() => undefined);
  },

  async pin(nodeId, data, port = "default") {
    await kept(nodeId, () => api.pin(nodeId, data, port));
    announce(`The output of node ${nodeId} is pinned`);
  },

  async forget(nodeId) {
    await kept(nodeId, async () => {
      await api.forget(nodeId);
      return null;
    });
    announce(`Nothing is remembered of node ${nodeId}`);
  },

  async load(from, as = null, nodeId = null) {
    const found = loaded(from, as, nodeId);
    loading = found.catch(() => undefined);
    return found;
  },

  async look(nodeId) {
    const found = await api.look(nodeId);
    set({ looked: { ...get().looked, [nodeId]: found } });
  },

  async refresh() {
    const mine = ++asked;
    if (!useDocument.getState().document.nodes.length) return set({ standings: {}, problem: null });
    try {
      const found = await api.overview();
      if (mine !== asked) return;
      const standings = settled(get().standings, found.nodes);
      set({ name: found.workflow_id, standings, problem: null, changes: get().changes + 1 });
    } catch (error) {
      if (mine === asked) set({ problem: (error as Error).message, changes: get().changes + 1 });
    }
  },
}));

async function loaded(...wanted: Parameters<typeof api.load>): ReturnType<typeof api.load> {
  const found = await api.load(...wanted);
  await kept(found.node_id, () => Promise.resolve(found));
  announce(`Loaded at node ${found.node_id}`);
  return found;
}

/** Change what is remembered of a node: what was seen of it before is not shown any more. */
async function kept(nodeId: string, change: () => Promise<Cached | null>): Promise<void> {
  const found = await change();
  const { [nodeId]: _result, ...results } = useBench.getState().results;
  const looked = found ? { [nodeId]: found } : {};
  useBench.setState({ results, looked });
  await useBench.getState().refresh();
}

/** A failure belongs to the node that failed; that which was asked for says where it was. */
function withOutcome(results: Record<string, Outcome>, nodeId: string, outcome: Outcome): Record<string, Outcome> {
  const culprit = outcome.failure?.node?.id;
  if (outcome.failure && culprit && culprit !== nodeId) {
    const failure: Failure = { code: "upstream_failed", message: `Node ${culprit} failed.`, details: [], nodes: [culprit] };
    return { ...results, [culprit]: outcome, [nodeId]: { at: outcome.at, failure } };
  }
  const others = { ...results };
  for (const before of outcome.ran?.ran_upstream ?? []) delete others[before];
  return { ...others, [nodeId]: outcome };
}

/** Keep the very objects of what has not changed, so that only what did is painted again. */
function settled(before: Record<string, Standing>, now: Record<string, Standing>): Record<string, Standing> {
  const same = (id: string) => before[id] && JSON.stringify(before[id]) === JSON.stringify(now[id]);
  return Object.fromEntries(Object.entries(now).map(([id, row]) => [id, same(id) ? before[id]! : row]));
}

/** What is said of a node that is in the document. */
export const useStanding = (id: string) => useBench((bench) => bench.standings[id]);
export const useOutcome = (id: string) => useBench((bench) => bench.results[id]);
export const useIsRunning = (id: string) => useBench((bench) => bench.running === id);

