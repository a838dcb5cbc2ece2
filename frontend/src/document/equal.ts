// Whether two JSON values are the same. What is shared is not looked into, so that comparing a
// document with the one it was made from costs little more than what was changed.

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

export function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((value, i) => equal(value, b[i]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = definedKeys(a);
  return keys.length === definedKeys(b).length && keys.every((key) => key in b && equal(a[key], b[key]));
}

const definedKeys = (value: Record<string, unknown>) => Object.keys(value).filter((key) => value[key] !== undefined);
