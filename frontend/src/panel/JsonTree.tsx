// A value as a tree. A closed branch costs nothing, a long one is shown in parts, a long text is cut.

import { memo, useMemo, useRef, useState, type DragEvent, type KeyboardEvent } from "react";
import { ChevronRight, Copy, TextCursorInput } from "lucide-react";

import { announce } from "@shared/dom.js";
import { count, plural } from "@shared/format.js";

import type { Json } from "../document/types";
import { CHUNK, isContainer, openedAtFirst, rowsOf, sizeOf, type Row } from "./jsonPaths";

const CUT = 240;
const CUT_OPEN = 20_000;

interface Props {
  value: Json;
  label: string;
  /** What the value is called in templates; without it there are no paths. */
  root?: string;
  /** Write a path into a template; without it only copying is offered. */
  onInsert?: (path: string) => void;
}

export function JsonTree({ value, label, root, onInsert }: Props) {
  const [open, setOpen] = useState<ReadonlySet<string>>(() => openedAtFirst(value));
  const [shown, setShown] = useState<ReadonlyMap<string, number>>(new Map());
  const [at, setAt] = useState(0);
  const tree = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => rowsOf(value, root ?? null, { open, shown }), [value, root, open, shown]);
  const here = Math.min(at, rows.length - 1);

  const toggle = (id: string) => setOpen((before) => toggled(before, id));
  const more = (id: string) => setShown((before) => new Map(before).set(id, (before.get(id) ?? CHUNK) + 5 * CHUNK));
  const focus = (index: number) => {
    const next = Math.max(0, Math.min(index, rows.length - 1));
    setAt(next);
    tree.current?.querySelectorAll<HTMLElement>("[role=treeitem]")[next]?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== tree.current?.querySelectorAll("[role=treeitem]")[here]) return;
    const row = rows[here];
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key;
    if (key === "ArrowDown") focus(here + 1);
    else if (key === "ArrowUp") focus(here - 1);
    else if (key === "Home") focus(0);
    else if (key === "End") focus(rows.length - 1);
    else if (row.kind === "more" && (key === "Enter" || key === " ")) more(row.of);
    else if (row.kind === "value" && key === "ArrowRight") row.open === false ? toggle(row.id) : focus(here + 1);
    else if (row.kind === "value" && key === "ArrowLeft") row.open ? toggle(row.id) : focus(parentOf(rows, here));
    else if (row.kind === "value" && row.open !== null && (key === "Enter" || key === " ")) toggle(row.id);
    else if (row.kind === "value" && row.path && key === "c") copyPath(row.path);
    else if (row.kind === "value" && row.path && key === "i" && onInsert) onInsert(row.path);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  if (!isContainer(value)) return <Leaf value={value} />;
  if (!rows.length) return <p className="json-empty">{Array.isArray(value) ? "[ ]" : "{ }"} nothing in it</p>;
  return (
    <div className="json-tree" role="tree" aria-label={label} ref={tree} onKeyDown={onKeyDown}>
      {rows.map((row, index) => (
        <TreeRow
          key={row.id}
          row={row}
          index={index}
          current={index === here}
          onFocus={setAt}
          onToggle={toggle}
          onMore={more}
          onInsert={onInsert}
        />
      ))}
    </div>
  );
}

interface RowProps {
  row: Row;
  index: number;
  current: boolean;
  onFocus(index: number): void;
  onToggle(id: string): void;
  onMore(id: string): void;
  onInsert?: (path: string) => void;
}

