// What is seldom needed.

import { useEffect, useRef, useState, type KeyboardEvent } from "react";

import { useDialogs } from "../canvas/dialogState";
import { Icon } from "../canvas/Icon";
import { chooseFile, exportFile } from "../document/files";
import { useDocument } from "../document/store";
import { page } from "../page";
import { useView } from "../view";

interface Entry {
  label: string;
  icon: string;
  act(): void;
}

const entries = (stored: boolean): Entry[] => [
  ...(stored ? [{ label: "Versions", icon: "history", act: () => useView.getState().openSheet("versions") }] : []),
  { label: "Export as JSON", icon: "download", act: () => void exportFile() },
  ...(page.may.edit
    ? [
        { label: "Import JSON …", icon: "upload", act: chooseFile },
        { label: "Tidy up", icon: "wand-sparkles", act: () => useDocument.getState().layout() },
      ]
    : []),
  { label: "Keyboard", icon: "keyboard", act: () => useDialogs.getState().show({ kind: "help" }) },
];

export function Menu() {
  const [open, setOpen] = useState(false);
  const stored = useDocument((state) => state.workflowId !== null);
  const root = useRef<HTMLDivElement>(null);
  const items = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!open) return;
    items.current?.querySelector("button")?.focus();
    const outside = (event: PointerEvent) => !root.current?.contains(event.target as Node) && setOpen(false);
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  const close = () => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") close();
    else if (step) move(items.current, step);
    else if (event.key === "Tab") setOpen(false);
    else return;
    if (event.key !== "Tab") event.preventDefault();
  };

  return (
    <div className="menu" ref={root}>
      <button
        type="button"
        className="tool"
        aria-label="More"
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Icon name="ellipsis" />
      </button>
      {open && (
        <div className="menu-items" role="menu" aria-label="More" ref={items} onKeyDown={onKeyDown}>
          {entries(stored).map(({ label, icon, act }) => (
            <button
              key={label}
              type="button"
              role="menuitem"
              tabIndex={-1}
              onClick={() => {
                close();
                act();
              }}
            >
              <Icon name={icon} /> {label}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

function move(items: HTMLElement | null, step: number): void {
  const all = [...(items?.querySelectorAll("button") ?? [])];
  const at = all.indexOf(document.activeElement as HTMLButtonElement);
  all[(at + step + all.length) % all.length]?.focus();
}
