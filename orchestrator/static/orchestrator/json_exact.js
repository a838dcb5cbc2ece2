// JSON whose numbers stay as they are written: `12345678901234567890` and `1.0` come back unchanged
// when a text is read, shown, edited and sent.

const raw = typeof JSON.rawJSON === "function";

export function parse(text) {
  return JSON.parse(text, (_, value, context) => {
    const changed = typeof value === "number" && raw && context?.source !== undefined && String(value) !== context.source;
    return changed ? JSON.rawJSON(context.source) : value;
  });
}

export const isObject = (value) => kind(value) === "object";

/** What a value is to a person: object, list, text, number, true/false or null. */
export function kind(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "list";
  if (typeof value === "object") return raw && JSON.isRawJSON(value) ? "number" : "object";
  return { string: "text", number: "number", boolean: "boolean" }[typeof value];
}
