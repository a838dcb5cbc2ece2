// The bench on a node's card: whether its output holds, how the last run went, and running it.

import { CircleX, LoaderCircle, Play, Square } from "lucide-react";

import { duration } from "@shared/format.js";

import { page } from "../page";
import "./bench.css";
import { FreshnessBadge } from "./FreshnessBadge";
import { useBench, useIsRunning, useOutcome, useStanding } from "./store";

export function NodeBench({ id }: { id: string }) {
  const standing = useStanding(id);
  const running = useIsRunning(id);
  return (
    <span className="node-bench">
      {running ? (
        <span className="freshness" data-freshness="running">
          <LoaderCircle size={12} className="spin" aria-hidden /> Running
        </span>
      ) : (
        standing && <FreshnessBadge standing={standing} />
      )}
      {!running && <LastRun id={id} />}
      {page.may.run && <RunButton id={id} running={running} />}
    </span>
  );
}

function LastRun({ id }: { id: string }) {
  const outcome = useOutcome(id);
  if (outcome?.failure) {
    return (
      <span className="last-run" data-tone="bad" title={outcome.failure.message}>
        <CircleX size={13} aria-hidden /> Failed
      </span>
    );
  }
  if (!outcome?.ran) return null;
  const { port, seconds, output, completed } = outcome.ran;
  const way = output === null ? (completed ? "at its end" : "nothing") : port === "default" ? "" : port;
  return (
    <span className="last-run" title={`The last run took ${duration(seconds)}`}>
      {way || duration(seconds)}
    </span>
  );
}

function RunButton({ id, running }: { id: string; running: boolean }) {
  const busy = useBench((bench) => bench.running !== null);
  const { run, cancel } = useBench.getState();
  return (
    <button
      type="button"
      className="node-run nodrag nopan"
      aria-label={running ? `Cancel node ${id}` : `Run node ${id}`}
      title={running ? "Cancel" : "Run this node"}
      disabled={busy && !running}
      onClick={(event) => {
        event.stopPropagation();
        void (running ? cancel() : run(id));
      }}
    >
      {running ? <Square size={12} aria-hidden /> : <Play size={13} aria-hidden />}
    </button>
  );
}
