// A node's name, whether its output holds, and running it.

import { useEffect, useState } from "react";
import { Maximize2, Play, SkipForward, Square } from "lucide-react";

import { ask, notify } from "@shared/dom.js";

import { FreshnessBadge } from "../bench/FreshnessBadge";
import { useBench, useIsRunning, useStanding } from "../bench/store";
import { useNodeType } from "../catalog/store";
import { Icon } from "../canvas/Icon";
import { nodeOf } from "../document/lookup";
import { useDocument } from "../document/store";
import { page } from "../page";
import { useView } from "../view";
import { useEditable } from "./useEditable";
import { useWide } from "./wide";
import { aboutStanding } from "./words";

interface Props {
  id: string;
  type: string;
  onRan?: () => void;
}

export function NodeHead({ id, type, onRan }: Props) {
  const known = useNodeType(type);
  const label = useDocument((state) => nodeOf(state.document, id)?.data?.label ?? "");
  const mode = useView((view) => view.mode);
  const editable = useEditable();
  const { wide, setWide } = useWide();
  return (
    <header className="node-head">
      <div className="node-name">
        <span className="node-icon">
          <Icon name={known?.icon ?? "box"} size={20} />
        </span>
        <input
          aria-label="Label of the node"
          value={label}
          placeholder={known?.label ?? type}
          maxLength={200}
          readOnly={!editable}
          spellCheck={false}
          onChange={(event) => useDocument.getState().setLabel(id, event.target.value)}
        />
        {!wide && (
          <button type="button" className="tool wide-open" aria-label="Input, settings and output side by side" title="Side by side" onClick={() => setWide(true)}>
            <Maximize2 size={16} aria-hidden />
          </button>
        )}
      </div>
      <p className="node-kind" title={known?.description}>
        {known?.label ?? type} · <code>{id}</code>
      </p>
      {mode === "bench" && <BenchBar id={id} onRan={onRan} writes={known?.queue_role === "writer"} />}
    </header>
  );
}

interface BarProps {
  id: string;
  onRan?: () => void;
  writes: boolean;
}

function BenchBar({ id, onRan, writes }: BarProps) {
  const standing = useStanding(id);
  const running = useIsRunning(id);
  const busy = useBench((bench) => bench.running !== null);
  const run = async (upstream: "missing" | "stale", write = false) => {
    if (await useBench.getState().run(id, { upstream, write })) onRan?.();
  };
  const forget = () =>
    useBench.getState().forget(id).catch((error: Error) => notify(error.message, "bad"));
  const write = async () => {
    const sure = await ask("Write for real?", `What node ${id} emits goes into production's queue.`, "Run and write");
    if (sure) await run("missing", true);
  };
  return (
    <div className="bench-bar">
      {page.may.run && (
        <div className="bench-run">
          {running ? (
            <button type="button" className="danger" onClick={() => void useBench.getState().cancel()}>
              <Square size={14} aria-hidden /> Cancel <Elapsed />
            </button>
          ) : (
            <button type="button" className="primary" data-first disabled={busy} title="Run this node, and those before it that have no output (Ctrl+Enter)" onClick={() => void run("missing")}>
              <Play size={14} aria-hidden /> Run node
            </button>
          )}
          <button type="button" disabled={busy} title="Run everything before it that is stale or missing, then this node" onClick={() => void run("stale")}>
            <SkipForward size={14} aria-hidden /> Run to here
          </button>
          {writes && (
            <button type="button" disabled={busy} title="Run it, and put what it emits into production's queue" onClick={() => void write()}>
              Run and write …
            </button>
          )}
          {standing && (standing.freshness !== "missing" || standing.given) && (
            <button type="button" disabled={busy} title="Forget its output, its given input and its cursor" onClick={() => void forget()}>
              Forget
            </button>
          )}
        </div>
      )}
      {standing && (
        <p className="bench-standing">
          <FreshnessBadge standing={standing} /> <span>{aboutStanding(standing)}</span>
        </p>
      )}
    </div>
  );
}

/** How long the run has taken so far. */
function Elapsed() {
  const since = useBench((bench) => bench.since);
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.floor((now - since) / 1000));
  return <span className="elapsed">{seconds > 0 && `${seconds} s`}</span>;
}
