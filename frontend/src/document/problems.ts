// Validation while editing: the server says what saving would refuse, a moment after each change.

import { create } from "zustand";

import { ApiError, address } from "../api/client";
import { page } from "../page";
import { useDocument } from "./store";
import type { WorkflowDocument } from "./types";

export interface Problem {
  path: string;
  message: string;
}

interface Ports {
  inputs: string[];
  outputs: string[];
}

interface Validation {
  problems: Problem[];
  warnings: Problem[];
  /** By the id of a node, and of an edge. */
  nodes: Record<string, Problem[]>;
  edges: Record<string, Problem[]>;
  /** The ports that a node has with its settings. */
  ports: Record<string, Ports>;
  /** The name of the queue at a queue-writer or a queue-reader. */
  queues: Record<string, string>;
}

interface Problems extends Validation {
  /** `known` when it holds for what is on the canvas now. */
  state: "idle" | "checking" | "known" | "unreachable";
  check(document: WorkflowDocument): Promise<void>;
}

const PAUSE = 300;
const AGAIN = 5000; // after the server could not be reached
const NOTHING: Validation = { problems: [], warnings: [], nodes: {}, edges: {}, ports: {}, queues: {} };
let running: AbortController | undefined;

export const useProblems = create<Problems>((set) => ({
  ...NOTHING,
  state: "idle",
  async check(document) {
    running?.abort();
    const mine = (running = new AbortController());
    if (!document.nodes.length) return set({ ...NOTHING, state: "idle" });
    set({ state: "checking" });
    try {
      const found = await validate(document, mine.signal);
      if (running === mine) set({ ...found, state: "known" });
    } catch (error) {
      if (running !== mine) return;
      set({ state: "unreachable" });
      if (!(error instanceof ApiError) || error.status === 0) later(AGAIN);
    }
  },
}));

async function validate(document: WorkflowDocument, signal: AbortSignal): Promise<Validation> {
  const answer = await fetch(address("dev", "validate"), {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": page.csrf },
    credentials: "same-origin",
    body: JSON.stringify({ workflow: document }),
    signal,
  });
  if (!answer.ok) throw new ApiError(answer.status, { code: "error", message: `The server answered ${answer.status}.` });
  return answer.json() as Promise<Validation>;
}

let timer: ReturnType<typeof setTimeout> | undefined;

function later(pause: number): void {
  clearTimeout(timer);
  timer = setTimeout(() => void useProblems.getState().check(useDocument.getState().document), pause);
}

/** Check now, and after each change. */
export function watchProblems(): () => void {
  void useProblems.getState().check(useDocument.getState().document);
  const stop = useDocument.subscribe((state, before) => {
    if (state.document !== before.document) later(PAUSE);
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}

/** The node or the edge that a problem is at. */
export function placeOf({ path }: Problem, document: WorkflowDocument): { node?: string; edge?: string } {
  const match = /^(nodes|edges)\[(\d+)\]/.exec(path);
  if (!match) return {};
  const index = Number(match[2]);
  if (match[1] === "nodes") return { node: document.nodes[index]?.id };
  return { edge: document.edges[index]?.id };
}
