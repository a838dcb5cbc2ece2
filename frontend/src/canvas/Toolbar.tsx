// The tools of the canvas, for whoever prefers buttons to keys.

import type { ReactNode } from "react";

import { useDocument, useHistory } from "../document/store";
import { useView } from "../view";
import { useDialogs } from "./dialogState";
import { useMayEdit } from "./editing";
import { Icon } from "./Icon";
import { addBehindSelected, connectSelected, selectedIds } from "./shortcuts";

export function Toolbar() {
  const editable = useMayEdit();
  return (
    <div className="toolbar-canvas" role="toolbar" aria-label="Canvas tools">
      {editable && <Editing />}
      <Tool icon="search" label="Find a node" keys="/" onClick={() => useDialogs.getState().show({ kind: "find" })} />
      <Tool icon="keyboard" label="Keyboard" keys="?" className="only-wide" onClick={() => useDialogs.getState().show({ kind: "help" })} />
      <Settings />
    </div>
  );
}

function Editing() {
  const { canUndo, canRedo } = useHistory();
  const { undo, redo, layout, remove, duplicate } = useDocument.getState();
  const one = useDocument((state) => state.selection.length === 1);
  const nodes = useDocument((state) => state.selection.length > 0);
  const any = useDocument((state) => state.selection.length + state.selectedEdges.length > 0);
  const full = useDocument((state) => state.document.nodes.length > 0);
  return (
    <>
      <Tool icon="plus" label="Add a node" keys="A" onClick={addBehindSelected} primary>
        Add
      </Tool>
      <Tool icon="undo" label="Undo" keys="Ctrl Z" disabled={!canUndo} onClick={undo} />
      <Tool icon="redo" label="Redo" keys="Ctrl Shift Z" disabled={!canRedo} onClick={redo} />
      <Tool icon="arrow-right" label="Connect to …" keys="C" disabled={!one} onClick={connectSelected} />
      <Tool
        icon="copy"
        label="Duplicate"
        className="only-wide"
        keys="Ctrl D"
        disabled={!nodes}
        onClick={() => duplicate(useDocument.getState().selection)}
      />
      <Tool icon="trash-2" label="Remove" keys="Delete" disabled={!any} onClick={() => remove(selectedIds())} />
      <Tool icon="wand-sparkles" label="Tidy up" keys="L" disabled={!full} onClick={layout} />
    </>
  );
}

/** On a narrow screen the side panel is a sheet. */
function Settings() {
  const openSheet = useView((view) => view.openSheet);
  return (
    <Tool icon="panel-right" label="Open the side panel" className="only-narrow" onClick={() => openSheet("panel")}>
      Panel
    </Tool>
  );
}

interface ToolProps {
  icon: string;
  label: string;
  keys?: string;
  disabled?: boolean;
  primary?: boolean;
  className?: string;
  onClick(): void;
  children?: ReactNode;
}

export function Tool({ icon, label, keys, disabled, primary, className = "", onClick, children }: ToolProps) {
  return (
    <button
      type="button"
      className={`tool ${className}`}
      data-primary={primary}
      aria-label={label}
      aria-disabled={disabled || undefined}
      title={keys ? `${label} (${keys})` : label}
      onClick={() => !disabled && onClick()}
    >
      <Icon name={icon} />
      {children && <span>{children}</span>}
    </button>
  );
}
