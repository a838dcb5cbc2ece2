// A node's form in a page. htmx asks for it again after every change; this says what has changed,
// and lets nobody lose what they have typed in the meantime.

/**
 * Follow the fragment inside `host`, which lies inside a form.
 *
 * prepare(request): may add to what is sent. took(fragment): a new one is in its place.
 * problem(text): what is wrong with asking, or "".
 */
export function followForm(host, { prepare = (_request) => {}, took = (_fragment) => {}, problem }) {
  const follower = new Follower(host, prepare, took, problem);
  const stop = new AbortController();
  const on = (name, does, capture = false) => host.addEventListener(name, does, { signal: stop.signal, capture });
  // Before htmx hears of it, which is inside of the host.
  on("input", ({ target }) => follower.edited(target), true);
  on("change", ({ target }) => follower.edited(target), true);
  on("click", ({ target }) => rowClicked(target));
  on("click", ({ target }) => target.closest(".node-credential") && follower.awaits(stop.signal));
  on("htmx:config:request", (event) => follower.asks(event));
  on("htmx:before:request", () => follower.busy(1));
  on("htmx:after:request", (event) => follower.answered(event));
  on("htmx:after:swap", (event) => follower.swapped(event));
  on("htmx:error", () => follower.failed("the server does not answer"));
  on("htmx:finally:request", () => follower.busy(-1));
  return { flush: () => follower.flush(), pending: () => follower.pending, changed: () => [...follower.changed], stop: () => stop.abort() };
}

class Follower {
  constructor(host, prepare, took, problem) {
    Object.assign(this, { host, prepare, took, problem });
    this.changed = new Set();
    this.edits = 0;
    this.asking = 0;
    this.last = null;
    this.waiting = [];
  }

  /** Whether something was typed that no answer has seen. */
  get pending() {
    return this.changed.size > 0;
  }

  edited(target) {
    const row = target.closest("[data-name]");
    if (!row || !target.name) return;
    this.edits += 1;
    this.changed.add(row.dataset.name);
  }

  asks(event) {
    const { ctx } = event.detail;
    const { body } = ctx.request;
    for (const name of this.changed) body.append("changed", name);
    this.prepare(ctx.request);
    ctx.sent = new URLSearchParams(body).toString();
    ctx.edits = this.edits;
    ctx.fetch = fetched;
    if (ctx.sent !== this.last) return;
    event.preventDefault();
    this._settled();
  }

  busy(more) {
    this.asking += more;
    if (this.asking) this.host.setAttribute("aria-busy", "true");
    else this.host.removeAttribute("aria-busy");
  }

  /** Refuse an answer that is no form, or that was overtaken by what was typed since. */
  answered(event) {
    const { ctx } = event.detail;
    if (!ctx.response.headers.get("Content-Type")?.startsWith("text/html") || ctx.response.status >= 500) {
      event.preventDefault();
      this.failed(messageOf(ctx.text) ?? `the server answered ${ctx.response.status}`);
    } else if (ctx.edits !== this.edits) {
      event.preventDefault();
      this.last = null;
    }
  }

  swapped(event) {
    const { ctx } = event.detail;
    this.last = ctx.sent;
    settleControls(this.host);
    this.problem("");
    const fragment = this.host.querySelector(".node-fields");
    this._settled();
    this.took(fragment);
  }

  failed(reason) {
    this.last = null;
    this.problem(`The fields could not be updated: ${reason}`);
    this._release();
  }

  /** Resolve when what was typed has been answered, or could not be. */
  flush() {
    if (!this.pending) return Promise.resolve();
    const answered = new Promise((resolve) => this.waiting.push(resolve));
    this.host.querySelector(".node-fields")?.dispatchEvent(new Event("change"));
    return answered;
  }

  /** Ask again as soon as somebody comes back from another page, where they may have made a choice. */
  awaits(signal) {
    window.addEventListener("focus", () => this._again(), { signal, once: true });
  }

  _again() {
    this.last = null;
    this.host.querySelector(".node-fields")?.dispatchEvent(new Event("change"));
  }

  _settled() {
    this.changed.clear();
    this._release();
  }

  _release() {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

/** Fetch; a server that cannot be reached answers like one that is away. */
async function fetched(...request) {
  try {
    return await fetch(...request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const body = JSON.stringify({ error: { message: "the server cannot be reached" } });
    return new Response(body, { status: 503, headers: { "Content-Type": "application/json" } });
  }
}

function messageOf(text) {
  try {
    return JSON.parse(text).error.message;
  } catch {
    return null;
  }
}

/** Let every control show what the server sent: a browser keeps what somebody has touched. */
function settleControls(host) {
  for (const list of host.querySelectorAll("select")) {
    const chosen = [...list.options].findIndex((option) => option.defaultSelected);
    if (list.selectedIndex !== Math.max(chosen, 0)) list.selectedIndex = Math.max(chosen, 0);
  }
  for (const control of host.querySelectorAll("input, textarea")) {
    if (control.type === "checkbox") control.checked = control.defaultChecked;
    else if (control.value !== control.defaultValue) control.value = control.defaultValue;
  }
}

function rowClicked(target) {
  const list = target.closest("[data-name]")?.querySelector(".node-rows");
  if (!list) return;
  if (target.closest(".node-add")) addRow(list);
  else if (target.closest(".node-remove")) removeRow(list, target.closest(".node-row"));
}

function addRow(list) {
  const added = list.lastElementChild.cloneNode(true);
  for (const control of added.querySelectorAll("input, textarea, select")) {
    control.value = control.tagName === "SELECT" ? "text" : "";
  }
  list.append(added);
  number(list);
  added.querySelector("input").focus();
}

/** Remove a row, but leave one to type into. */
function removeRow(list, row) {
  if (list.childElementCount === 1) addRow(list);
  const next = row.nextElementSibling ?? row.previousElementSibling;
  row.remove();
  number(list);
  const control = next.querySelector("input");
  control.focus();
  control.dispatchEvent(new Event("change", { bubbles: true }));
}

function number(list) {
  for (const [index, row] of [...list.children].entries()) {
    for (const control of row.querySelectorAll("[aria-label]")) {
      control.setAttribute("aria-label", control.getAttribute("aria-label").replace(/\d+/, index + 1));
    }
  }
}
