// What production does, and what can be asked of it.

import { useEffect, useRef, useState } from "react";

import { announce, ask, setText } from "@shared/dom.js";
import { rate, words } from "@shared/format.js";
import { icon } from "@shared/icons.js";
import { actions, tone } from "@shared/status.js";

import { isDirty, useDocument } from "../document/store";
import { useNewest } from "../versions/newest";
import { save } from "../versions/save";
import { act, hint, LABELS, start, tell, type Action } from "./control";
import "./live.css";
import { ALL } from "./model";
import { useRights } from "./rights";
import { isLive, model, useLive } from "./store";
import type { Status, Totals } from "./types";
import { useNumbers } from "./useNumbers";

const NAMED: readonly Action[] = ["start", "resume", "force"]; // the others are icons with a label
const DANGER: readonly Action[] = ["stop", "force"];

export function RunControls() {
  const status = useLive((state) => state.status);
  const live = useLive((state) => state.connection === "live");
  const stored = useDocument((state) => state.workflowId !== null);
  if (!stored) return <div className="run-controls muted">Save it to run it in production.</div>;
  return (
    <div className="run-controls" role="group" aria-label="Production">
      {status ? <State status={status} live={live} /> : <span className="muted">Connecting…</span>}
      {status && <Buttons status={status} live={live} />}
    </div>
  );
}

export function Badge({ state, live }: { state: string; live: boolean }) {
  return (
    <span className="badge" data-tone={live ? tone(state) : "unknown"}>
      {live ? words(state) : `was ${words(state)}`}
    </span>
  );
}

function State({ status, live }: { status: Status; live: boolean }) {
  const ref = useNumbers<Totals, HTMLSpanElement>(model.totals, ALL, paint);
  return (
    <>
      <Badge state={status.status} live={live} />
      {live && status.reason && (
        <small className="reason" title={words(status.reason)}>
          {words(status.reason)}
        </small>
      )}
      <span className="total-rate" ref={ref} title="Iterations a second, of all loops" />
    </>
  );
}

function paint(element: HTMLSpanElement, totals: Totals | undefined): void {
  setText(element, totals && isLive() && totals.perSecond >= 0.005 ? `${rate(totals.perSecond)}/s` : "");
}

function Buttons({ status, live }: { status: Status; live: boolean }) {
  const operate = useRights((rights) => rights.operate);
  const [busy, setBusy] = useState(false);
  if (!operate) return null;
  const during = async (work: () => Promise<unknown>) => {
    setBusy(true);
    await work().finally(() => setBusy(false));
  };
  return (
    <div className="buttons">
      <Update status={status} disabled={!live || busy} during={during} />
      {(actions(status) as Action[]).map((action) => (
        <button
          key={action}
          type="button"
          className={`quiet act ${NAMED.includes(action) ? "" : "only-icon"} ${DANGER.includes(action) ? "danger" : ""}`}
          data-action={action}
          disabled={!live || busy}
          title={hint(action)}
          aria-label={LABELS[action]}
          onClick={() => void during(() => (action === "start" ? startNewest(status) : act(action, status.name)))}
        >
          <ActionIcon action={action} />
          {NAMED.includes(action) && LABELS[action]}
        </button>
      ))}
    </div>
  );
}

export function ActionIcon({ action }: { action: Action }) {
  const ref = useRef<HTMLSpanElement>(null);
  useEffect(() => ref.current?.replaceChildren(icon(action)), [action]);
  return <span className="action-icon" ref={ref} />;
}

interface UpdateProps {
  status: Status;
  disabled: boolean;
  during(work: () => Promise<unknown>): Promise<void>;
}

/** What runs is an older version than the newest: let it be that. */
function Update({ status, disabled, during }: UpdateProps) {
  const newest = useNewestNumber();
  const runs = !["stopped", "completed", "stopping"].includes(status.status) && status.desired !== "draining";
  if (!runs || newest === null || status.version === null || status.version >= newest) return null;
  return (
    <button
      type="button"
      className="primary act"
      disabled={disabled}
      title={`Version ${status.version} is in production. Only the loops that differ start again.`}
      onClick={() => void during(() => started({ version: newest }, `Update to version ${newest}`))}
    >
      Update to version {newest}
    </button>
  );
}

function useNewestNumber(): number | null {
  const stored = useDocument((state) => state.base.version);
  const newest = useNewest((state) => state.newest?.version ?? null);
  return stored === null ? newest : Math.max(stored, newest ?? 0);
}

/** What runs is always a stored version, so that changes are saved before. */
async function startNewest(status: Status): Promise<void> {
  const { base } = useDocument.getState();
  if (isDirty() && useRights.getState().edit) {
    const text = `Production runs saved versions only. What you changed since version ${base.version} is saved as a new version first.`;
    if (!(await ask(`Save and start ${status.name}?`, text, "Save and start")) || !(await save())) return;
  }
  await started({}, `Start ${status.name}`);
}

async function started(options: { version?: number }, what: string): Promise<void> {
  try {
    await start(options);
    announce("Started");
  } catch (error) {
    tell(error, what);
  }
}
