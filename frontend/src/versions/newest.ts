// Which version is the newest; somebody else may save one while this page is open.

import { useEffect } from "react";
import { create } from "zustand";

import { lookAtRole } from "../live/rights";
import { listVersions, type VersionRow } from "./api";

const LOOK_EVERY = 10_000;

export const useNewest = create<{ newest: VersionRow | null }>(() => ({ newest: null }));

/** Take note of a version; an older one than is known is let go. */
export function noteVersion(row: VersionRow): void {
  const { newest } = useNewest.getState();
  if (!newest || row.version > newest.version) useNewest.setState({ newest: row });
}

async function lookForNewer(workflowId: string): Promise<void> {
  try {
    const { results } = await listVersions(workflowId, 0, 1);
    if (results[0]) noteVersion(results[0]);
  } catch {
    // the banner of the connection tells, or what was said of the role
  }
}

/** Look for newer versions and for the role, for as long as the page is open. */
export function useLookout(workflowId: string | null): void {
  useEffect(() => {
    const look = () => {
      if (document.hidden) return;
      void lookAtRole();
      if (workflowId) void lookForNewer(workflowId);
    };
    look();
    const timer = setInterval(look, LOOK_EVERY);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [workflowId]);
}
