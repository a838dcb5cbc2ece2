// What a node gave: in the last run, or what is remembered of it; and pinning something else.

import { useEffect, useState } from "react";

import { notify } from "@shared/dom.js";
import { duration } from "@shared/format.js";

import { useBench, useIsRunning, useOutcome, useStanding } from "../bench/store";
import type { Cached, Ran } from "../bench/types";
import { useProblems } from "../document/problems";
import type { Json, JsonObject } from "../document/types";
import { page } from "../page";
import { JsonEditor } from "./JsonEditor";
import { JsonView } from "./JsonView";
import { nameOf } from "./nodeName";
import { Trouble } from "./Trouble";
import { aboutUsed, NOT_RUN, originOf, when, whenExactly } from "./words";

/** Bytes of an output that may be edited as a text. */
const EDITABLE = 200_000;

interface Shown {
  output: JsonObject | null;
  port: string | null;
}

export function OutputTab({ id }: { id: string; type: string }) {
  const outcome = useOutcome(id);
  const standing = useStanding(id);
  const looked = useBench((bench) => bench.looked[id]);
  const running = useIsRunning(id);
  const changes = useBench((bench) => bench.changes);
  const [editing, setEditing] = useState(false);
  const there = standing !== undefined && standing.at !== null;

  useEffect(() => {
    if (!there || outcome?.ran || looked) return;
    useBench.getState().look(id).catch((error: Error) => notify(error.message, "bad"));
  }, [id, there, outcome, looked, changes]);

  const shown: Shown | null = outcome?.ran ?? (looked?.at ? looked : null);
  return (
    <>
      {running && <p className="muted running-line" role="status">Running …</p>}
      {outcome?.failure && <Trouble failure={outcome.failure} />}
      {outcome?.failure && shown?.output && <p className="muted">The output from before is still there:</p>}
      {outcome?.ran ? <RanFacts ran={outcome.ran} /> : looked && <CachedFacts cached={looked} />}
      {shown && !editing && <Output id={id} shown={shown} size={standing?.bytes} completed={outcome?.ran?.completed} />}
      {!shown && !outcome && !running && !there && <Nothing why={standing?.why} />}
      {page.may.run && !editing && (
        <div className="panel-buttons">
          {shown?.output && standing?.freshness !== "pinned" && (
            <button type="button" title="Keep it until it is run again or let go; nothing before it is run" onClick={() => pin(id, shown.output!, shown.port)}>
              Pin
            </button>
          )}
          {(standing?.bytes ?? 0) < EDITABLE && (
            <button type="button" onClick={() => setEditing(true)}>
              {shown?.output ? "Edit and pin …" : "Pin an output by hand …"}
            </button>
          )}
        </div>
      )}
      {editing && <Edit id={id} shown={shown} onClose={() => setEditing(false)} />}
      {outcome?.ran && <More id={id} ran={outcome.ran} />}
    </>
  );
}

function pin(id: string, output: JsonObject, port: string | null): void {
  useBench.getState().pin(id, output, port ?? undefined).catch((error: Error) => notify(error.message, "bad"));
}

interface EditProps {
  id: string;
  shown: Shown | null;
  onClose(): void;
}

function Edit({ id, shown, onClose }: EditProps) {
  const ports = useProblems((state) => state.ports[id]?.outputs) ?? ["default"];
  const [port, setPort] = useState(shown?.port ?? ports[0] ?? "default");
  return (
    <>
      {ports.length > 1 && (
        <div className="option">
          <label htmlFor="pin-port">Leaves by the port</label>
          <select id="pin-port" value={port} onChange={(event) => setPort(event.target.value)}>
            {ports.map((each) => <option key={each}>{each}</option>)}
          </select>
        </div>
      )}
      <JsonEditor
        label="Output to pin"
        initial={shown?.output ?? {}}
        action="Pin it"
        onCancel={onClose}
        onDone={async (output) => {
          await useBench.getState().pin(id, output, port);
          onClose();
        }}
      />
    </>
  );
}

interface OutputProps {
  id: string;
  shown: Shown;
  size?: number | null;
  completed?: boolean;
}

function Output({ id, shown, size, completed }: OutputProps) {
  if (shown.output === null) return <p className="muted">{completed ? "The source has nothing more." : "The node passed nothing on."}</p>;
  return <JsonView value={shown.output} label="Output" fileName={`${id}-output.json`} size={size} root="data" />;
}

function RanFacts({ ran }: { ran: Ran }) {
  const before = ran.ran_upstream.length > 0 && ` · ran ${ran.ran_upstream.map(nameOf).join(", ")} first`;
  return (
    <p className="facts-line">
      <strong data-tone="good">Done</strong> in {duration(ran.seconds)}
      {ran.port !== "default" && (
        <>
          {" "}
          · left by <span className="port">{ran.port}</span>
        </>
      )}
      {ran.used.length > 0 && ` · input from ${ran.used.map(aboutUsed).join(", ")}`}
      {before}
    </p>
  );
}

function CachedFacts({ cached }: { cached: Cached }) {
  if (!cached.at) return null;
  return (
    <p className="facts-line" title={whenExactly(cached.at)}>
      From {originOf(cached.origin)}, {when(cached.at)}
      {cached.port && cached.port !== "default" && (
        <>
          {" "}
          · left by <span className="port">{cached.port}</span>
        </>
      )}
    </p>
  );
}

function Nothing({ why }: { why?: string }) {
  return <p className="muted">No output yet{why && why !== NOT_RUN ? `: ${why}` : ". Run the node to see one"}.</p>;
}

const isThere = (value: unknown): boolean =>
  Boolean(value) && (typeof value !== "object" || Object.keys(value as object).length > 0);

/** What else a run did; nothing of it left the bench unless that was asked for. */
function More({ id, ran }: { id: string; ran: Ran }) {
  const written = ran.written.queues > 0 || ran.written.files.length > 0;
  const parts = [
    [written ? "Put into queues" : "It would put into queues", ran.emitted],
    [written ? "Written" : "It would write", ran.effects],
    ["Its state afterwards", ran.state],
    ["Its form, as rendered for this input", ran.values],
  ] as const;
  return parts
    .filter(([, value]) => isThere(value))
    .map(([title, value]) => (
      <details key={title} className="panel-more">
        <summary>{title}</summary>
        <JsonView value={value as Json} label={title} fileName={`${id}.json`} />
      </details>
    ));
}