const TreeRow = memo(
  function TreeRow({ row, index, current, onFocus, onToggle, onMore, onInsert }: RowProps) {
    const common = {
      role: "treeitem",
      tabIndex: current ? 0 : -1,
      "aria-level": row.depth + 1,
      onFocus: () => onFocus(index),
      ref: (node: HTMLElement | null) => node?.style.setProperty("--depth", String(row.depth)),
    };
    if (row.kind === "more") {
      return (
        <div {...common} className="json-row json-more" onClick={() => onMore(row.of)}>
          Show more of {count(row.left)} left
        </div>
      );
    }
    const { open, path } = row;
    return (
      <div {...common} className="json-row" aria-expanded={open ?? undefined} data-leaf={open === null || undefined}>
        <span className="json-line" onClick={() => open !== null && onToggle(row.id)}>
          <span className="json-twist" data-open={open ?? undefined}>
            {open !== null && <ChevronRight size={13} aria-hidden />}
          </span>
          <span
            className="json-key"
            draggable={path !== null}
            onDragStart={(event) => path !== null && dragPath(event, path)}
            title={path ? `${path}: drag it into a field` : undefined}
          >
            {row.name}
          </span>
          <span className="json-size">: </span>
          <Value value={row.value} />
        </span>
        {path !== null && (
          <span className="json-actions">
            <button type="button" tabIndex={current ? 0 : -1} aria-label={`Copy the path ${path}`} title="Copy the path (c)" onClick={() => copyPath(path)}>
              <Copy size={13} aria-hidden />
            </button>
            {onInsert && (
              <button type="button" tabIndex={current ? 0 : -1} aria-label={`Insert ${path} into a template`} title="Insert into a template (i)" onMouseDown={(event) => event.preventDefault()} onClick={() => onInsert(path)}>
                <TextCursorInput size={13} aria-hidden />
              </button>
            )}
          </span>
        )}
      </div>
    );
  },
  (one, other) => one.current === other.current && one.index === other.index && one.onInsert === other.onInsert && sameRow(one.row, other.row),
);

function sameRow(one: Row, other: Row): boolean {
  if (one.kind === "more" || other.kind === "more") return one.kind === other.kind && JSON.stringify(one) === JSON.stringify(other);
  return one.id === other.id && one.value === other.value && one.open === other.open && one.path === other.path;
}

function Value({ value }: { value: Json }) {
  if (!isContainer(value)) return <Leaf value={value} />;
  const many = sizeOf(value);
  const text = Array.isArray(value) ? `[ ${plural(many, "element")} ]` : `{ ${plural(many, "field")} }`;
  return <span className="json-size">{text}</span>;
}

/** Texts that would be taken for something else, were they not quoted. */
const LOOKS_OTHER = /^(-?\d+(\.\d+)?([eE][+-]?\d+)?|true|false|null|\s.*|.*\s)$/;

function Leaf({ value }: { value: Json }) {
  const [all, setAll] = useState(false);
  if (typeof value !== "string") return <span className="json-value" data-type={value === null ? "null" : typeof value}>{String(value)}</span>;
  const limit = all ? CUT_OPEN : CUT;
  return (
    <span className="json-value" data-type="string">
      {value === "" ? <em>empty text</em> : value.length <= limit && LOOKS_OTHER.test(value) ? JSON.stringify(value) : value.slice(0, limit)}
      {value.length > limit && (
        <>
          … <span className="json-size">{count(value.length)} characters</span>{" "}
          {!all && (
            <button
              type="button"
              className="link"
              onClick={(event) => {
                event.stopPropagation();
                setAll(true);
              }}
            >
              show more
            </button>
          )}
        </>
      )}
    </span>
  );
}

function toggled(before: ReadonlySet<string>, id: string): Set<string> {
  const after = new Set(before);
  if (!after.delete(id)) after.add(id);
  return after;
}

function parentOf(rows: readonly Row[], index: number): number {
  const depth = rows[index]!.depth;
  for (let before = index - 1; before >= 0; before -= 1) if (rows[before]!.depth < depth) return before;
  return index;
}

function dragPath(event: DragEvent, path: string): void {
  event.dataTransfer.setData("text/plain", `{{ ${path} }}`);
  event.dataTransfer.effectAllowed = "copy";
}

function copyPath(path: string): void {
  void navigator.clipboard.writeText(path).then(
    () => announce(`${path} is copied`),
    () => announce("The browser does not allow copying"),
  );
}
