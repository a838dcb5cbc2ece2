// What the node got and gave in production a moment ago.

import { useCallback, useState } from "react";

import { notify } from "@shared/dom.js";
import { duration } from "@shared/format.js";

import { address, request } from "../api/client";
import { useBench } from "../bench/store";
import { useDocument } from "../document/store";
import type { JsonObject } from "../document/types";
import { page } from "../page";
import { useView } from "../view";
import { JsonView } from "./JsonView";
import { useAsked } from "./useAsked";
import { useInsert } from "./useInsert";
import { when, whenExactly } from "./words";

interface Sample {
  id: string;
  version: number;
  item_id: string;
  at: number;
  input: JsonObject | null;
  output: JsonObject | null;
  port: string | null;
  seconds: number | null;
  error: string | null;
  redacted: boolean;
  truncated: boolean;
  text: string | null;
}

const EVERY = 2;

export function TapsTab({ id, type }: { id: string; type: string }) {
  const workflowId = useDocument((state) => state.workflowId);
  const [held, setHeld] = useState(false);
  const ask = useCallback(
    async () => (workflowId ? ((await request("GET", address("dev", "taps", workflowId, id))) as { samples: Sample[] }).samples : []),
    [workflowId, id],
  );
  const { value, error, again } = useAsked(ask, held ? undefined : EVERY);
  const [kept, setKept] = useState<Sample[] | null>(null);
  const samples = (held ? kept : value) ?? [];
  const hold = () => {
    setKept(value);
    setHeld(!held);
    if (held) again();
  };
  if (!workflowId) return <p className="muted">Save the workflow and start it: samples of what the node gets and gives are shown here.</p>;
  if (error) return <p className="panel-problem" role="status">{error.message}</p>;
  if (!value) return <p className="muted">Looking …</p>;
  if (!samples.length) return <p className="muted">No samples: this node is not in a loop that runs, or it has had no item yet.</p>;
  return (
    <>
      <div className="taps-bar">
        <span className="muted">{samples.length} {samples.length === 1 ? "sample" : "samples"}, newest first</span>
        <button type="button" aria-pressed={held} onClick={hold}>
          {held ? "Go on" : "Hold"}
        </button>
      </div>
      <ul className="taps">
        {samples.map((sample) => (
          <SampleItem key={sample.id} sample={sample} type={type} />
        ))}
      </ul>
    </>
  );
}

function SampleItem({ sample, type }: { sample: Sample; type: string }) {
  const [open, setOpen] = useState(false);
  const insert = useInsert(type);
  return (
    <li>
      <details className="tap" onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <time title={whenExactly(sample.at)}>{when(sample.at)}</time>
          {sample.seconds !== null && <span>{duration(sample.seconds)}</span>}
          {sample.port && sample.port !== "default" && <span className="port">{sample.port}</span>}
          {sample.error && <span className="tap-error">{sample.error}</span>}
          <span className="tap-item">{sample.item_id}</span>
        </summary>
        {open && (
          <div className="tap-body">
            {sample.redacted && <p className="muted">Secrets in it are blacked out.</p>}
            {sample.truncated && (
              <>
                <p className="muted">It was too large to be kept whole:</p>
                <pre tabIndex={0}>{sample.text}</pre>
              </>
            )}
            {sample.input && (
              <>
                <h4>Input</h4>
                <JsonView value={sample.input} label="Input" fileName="tap-input.json" root="data" onInsert={insert} />
              </>
            )}
            {sample.output && (
              <>
                <h4>Output</h4>
                <JsonView value={sample.output} label="Output" fileName="tap-output.json" root="data" />
              </>
            )}
            {page.may.run && !sample.truncated && <Load sample={sample} />}
          </div>
        )}
      </details>
    </li>
  );
}

function Load({ sample }: { sample: Sample }) {
  const load = async (as: "input" | "output") => {
    try {
      await useBench.getState().load({ tap: sample.id }, as);
      useView.getState().setMode("bench");
      useView.getState().setTab(as);
    } catch (error) {
      notify((error as Error).message, "bad");
    }
  };
  return (
    <div className="panel-buttons">
      {sample.input && (
        <button type="button" onClick={() => void load("input")}>
          Use its input on the bench
        </button>
      )}
      {sample.output && (
        <button type="button" onClick={() => void load("output")}>
          Pin its output
        </button>
      )}
    </div>
  );
}
