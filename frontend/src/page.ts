// What the server said about this page: it is in the attributes of <body> and #studio.

import { csrfToken } from "@shared/api.js";

export type Role = "" | "viewer" | "operator" | "editor" | "admin";

const OPERATORS: readonly string[] = ["operator", "editor", "admin"];
const EDITORS: readonly string[] = ["editor", "admin"];

const studio = document.getElementById("studio");
const role = (document.body.dataset.role ?? "") as Role;

/**
 * `workflowId` is the workflow that the page was opened with, null for a new one; what is being
 * edited now, after a first save also, is `useDocument().workflowId`.
 * `may` says what is worth offering; the services decide again.
 */
export const page = {
  workflowId: studio?.dataset.workflow || null,
  user: studio?.dataset.user ?? "",
  role,
  may: {
    edit: EDITORS.includes(role),
    run: EDITORS.includes(role),
    operate: OPERATORS.includes(role),
  },
  root: new URL(document.body.dataset.root ?? "/", location.href).href,
  get csrf() {
    return csrfToken();
  },
};
