// What differs between two JSON values, place by place.

import { isObject } from "./json_exact.js";

/**
 * Return {path, op, before, after} for each place; `op` is add, remove or change. Objects are looked
 * into, lists are compared as a whole. A value that there is not is `undefined`.
 */
export function changesBetween(before, after) {
  const found = [];
  compare("", before, after, found);
  return found;
}

function compare(path, before, after, found) {
  if (JSON.stringify(before) === JSON.stringify(after)) return;
  if (isObject(before ?? null) && isObject(after ?? null)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      compare(path ? `${path}.${key}` : key, before[key], after[key], found);
    }
    return;
  }
  const op = before === undefined ? "add" : after === undefined ? "remove" : "change";
  found.push({ path, op, before, after });
}
