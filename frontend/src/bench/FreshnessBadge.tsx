import { Check, CircleDashed, Pin, RefreshCw } from "lucide-react";

import { aboutStanding, FRESHNESS } from "../panel/words";
import type { Freshness, Standing } from "./types";

const ICONS = { fresh: Check, stale: RefreshCw, missing: CircleDashed, pinned: Pin } satisfies Record<Freshness, unknown>;

/** Whether what is remembered of a node still holds: by its icon, its colour and its word. */
export function FreshnessBadge({ standing }: { standing: Standing }) {
  const Drawn = ICONS[standing.freshness];
  return (
    <span className="freshness" data-freshness={standing.freshness} title={aboutStanding(standing)}>
      <Drawn size={12} strokeWidth={2.4} aria-hidden /> {FRESHNESS[standing.freshness]}
    </span>
  );
}
