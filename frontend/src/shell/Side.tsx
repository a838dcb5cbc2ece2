// The side panel's frame: a column that can be made wider, on narrow screens a sheet.

import { useEffect, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";

import { Icon } from "../canvas/Icon";
import { Panel } from "../panel/Panel";
import { Versions } from "../versions/Versions";
import { isNarrow, useView, type Sheet } from "../view";

const KEY = "studio-side-width";
const [LEAST, MOST, USUAL] = [300, 900, 400];

const bounded = (width: number) => Math.min(Math.max(width, LEAST), MOST, Math.max(innerWidth - 420, LEAST));

function remembered(): number {
  try {
    return Number(localStorage.getItem(KEY)) || USUAL;
  } catch {
    return USUAL;
  }
}

export function Side() {
  const { sheet, closeSheet } = useView();
  const [width, setWidth] = useState(() => bounded(remembered()));
  useEffect(() => {
    document.querySelector<HTMLElement>(".studio")?.style.setProperty("--side", `${width}px`);
  }, [width]);
  const root = useFocusInSheet(sheet);
  const resize = (wanted: number) => {
    const next = bounded(wanted);
    setWidth(next);
    try {
      localStorage.setItem(KEY, String(next));
    } catch {
      // a browser that keeps nothing still resizes
    }
  };
  const versions = sheet === "versions";
  return (
    <aside
      ref={root}
      className="side"
      tabIndex={-1}
      data-open={sheet === "panel" || versions}
      aria-label={versions ? "Versions" : "Side panel"}
      onKeyDown={(event) => event.key === "Escape" && !event.defaultPrevented && closeSheet()}
    >
      <Splitter width={width} onResize={resize} />
      <button type="button" className="tool side-close" data-versions={versions} aria-label="Close" onClick={closeSheet}>
        <Icon name="x" />
      </button>
      <div className="side-content">{versions ? <Versions /> : <Panel />}</div>
    </aside>
  );
}

/** A sheet takes the focus when it opens, and gives it back when it closes. */
function useFocusInSheet(sheet: Sheet) {
  const root = useRef<HTMLElement>(null);
  const before = useRef<Element | null>(null);
  useEffect(() => {
    if (!sheet || !isNarrow()) return;
    before.current = document.activeElement;
    root.current?.focus();
    return () => {
      if (before.current instanceof HTMLElement) before.current.focus();
    };
  }, [sheet]);
  return root;
}

function Splitter({ width, onResize }: { width: number; onResize(width: number): void }) {
  const onPointerDown = (event: PointerEvent<HTMLDivElement>) => {
    const bar = event.currentTarget;
    bar.setPointerCapture(event.pointerId);
    const move = ({ clientX }: globalThis.PointerEvent) => onResize(innerWidth - clientX);
    bar.addEventListener("pointermove", move);
    bar.addEventListener("lostpointercapture", () => bar.removeEventListener("pointermove", move), { once: true });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowLeft: 24, ArrowRight: -24 }[event.key];
    if (!step) return;
    event.preventDefault();
    onResize(width + step);
  };
  return (
    <div
      className="splitter"
      role="separator"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label="Width of the side panel"
      aria-valuenow={width}
      aria-valuemin={LEAST}
      aria-valuemax={MOST}
      onPointerDown={onPointerDown}
      onKeyDown={onKeyDown}
    />
  );
}
