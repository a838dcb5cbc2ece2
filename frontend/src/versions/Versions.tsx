// The versions of the workflow: what is different in each, and going back to one.

import { useEffect, useState } from "react";

import { announce, notify } from "@shared/dom.js";
import { time } from "@shared/format.js";

import { ApiError } from "../api/client";
import { useDirty, useDocument } from "../document/store";
import { start } from "../live/control";
import { denied, useRights } from "../live/rights";
import { useLive } from "../live/store";
import { listVersions, readVersion, type Version, type VersionRow } from "./api";
import { diff, summary, touched, type Diff } from "./diff";
import { DiffList } from "./DiffList";
import { marks, showCompared } from "./marks";
import { useNewest } from "./newest";
import "./versions.css";

export function Versions() {
  const { rows, more, problem, load } = useRows();
  const [shown, setShown] = useState<number | null>(null);
  return (
    <section className="versions" aria-labelledby="versions-title">
      <h2 id="versions-title">Versions</h2>
      <p className="muted">Open one to see what has changed since, to restore or to start it.</p>
      {problem && <p className="problem">{problem}</p>}
      <ol>
        {rows.map((row) => (
          <Row key={row.version} row={row} open={row.version === shown} choose={setShown} />
        ))}
      </ol>
      {more && (
        <button type="button" className="quiet" onClick={load}>
          Show older versions
        </button>
      )}
    </section>
  );
}

function useRows() {
  const workflowId = useDocument((state) => state.workflowId);
  const newest = useNewest((state) => state.newest?.version);
  const [{ rows, count }, setPage] = useState<{ rows: VersionRow[]; count: number }>({ rows: [], count: 0 });
  const [problem, setProblem] = useState("");
  const load = async (from: number) => {
    if (!workflowId) return;
    try {
      const { results, count } = await listVersions(workflowId, from);
      setPage((before) => ({ rows: [...before.rows.slice(0, from), ...results], count }));
      setProblem("");
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  useEffect(() => void load(0), [workflowId, newest]);
  return { rows, more: rows.length < count, problem, load: () => void load(rows.length) };
}

interface RowProps {
  row: VersionRow;
  open: boolean;
  choose(number: number | null): void;
}

function Row({ row, open, choose }: RowProps) {
  const { version, created_at, created_by } = row;
  const base = useDocument((state) => state.base.version === version);
  const dirty = useDirty();
  const runs = useLive((state) => state.status?.version === version);
  return (
    <li>
      <button
        type="button"
        className="row"
        aria-expanded={open}
        onClick={() => choose(open ? null : version)}
      >
        <strong>Version {version}</strong>
        {base && <span className="chip">{dirty ? "on the canvas, changed" : "on the canvas"}</span>}
        {runs && <span className="chip production">in production</span>}
        <small className="muted">
          {time(created_at)} · {created_by ?? "the system"}
        </small>
      </button>
      {open && <Details number={version} />}
    </li>
  );
}

type Compared = "canvas" | "before";

function Details({ number }: { number: number }) {
  const workflowId = useDocument((state) => state.workflowId)!;
  const document = useDocument((state) => state.document);
  const [against, setAgainst] = useState<Compared>("canvas");
  const [found, setFound] = useState<{ version: Version; before: Version | null } | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    Promise.all([readVersion(workflowId, number), number > 1 ? readVersion(workflowId, number - 1) : null])
      .then(([version, before]) => setFound({ version, before }))
      .catch((error: Error) => setProblem(error.message));
  }, [workflowId, number]);
  const since = found && diff(found.version.definition, document);
  useEffect(() => {
    if (since) showCompared(marks(touched(since), { added: "added", changed: "changed" }));
    return () => showCompared(null);
  }, [found, document]);
  if (problem) return <p className="problem">{problem}</p>;
  if (!found || !since) return <p className="muted">Loading…</p>;
  const made = found.before && diff(found.before.definition, found.version.definition);
  return (
    <div className="details">
      <Against number={number} against={against} setAgainst={setAgainst} first={!made} />
      <Told diff={against === "before" && made ? made : since} />
      <Actions version={found.version} same={!differs(since)} />
    </div>
  );
}

const differs = (found: Diff) => summary(found) !== "no difference";

function Told({ diff: found }: { diff: Diff }) {
  return (
    <>
      <p className="summary">{summary(found)}</p>
      {differs(found) && <DiffList diff={found} />}
    </>
  );
}

interface AgainstProps {
  number: number;
  against: Compared;
  first: boolean;
  setAgainst(against: Compared): void;
}

function Against({ number, against, first, setAgainst }: AgainstProps) {
  const choice = (value: Compared, label: string) => (
    <button type="button" aria-pressed={against === value} onClick={() => setAgainst(value)}>
      {label}
    </button>
  );
  return (
    <div className="switch" role="group" aria-label="Compare">
      {choice("canvas", "Since then")}
      {!first && choice("before", `From ${number - 1} to ${number}`)}
    </div>
  );
}

function Actions({ version, same }: { version: Version; same: boolean }) {
  const { edit, operate } = useRights();
  const runs = useLive((state) => state.status?.version === version.version);
  return (
    <p className="buttons">
      {edit && (
        <button type="button" className="quiet" disabled={same} onClick={() => restore(version)}>
          Restore
        </button>
      )}
      {operate && !runs && (
        <button type="button" className="quiet" onClick={() => void startVersion(version.version)}>
          Start version {version.version}
        </button>
      )}
    </p>
  );
}

/** Put a version on the canvas. It is saved as a new one, so that nothing in between is lost. */
function restore({ version, definition }: Version): void {
  useDocument.getState().replace(definition);
  announce(`Version ${version} is on the canvas`);
  notify(`Version ${version} is on the canvas. Save makes a new version of it; undo takes it back.`);
}

async function startVersion(number: number): Promise<void> {
  try {
    await start({ version: number });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!denied(error)) notify(error.message, "bad");
  }
}
