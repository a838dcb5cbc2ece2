// Which of the two one looks at, and what one has to know before going on.

import type { ReactNode } from "react";

import { ago } from "@shared/format.js";

import { useDirty, useDocument } from "../document/store";
import { useMarks } from "../versions/marks";
import { useNewest } from "../versions/newest";
import { compareWithNewest } from "../versions/save";
import { useView } from "../view";
import "./live.css";
import { useRights } from "./rights";
import { useLive } from "./store";

export function Banner() {
  const mode = useView((view) => view.mode);
  return (
    <div className="studio-banner">
      <Lost />
      <Newer />
      <p className="mode">
        <strong>{mode === "production" ? "Production" : "Bench"}</strong>
        <span>{mode === "production" ? <InProduction /> : "Nodes run one at a time, on outputs that are kept. Production is not touched."}</span>
      </p>
    </div>
  );
}

/** A right was taken away while the page is open. */
function Lost() {
  const { lost, loggedOut } = useRights();
  if (!lost) return null;
  return (
    <Message tone="bad" urgent>
      {lost} {loggedOut && <a href={loginAddress()}>Log in</a>}
    </Message>
  );
}

function loginAddress(): string {
  const link = document.getElementById("connection-login") as HTMLAnchorElement | null;
  const next = new URLSearchParams({ next: location.pathname + location.search });
  return `${link?.pathname ?? ""}?${next}`;
}

/** Somebody else has saved a version since the one that is on the canvas. */
function Newer() {
  const base = useDocument((state) => state.base.version);
  const newest = useNewest((state) => state.newest);
  const dirty = useDirty();
  if (base === null || !newest || newest.version <= base) return null;
  return (
    <Message tone="warn">
      {newest.created_by ?? "The system"} saved version {newest.version} ({ago(newest.created_at)}); on the canvas is version{" "}
      {base}
      {dirty ? " with changes of yours" : ""}.
      <button type="button" className="quiet" onClick={() => void compareWithNewest()}>
        {dirty ? "Compare and choose" : `Show version ${newest.version}`}
      </button>
    </Message>
  );
}

interface MessageProps {
  tone: "warn" | "bad";
  urgent?: boolean;
  children: ReactNode;
}

function Message({ tone, urgent, children }: MessageProps) {
  return (
    <p className="studio-message" data-tone={tone} role={urgent ? "alert" : "status"}>
      {children}
    </p>
  );
}

/** What runs may be another version than what is on the canvas. */
function InProduction() {
  const status = useLive((state) => state.status);
  const live = useLive((state) => state.connection === "live");
  const stored = useDocument((state) => state.workflowId !== null);
  if (!stored) return "It has not been saved yet, so that it cannot run.";
  if (!status) return "Connecting…";
  if (status.version === null) return "It was never started.";
  if (!live) return "The connection is lost: what you see is old.";
  return <Compared version={status.version} />;
}

function Compared({ version }: { version: number }) {
  const marked = useMarks((marks) => marks.production.size);
  const base = useDocument((state) => state.base.version);
  const dirty = useDirty();
  if (base === version && !dirty) return `Production has version ${version}, the same as on the canvas.`;
  const differs = marked ? ` ${marked === 1 ? "One node differs" : `${marked} nodes differ`} and ${marked === 1 ? "is" : "are"} marked.` : "";
  return (
    <>
      Production has version {version}; on the canvas is version {base}
      {dirty ? " with unsaved changes" : ""}.{differs}{" "}
      <button type="button" className="link" onClick={() => useView.getState().openSheet("versions")}>
        Compare versions
      </button>
    </>
  );
}
