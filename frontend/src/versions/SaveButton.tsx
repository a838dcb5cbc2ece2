// Save, and what became of it.

import { useEffect } from "react";

import { Icon } from "../canvas/Icon";
import { useDirty, useDocument } from "../document/store";
import { useRights } from "../live/rights";
import { useView } from "../view";
import { Conflict } from "./Conflict";
import { save, useSaving } from "./save";
import "./versions.css";

export function SaveButton() {
  const { busy, problem, theirs } = useSaving();
  const edit = useRights((rights) => rights.edit);
  const dirty = useDirty();
  const version = useDocument((state) => state.base.version);
  const empty = useDocument((state) => !state.document.nodes.length);
  const stored = useDocument((state) => state.workflowId !== null);
  useShortcut(edit);
  return (
    <div className="save">
      {problem && (
        <p className="problem" role="alert" title={problem}>
          {problem}
        </p>
      )}
      <VersionsButton version={version} dirty={dirty} />
      {edit && (
        <button
          type="button"
          className={dirty || !stored ? "primary" : "quiet"}
          disabled={busy || (stored ? !dirty : empty)}
          aria-keyshortcuts="Control+S"
          onClick={() => void save()}
        >
          {busy ? "Saving…" : dirty || !stored ? "Save" : "Saved"}
        </button>
      )}
      {theirs && <Conflict theirs={theirs} />}
    </div>
  );
}

function VersionsButton({ version, dirty }: { version: number | null; dirty: boolean }) {
  const open = useView((view) => view.sheet === "versions");
  const { openSheet, closeSheet } = useView.getState();
  if (version === null) return null;
  return (
    <button
      type="button"
      className="quiet versions-button"
      aria-expanded={open}
      title="Versions: compare, restore, start"
      onClick={() => (open ? closeSheet() : openSheet("versions"))}
    >
      <Icon name="history" /> Version {version}
      {dirty && <span className="changed" title="with unsaved changes" role="img" aria-label="with unsaved changes">●</span>}
    </button>
  );
}

function useShortcut(edit: boolean): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "s") return;
      event.preventDefault();
      if (edit) void save();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [edit]);
}
