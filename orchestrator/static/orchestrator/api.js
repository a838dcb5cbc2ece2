// The HTTP API, below whatever path this page is served.

const root = new URL(document.body.dataset.root, location.href);
const csrf = document.querySelector('meta[name="csrf-token"]').content;
const CSRF_COOKIE = "orchestrator_csrftoken=";

/** Read anew each time: whoever logs in again, in another tab, can go on in this one. */
export function csrfToken() {
  const cookie = document.cookie.split("; ").find((text) => text.startsWith(CSRF_COOKIE));
  return cookie?.slice(CSRF_COOKIE.length) ?? csrf;
}

/** The address of a path such as `prod/start`; every part that comes from data is encoded. */
export function address(...parts) {
  return new URL(parts.map(encodeURIComponent).join("/") + "/", root).href;
}

export function socketAddress(...parts) {
  return address("ws", ...parts).replace(/^http/, "ws");
}

/** What the API answered instead of what was asked for. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body.message);
    this.status = status;
    this.code = body.code;
    this.details = body.details ?? [];
    this.body = body;
  }
}

async function bodyOf(answer, read) {
  try {
    return read(await answer.text());
  } catch {
    return null;
  }
}

/** Return the JSON body, or throw an ApiError. `read` makes a value of its text. */
export async function request(method, url, body, read = JSON.parse) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers,
      credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, { code: "unreachable", message: "The server cannot be reached." });
  }
  const content = await bodyOf(answer, read);
  if (answer.ok) return content;
  const unreadable = { code: "error", message: `The server answered ${answer.status}.` };
  throw new ApiError(answer.status, content?.error ?? unreadable);
}

/** What is there of the system; `/readyz` answers 503 with the same body when something is away. */
export async function readiness() {
  const answer = await fetch(address("readyz"), { credentials: "same-origin" });
  return answer.json();
}
