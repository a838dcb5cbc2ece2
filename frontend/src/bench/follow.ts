// Freshness follows what is edited, a moment after it.

import { opened, useView } from "../view";
import { useDocument } from "../document/store";
import type { WorkflowDocument } from "../document/types";
import { notify } from "@shared/dom.js";
import { useBench } from "./store";

const PAUSE = 500;
const AGAIN = 5000;

/** Whether two documents may give a node another input or other settings; moving it does not. */
function differs(one: WorkflowDocument, other: WorkflowDocument): boolean {
  if (one === other) return false;
  if (one.edges !== other.edges || one.nodes.length !== other.nodes.length || one.name !== other.name) return true;
  return one.nodes.some((node, index) => {
    const before = other.nodes[index]!;
    return node.id !== before.id || node.type !== before.type || node.data !== before.data;
  });
}

/** Ask again after each change, and from time to time while that fails. */
export function followBench(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const later = (pause: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => void refresh(), pause);
  };
  const refresh = async () => {
    if (useView.getState().mode !== "bench") return;
    await useBench.getState().refresh();
    if (useBench.getState().problem) later(AGAIN);
  };
  const stops = [
    useDocument.subscribe((now, before) => differs(now.document, before.document) && later(PAUSE)),
    useView.subscribe((now, before) => now.mode !== before.mode && later(0)),
  ];
  void refresh().then(loadAsked);
  return () => {
    clearTimeout(timer);
    for (const stop of stops) stop();
  };
}

let loaded = false;

/** A dead letter that the address names is put on the bench, once. */
async function loadAsked(): Promise<void> {
  const number = Number(opened.deadLetter);
  if (loaded || !Number.isInteger(number) || number < 1) return;
  loaded = true;
  const place = new URL(location.href);
  place.searchParams.delete("dead_letter");
  history.replaceState(null, "", place);
  try {
    const { node_id } = await useBench.getState().load({ dead_letter: number });
    useView.getState().focusNode(node_id, "input");
    notify(`Dead letter ${number} is on the bench: node ${node_id} has its input.`);
  } catch (error) {
    notify(`Dead letter ${number} cannot be loaded: ${(error as Error).message}`, "bad");
  }
}
