// What this person may do now. A role can be taken away while the page is open.

import { create } from "zustand";

import { api, ApiError, call } from "../api/client";
import { page } from "../page";

interface Rights {
  edit: boolean;
  run: boolean;
  operate: boolean;
  /** Why less is allowed than when the page was opened, or an empty text. */
  lost: string;
  loggedOut: boolean;
}

const KEPT = "What you changed is kept in this browser, and can be exported.";

export const useRights = create<Rights>(() => ({ ...page.may, lost: "", loggedOut: false }));

// What is asked at the moment of an event looks at the page.
useRights.subscribe(({ edit, run, operate }) => void Object.assign(page.may, { edit, run, operate }));

/** Ask the server who this is now. */
export async function lookAtRole(): Promise<void> {
  try {
    const { role } = await call(api.GET("/account/"));
    followRole(role ?? "");
  } catch (error) {
    denied(error); // anything else is told by the banner of the connection
  }
}

/** Look into an answer for what is not allowed any more; true when that tells all about it. */
export function denied(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  if (error.status === 403) void lookAtRole(); // perhaps only this one thing is not allowed
  if (error.status === 401) logOut();
  return error.status === 401;
}

/** Logging in gives the page new secrets, so that it has to be loaded again. */
export function logOut(): void {
  useRights.setState({ edit: false, run: false, operate: false, loggedOut: true, lost: `You are logged out. ${KEPT}` });
}

function followRole(role: string): void {
  const now = useRights.getState();
  const operate = ["operator", "editor", "admin"].includes(role);
  const edit = ["editor", "admin"].includes(role);
  if (now.loggedOut || (now.edit === edit && now.operate === operate)) return;
  useRights.setState({ edit, run: edit, operate, lost: toldOf(now, { edit, operate }) });
}

function toldOf(before: Rights, now: Pick<Rights, "edit" | "operate">): string {
  if (before.operate && !now.operate) return `You may only look at this page now: your role was taken away. ${KEPT}`;
  if (before.edit && !now.edit) return `You may not change workflows any more: your role was taken away. ${KEPT}`;
  return "";
}
