// The keys of the canvas. They work while it has the focus, or nothing has.

import { useEffect } from "react";
import { useReactFlow, type ReactFlowInstance } from "@xyflow/react";

import { incoming, nodeOf, outgoing } from "../document/lookup";
import { outputsOf } from "../document/ports";
import { useDocument } from "../document/store";
import { useView } from "../view";
import { useDialogs } from "./dialogState";
import { mayEdit } from "./editing";

type Flow = Pick<ReactFlowInstance, "fitView" | "zoomIn" | "zoomOut">;

const state = () => useDocument.getState();
const show = useDialogs.getState().show;

/** Everything that is selected, nodes and edges. */
export const selectedIds = (): string[] => [...state().selection, ...state().selectedEdges];

export function connectSelected(): void {
  const [id] = state().selection;
  const node = id ? nodeOf(state().document, id) : undefined;
  if (node && outputsOf(node).length) show({ kind: "connect", from: { source: node.id } });
}

export function addBehindSelected(): void {
  const { selection, document, selectedEdges } = state();
  if (!selection.length && selectedEdges.length === 1) return show({ kind: "add", into: selectedEdges[0] });
  const node = selection.length === 1 ? nodeOf(document, selection[0]!) : undefined;
  const used = new Set(node && outgoing(document, node.id).map((edge) => edge.sourceHandle ?? "default"));
  const ports = node ? outputsOf(node) : [];
  const port = ports.find((name) => !used.has(name)) ?? ports[0];
  show({ kind: "add", from: node && port ? { source: node.id, port } : undefined });
}

function walk(forward: boolean): void {
  const { selection, document } = state();
  const id = selection[0];
  const next = id && (forward ? outgoing(document, id)[0]?.target : incoming(document, id)[0]?.source);
  if (next) useView.getState().focusNode(next);
}

/** Keys that change something; they need the right to. */
const EDITING: Readonly<Record<string, () => void>> = {
  a: addBehindSelected,
  c: connectSelected,
  l: () => state().layout(),
  delete: () => state().remove(selectedIds()),
  backspace: () => state().remove(selectedIds()),
  "mod+z": () => state().undo(),
  "mod+shift+z": () => state().redo(),
  "mod+y": () => state().redo(),
  "mod+d": () => state().duplicate(state().selection),
};

const LOOKING: Readonly<Record<string, (flow: Flow) => void>> = {
  "/": () => show({ kind: "find" }),
  "mod+k": () => show({ kind: "find" }),
  "?": () => show({ kind: "help" }),
  f: (flow) => void flow.fitView({ padding: 0.15, maxZoom: 1 }),
  "+": (flow) => void flow.zoomIn(),
  "=": (flow) => void flow.zoomIn(),
  "-": (flow) => void flow.zoomOut(),
  escape: () => state().select([], []),
  "mod+a": () => state().select(state().document.nodes.map((node) => node.id)),
};

function keyOf(event: KeyboardEvent): string {
  const mod = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  const named = key.length > 1 || mod;
  return [mod && "mod", event.altKey && "alt", event.shiftKey && named && "shift", key].filter(Boolean).join("+");
}

const TYPING = "input, select, textarea, [contenteditable]";

/** Whether a key is meant for the canvas: not for a field, a button, a panel or a dialog. */
export function isForCanvas(target: EventTarget | null): boolean {
  if (!(target instanceof Element) || document.querySelector("dialog[open]")) return false;
  if (target === document.body || target.id === "content") return true;
  return Boolean(target.closest(".canvas")) && !target.closest(TYPING);
}

const FOCUSABLE = "input:not([type=hidden]), select, textarea, button, a[href], [tabindex='0']";

const firstIn = (place: string) => document.querySelector<HTMLElement>(`${place} :is(${FOCUSABLE})`);

const OPEN_TAB = ".tab-page:not([hidden])";

/** Go to the first field of the tab that is open. */
function enterPanel(): void {
  useView.getState().openSheet("panel");
  requestAnimationFrame(() => enterLoaded(document.activeElement));
}

/** Wait for what the tab is loading, as long as the focus stays where it is. */
function enterLoaded(from: Element | null): void {
  if (document.activeElement !== from) return;
  if (document.querySelector(`${OPEN_TAB} [aria-busy=true]`)) requestAnimationFrame(() => enterLoaded(from));
  else (firstIn(OPEN_TAB) ?? firstIn(".side-content"))?.focus();
}

/** Keys of a selected node, which would else select or move it once more. */
const AT_NODE: Readonly<Record<string, () => void>> = {
  enter: enterPanel,
  "alt+arrowright": () => walk(true),
  "alt+arrowleft": () => walk(false),
};

function atNode(event: KeyboardEvent): void {
  const act = AT_NODE[keyOf(event)];
  if (!act || !(event.target instanceof Element) || !event.target.matches(".react-flow__node.selected")) return;
  event.preventDefault();
  event.stopPropagation();
  act();
}

export function useShortcuts(): void {
  const flow = useReactFlow();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || !isForCanvas(event.target)) return;
      const key = keyOf(event);
      const edit = mayEdit() ? EDITING[key] : undefined;
      const look = LOOKING[key];
      if (!edit && !look) return;
      event.preventDefault();
      if (edit) edit();
      else look?.(flow);
    };
    window.addEventListener("keydown", onKeyDown);
    window.addEventListener("keydown", atNode, true);
    return () => {
      window.removeEventListener("keydown", onKeyDown);
      window.removeEventListener("keydown", atNode, true);
    };
  }, [flow]);
}
