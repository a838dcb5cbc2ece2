// How many problems there are, and the list that leads to each.

import { useEffect, useId, useRef, useState } from "react";

import { Icon } from "../canvas/Icon";
import { labelOf } from "../canvas/flow";
import { useCatalog } from "../catalog/store";
import { edgeOf, nodeOf } from "../document/lookup";
import { placeOf, useProblems, type Problem } from "../document/problems";
import { useDocument } from "../document/store";
import { useView } from "../view";

export function ProblemsButton() {
  const { state, problems, warnings } = useProblems();
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const id = useId();
  const many = problems.length + warnings.length;

  useEffect(() => {
    if (!open) return;
    const outside = (event: PointerEvent) => !root.current?.contains(event.target as Node) && setOpen(false);
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  const tone = problems.length ? "bad" : warnings.length ? "warn" : state === "known" ? "good" : "idle";
  return (
    <div
      className="problems"
      ref={root}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        setOpen(false);
        root.current?.querySelector("button")?.focus();
      }}
    >
      <button
        type="button"
        className="problems-button"
        data-tone={tone}
        aria-expanded={open}
        aria-controls={id}
        onClick={() => setOpen(!open && many > 0)}
      >
        <span aria-live="polite">{summary(state, problems.length, warnings.length)}</span>
      </button>
      {open && many > 0 && (
        <div id={id} className="problems-list">
          <List title="Problems" tone="bad" problems={problems} onJump={() => setOpen(false)} />
          <List title="Notes" tone="warn" problems={warnings} onJump={() => setOpen(false)} />
        </div>
      )}
    </div>
  );
}

function summary(state: string, problems: number, warnings: number): string {
  if (state === "idle") return "Empty";
  if (state === "unreachable") return "Cannot be checked: the server is away";
  if (problems) return problems === 1 ? "1 problem" : `${problems} problems`;
  if (warnings) return warnings === 1 ? "1 note" : `${warnings} notes`;
  return state === "checking" ? "Checking …" : "No problems";
}

interface ListProps {
  title: string;
  tone: string;
  problems: readonly Problem[];
  onJump(): void;
}

const SHOWN = 200;

function List({ title, tone, problems, onJump }: ListProps) {
  const types = useCatalog((state) => state.types);
  const document = useDocument((state) => state.document);
  if (!problems.length) return null;
  const nameOf = (id: string) => {
    const node = nodeOf(document, id);
    return node ? labelOf(node, types?.get(node.type)) : id;
  };
  return (
    <section data-tone={tone}>
      <h2>{title}</h2>
      <ul>
        {problems.slice(0, SHOWN).map((problem) => {
          const { node, edge } = placeOf(problem, document);
          const line = edge ? edgeOf(document, edge) : undefined;
          const where = node ? nameOf(node) : line ? `${nameOf(line.source)} → ${nameOf(line.target)}` : "Workflow";
          return (
            <li key={`${problem.path} ${problem.message}`}>
              <button
                type="button"
                title={problem.path}
                onClick={() => {
                  onJump();
                  jump(node, line && { id: line.id, source: line.source });
                }}
              >
                <Icon name="circle-alert" size={15} />
                <strong>{where}</strong> <span>{field(problem.path)}{problem.message}</span>
              </button>
            </li>
          );
        })}
      </ul>
      {problems.length > SHOWN && <p className="muted">{problems.length - SHOWN} more are not shown.</p>}
    </section>
  );
}

/** `nodes[2].data.form.url` -> `url: `. */
function field(path: string): string {
  const found = /\.data\.(?:form|config)\.(.+)$/.exec(path);
  return found ? `${found[1]}: ` : "";
}

function jump(node: string | undefined, edge: { id: string; source: string } | undefined): void {
  const { focusNode, openSheet } = useView.getState();
  if (node) {
    focusNode(node, "settings");
    openSheet("panel");
  } else if (edge) {
    focusNode(edge.source);
    useDocument.getState().select([], [edge.id]);
    openSheet("panel");
  }
}
