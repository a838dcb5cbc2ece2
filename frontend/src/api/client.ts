// The HTTP API with the types of its description. Whatever is not what was asked for is thrown as
// an ApiError, the same that `request` of api.js throws.

import createClient from "openapi-fetch";

import { ApiError, address, request } from "@shared/api.js";

import { page } from "../page";
import type { paths } from "./schema";

export { ApiError, address, request };

const client = createClient<paths>({
  baseUrl: page.root.replace(/\/$/, ""),
  credentials: "same-origin",
  headers: { Accept: "application/json" },
});

client.use({
  onRequest({ request: sent }) {
    if (sent.method !== "GET") sent.headers.set("X-CSRFToken", page.csrf);
    return sent;
  },
});

export const api = client;

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** `await call(api.GET("/nodes/"))` is the body; anything but 2xx is thrown. */
export async function call<T>(answer: Promise<Answer<T>>): Promise<T> {
  let found: Answer<T>;
  try {
    found = await answer;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, { code: "unreachable", message: "The server cannot be reached." });
  }
  if (found.response.ok) return found.data as T;
  throw new ApiError(found.response.status, bodyOf(found.error, found.response.status));
}

function bodyOf(error: unknown, status: number): { code: string; message: string } {
  const body = (error as { error?: { code: string; message: string } } | undefined)?.error;
  return body ?? { code: "error", message: `The server answered ${status}.` };
}
