// Copy, cut and paste through the system's clipboard, so that they work between workflows, tabs and
// editors. The browser's own events are used: they need no permission and no secure origin.

import { useEffect, useRef } from "react";
import { useReactFlow } from "@xyflow/react";

import { announce, notify } from "@shared/dom.js";

import { asText, copied, fromText } from "../document/clipboard";
import { useDocument } from "../document/store";
import type { Point } from "../document/types";
import { mayEdit } from "./editing";
import { isForCanvas } from "./shortcuts";

const nodesOf = (count: number) => (count === 1 ? "1 node" : `${count} nodes`);

export function useClipboard(): void {
  const { screenToFlowPosition } = useReactFlow();
  const pointer = useRef<Point | null>(null);
  useEffect(() => {
    const onMove = (event: PointerEvent) => {
      const over = event.target instanceof Element && event.target.closest(".react-flow__pane");
      pointer.current = over ? { x: event.clientX, y: event.clientY } : null;
    };
    const copy = (event: ClipboardEvent): string[] => {
      const { document, selection } = useDocument.getState();
      if (!isForCanvas(event.target) || !selection.length || getSelection()?.toString()) return [];
      event.clipboardData?.setData("text/plain", asText(copied(document, selection)));
      event.preventDefault();
      announce(`${nodesOf(selection.length)} copied`);
      return selection;
    };
    const cut = (event: ClipboardEvent) => {
      if (mayEdit()) useDocument.getState().remove(copy(event));
    };
    const paste = (event: ClipboardEvent) => {
      if (!isForCanvas(event.target) || !mayEdit()) return;
      const fragment = fromText(event.clipboardData?.getData("text/plain") ?? "");
      if (!fragment) return notify("There are no nodes in the clipboard.");
      event.preventDefault();
      const at = pointer.current ? screenToFlowPosition(pointer.current) : undefined;
      useDocument.getState().paste(fragment, at);
      announce(`${nodesOf(fragment.nodes.length)} pasted`);
    };
    window.addEventListener("pointermove", onMove);
    document.addEventListener("copy", copy);
    document.addEventListener("cut", cut);
    document.addEventListener("paste", paste);
    return () => {
      window.removeEventListener("pointermove", onMove);
      document.removeEventListener("copy", copy);
      document.removeEventListener("cut", cut);
      document.removeEventListener("paste", paste);
    };
  }, [screenToFlowPosition]);
}
