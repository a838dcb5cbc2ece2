// What a node is called in a sentence.

import { nodeOf } from "../document/lookup";
import { useDocument } from "../document/store";

/** Its label with its id; the id alone of one that has none. */
export function nameOf(id: string): string {
  const label = nodeOf(useDocument.getState().document, id)?.data?.label;
  return label ? `${label} (${id})` : `node ${id}`;
}
