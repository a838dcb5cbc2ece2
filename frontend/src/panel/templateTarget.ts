// Where a path goes that somebody picks in a tree: the field that was edited last, else the first that may hold one.

const TEMPLATES = '[data-template="own"] :is(input, textarea)[id], input[name$="-template"], [data-template="rows"] textarea';

type Control = HTMLInputElement | HTMLTextAreaElement;

let last: Control | null = null;

/** Whether a control may hold a template. */
export function isTemplate(target: EventTarget | null): target is Control {
  return (target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement) && target.matches(TEMPLATES);
}

export function remember(control: Control): void {
  last = control;
}

/** The first field that may hold a template; the value of a row without a name is none yet. */
function firstOf(host: Element): Control | undefined {
  const all = [...host.querySelectorAll<Control>(TEMPLATES)];
  const shown = all.filter((control) => !control.disabled && !control.closest("[data-name]")?.hasAttribute("hidden"));
  const named = shown.filter((control) => !control.closest(".node-row") || control.closest(".node-row")?.querySelector("input")?.value);
  const own = named.filter((control) => !control.name.endsWith("-template"));
  return own.find((control) => control.value === "") ?? own[0] ?? named[0];
}

function usable(): Control | null {
  if (last?.isConnected && !last.disabled) return last;
  const host = document.querySelector(".node-host");
  const found = host && firstOf(host);
  if (!found) return null;
  found.setSelectionRange(found.value.length, found.value.length);
  return found;
}

/** Where an expression is open at the caret: what of it is written, and where it begins. */
export function openAt(text: string, caret: number): { from: number; token: string } | null {
  const before = text.slice(0, caret);
  const begins = Math.max(before.lastIndexOf("{{"), before.lastIndexOf("{%"));
  if (begins < 0 || begins < Math.max(before.lastIndexOf("}}"), before.lastIndexOf("%}"))) return null;
  const token = /[A-Za-z_][\w.[\]"]*$/.exec(before.slice(begins + 2))?.[0] ?? "";
  return { from: caret - token.length, token };
}

/** Write a path at the caret, in braces unless it is inside some. */
export function writePath(control: Control, path: string): void {
  const [start, end] = [control.selectionStart ?? control.value.length, control.selectionEnd ?? control.value.length];
  const inside = openAt(control.value, start);
  if (inside) {
    const closed = /^[^{]*?[}%]}/.test(control.value.slice(end));
    const space = control.value.slice(0, inside.from).endsWith("{") ? " " : "";
    control.setRangeText(`${space}${path}${closed ? "" : " }}"}`, inside.from, end, "end");
  } else {
    control.setRangeText(`{{ ${path} }}`, start, end, "end");
  }
  control.focus();
  control.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Write a path into the field that was edited last; false when there is none that takes it. */
export function insertPath(path: string): boolean {
  const control = usable();
  if (!control) return false;
  writePath(control, path);
  return true;
}
