// How large a node's card is. The canvas, the layout and the edges know it without measuring, so
// that a workflow of thousands of nodes is placed before one of them is drawn.

export const CARD_WIDTH = 220;
export const CARD_HEIGHT = 76;
export const COLUMN_GAP = 100;
const PORT_GAP = 22;
const PORT_PADDING = 16;

export const cardHeight = (ports: number): number =>
  Math.max(CARD_HEIGHT, 2 * PORT_PADDING + PORT_GAP * ports);

/** The middle of port number `index` of `count`, from the top of the card. */
export function portY(index: number, count: number, height: number): number {
  if (count === 1) return height / 2;
  return height / 2 + (index - (count - 1) / 2) * PORT_GAP;
}
