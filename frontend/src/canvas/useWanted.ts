// Bringing the node that somebody asked for into view, and giving it the focus.

import { useEffect } from "react";
import { useReactFlow, useStoreApi } from "@xyflow/react";

import { nodeOf } from "../document/lookup";
import { CARD_HEIGHT, CARD_WIDTH } from "../document/size";
import { useDocument } from "../document/store";
import { useView } from "../view";

const TRIES = 30; // frames until a node that was off the screen is drawn
const NEAR = 0.6;
const MARGIN = 60; // room for what is added behind a node
const TOOLS = 60; // a card below the toolbar is not seen
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** How far a line has to be moved, and no farther, to lie between two places. */
function into(begin: number, end: number, least: number, most: number): number {
  if (begin < least || end - begin > most - least) return least - begin;
  return Math.min(0, most - end);
}

export function useWanted(): void {
  const wanted = useView((view) => view.wanted);
  const flow = useReactFlow();
  const store = useStoreApi();
  useEffect(() => {
    const place = wanted && nodeOf(useDocument.getState().document, wanted.id)?.position;
    if (!wanted || !place) return;
    const { width, height } = store.getState();
    const { x, y, zoom } = flow.getViewport();
    const [left, top] = [place.x * zoom + x, place.y * zoom + y];
    const [right, bottom] = [left + CARD_WIDTH * zoom, top + CARD_HEIGHT * zoom];
    const duration = calm.matches ? 0 : 200;
    if (zoom < NEAR) {
      void flow.setCenter(place.x + CARD_WIDTH / 2, place.y + CARD_HEIGHT / 2, { zoom: NEAR, duration });
    } else {
      const [dx, dy] = [into(left, right, MARGIN, width - MARGIN), into(top, bottom, TOOLS, height - TOOLS)];
      if (dx || dy) void flow.setViewport({ x: x + dx, y: y + dy, zoom }, { duration });
    }
    return focusSoon(wanted.id);
  }, [wanted, flow, store]);
}

function focusSoon(id: string): () => void {
  let frame = 0;
  let tries = 0;
  const attempt = () => {
    const card = document.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`);
    if (card) card.focus({ preventScroll: true });
    else if ((tries += 1) < TRIES) frame = requestAnimationFrame(attempt);
  };
  frame = requestAnimationFrame(attempt);
  return () => cancelAnimationFrame(frame);
}
