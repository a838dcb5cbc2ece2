// Where a new node goes: near where it was asked for, and on no other.

import { snap } from "./layout";
import { nodeOf } from "./lookup";
import { CARD_HEIGHT, CARD_WIDTH, COLUMN_GAP } from "./size";
import type { Point, WorkflowDocument } from "./types";

const ROW = CARD_HEIGHT + 40;

const covers = (a: Point, b: Point) => Math.abs(a.x - b.x) < CARD_WIDTH + 20 && Math.abs(a.y - b.y) < CARD_HEIGHT + 20;

/** The first free place from here downwards. */
export function freePlace(document: WorkflowDocument, wanted: Point): Point {
  const place = { x: snap(wanted.x), y: snap(wanted.y) };
  while (document.nodes.some(({ position }) => position && covers(position, place))) place.y += snap(ROW);
  return place;
}

/** To the right of a node. */
export function placeBehind(document: WorkflowDocument, id: string): Point {
  const { x, y } = nodeOf(document, id)?.position ?? { x: 0, y: 0 };
  return freePlace(document, { x: x + CARD_WIDTH + COLUMN_GAP, y });
}
