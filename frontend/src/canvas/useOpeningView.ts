// What of a workflow is seen first: all of it where that can be read, else where it begins.

import { useCallback, useEffect, useRef } from "react";
import { type Viewport, useReactFlow, useStore, useStoreApi } from "@xyflow/react";

import { CARD_HEIGHT, CARD_WIDTH } from "../document/size";
import { useDocument } from "../document/store";
import type { Point } from "../document/types";
import { useView } from "../view";

const MARGIN = 70;
const READABLE = 0.6;
const BEGIN = 0.8;

interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

function boxOf(places: readonly Point[]): Box {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const { x, y } of places) {
    box.left = Math.min(box.left, x);
    box.top = Math.min(box.top, y);
    box.right = Math.max(box.right, x + CARD_WIDTH);
    box.bottom = Math.max(box.bottom, y + CARD_HEIGHT);
  }
  return box;
}

export function useOpeningView(): () => void {
  const { getViewport, setViewport } = useReactFlow();
  const store = useStoreApi();
  const shown = useRef<Viewport | null>(null);
  const size = useStore(({ width, height }) => `${width} ${height}`);
  const overview = useView((view) => view.overview);
  const showFirst = useCallback(() => {
    const { width, height } = store.getState();
    const places = useDocument.getState().document.nodes.flatMap(({ position }) => position ?? []);
    if (!places.length) return;
    const box = boxOf(places);
    const fits = Math.min(
      (width - 2 * MARGIN) / (box.right - box.left),
      (height - 2 * MARGIN) / (box.bottom - box.top),
      1,
    );
    shown.current = fits >= READABLE ? centred(box, width, height, fits) : beginning(places, box, height);
    void setViewport(shown.current);
  }, [setViewport, store]);
  // The canvas may get its size after its nodes. Once somebody has moved it, it stays.
  useEffect(() => {
    if (shown.current && same(getViewport(), shown.current)) showFirst();
  }, [size, getViewport, showFirst]);
  useEffect(() => {
    if (overview) showFirst();
  }, [overview, showFirst]);
  return showFirst;
}

function same(a: Viewport, b: Viewport): boolean {
  return a.x === b.x && a.y === b.y && a.zoom === b.zoom;
}

function centred(box: Box, width: number, height: number, zoom: number) {
  const x = width / 2 - ((box.left + box.right) / 2) * zoom;
  return { x, y: height / 2 - ((box.top + box.bottom) / 2) * zoom, zoom };
}

/** The leftmost node at the left, at the height of the middle; the top of a tall workflow. */
function beginning(places: readonly Point[], box: Box, height: number) {
  const first = places.reduce((a, b) => (b.x < a.x ? b : a));
  const tall = (box.bottom - box.top) * BEGIN > height - 2 * MARGIN;
  const y = tall ? MARGIN - box.top * BEGIN : height / 2 - (first.y + CARD_HEIGHT / 2) * BEGIN;
  return { x: MARGIN - box.left * BEGIN, y, zoom: BEGIN };
}
