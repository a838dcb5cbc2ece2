// While a template is written: what it gives for the input that the node has now, and the fields there are.

import { useEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";

import { announce } from "@shared/dom.js";

import * as api from "../bench/api";
import { useBench } from "../bench/store";
import type { Failure, Path, Rendered } from "../bench/types";
import { MissingInputs } from "./MissingInputs";
import { isTemplate, openAt, remember, writePath } from "./templateTarget";

type Control = HTMLInputElement | HTMLTextAreaElement;

const PAUSE = 350;
const OFFERED = 8;
const SHOWN = 600;

interface Props {
  nodeId: string;
  host: HTMLElement;
}

export function TemplateHelp({ nodeId, host }: Props) {
  const [control, setControl] = useState<Control | null>(null);
  const [text, setText] = useState("");
  const [caret, setCaret] = useState<number | null>(null);
  const changes = useBench((bench) => bench.changes);
  const [answer, failure] = useRendered(nodeId, control, text, changes);
  const offers = caret === null ? [] : offered(answer?.paths ?? [], text, caret);
  const [chosen, setChosen] = useState(0);
  const keys = useRef({ offers, chosen, control });
  keys.current = { offers, chosen: Math.min(chosen, offers.length - 1), control };

  useEffect(() => {
    const stop = new AbortController();
    const on = <E extends Event>(name: string, does: (event: E) => void) =>
      host.addEventListener(name, does as EventListener, { signal: stop.signal });
    const follow = (target: EventTarget | null, open: boolean) => {
      if (!isTemplate(target)) return;
      remember(target);
      setControl(target);
      setText(target.value);
      setCaret(open ? target.selectionStart : null);
      setChosen(0);
    };
    on("focusin", ({ target }) => follow(target, false));
    on("input", ({ target }) => follow(target, true));
    on("focusout", () => setCaret(null));
    on<KeyboardEvent>("keydown", (event) => {
      const { offers, chosen, control } = keys.current;
      if (event.target !== control || !control) return;
      if (event.key === " " && event.ctrlKey) follow(control, true);
      else if (!offers.length) return;
      else if (event.key === "Escape") setCaret(null);
      else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        const next = (chosen + (event.key === "ArrowDown" ? 1 : -1) + offers.length) % offers.length;
        setChosen(next);
        announce(offers[next]!.path);
      } else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey) writePath(control, offers[chosen]!.path);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    return () => stop.abort();
  }, [host]);

  const list = useRef<HTMLUListElement>(null);
  const open = offers.length > 0;
  useEffect(() => {
    if (open) list.current?.scrollIntoView({ block: "nearest" });
  }, [open]);

  const place = control?.isConnected ? control.closest("[data-name]")?.querySelector(".node-extra") : null;
  if (!place || !control) return null;
  const isWritten = /\{[{%]/.test(text);
  return createPortal(
    <div className="template-help">
      {open && (
        <ul ref={list} className="template-offers" aria-label="Fields of the input">
          {offers.map((offer, index) => (
            <li key={offer.path} data-chosen={index === Math.min(chosen, offers.length - 1) || undefined}>
              <button type="button" tabIndex={-1} onMouseDown={(event) => event.preventDefault()} onClick={() => writePath(control, offer.path)}>
                <code>{offer.path}</code>
                <span className="template-sample">{offer.sample}</span>
                <small>{offer.type}</small>
              </button>
            </li>
          ))}
        </ul>
      )}
      {isWritten && <Preview answer={answer} failure={failure} />}
    </div>,
    place,
  );
}

/** What the text gives for the node's input, a moment after it has changed. */
function useRendered(nodeId: string, control: Control | null, text: string, changes: number): [Rendered | null, Failure | null] {
  const [answer, setAnswer] = useState<Rendered | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const asked = useRef(0);
  useEffect(() => {
    if (!control) return;
    const mine = ++asked.current;
    const timer = setTimeout(async () => {
      try {
        const rendered = await api.render(nodeId, text);
        if (mine !== asked.current) return;
        setAnswer(rendered);
        setFailure(null);
      } catch (error) {
        if (mine === asked.current) setFailure(api.failureOf(error));
      }
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [nodeId, control, text, changes]);
  return [answer, failure];
}

/** The paths that go with what is written at the caret. */
function offered(paths: readonly Path[], text: string, caret: number): Path[] {
  const open = openAt(text, caret);
  if (!open) return [];
  const token = open.token.toLowerCase();
  const begins = paths.filter(({ path }) => path.toLowerCase().startsWith(token));
  const holds = token.length > 1 ? paths.filter(({ path }) => !begins.some((found) => found.path === path) && path.toLowerCase().includes(token)) : [];
  const found = [...begins, ...holds].slice(0, OFFERED);
  return found.length === 1 && found[0]!.path === open.token ? [] : found;
}

function Preview({ answer, failure }: { answer: Rendered | null; failure: Failure | null }) {
  if (failure?.nodes) return <MissingInputs nodes={failure.nodes} why="The preview needs an input." />;
  if (failure) return <p className="template-preview" data-tone="warn">No preview: {failure.message}</p>;
  if (!answer) return <p className="template-preview">…</p>;
  if (!answer.ok) {
    const { message = "", line, column } = answer.error ?? {};
    return (
      <p className="template-preview" data-tone="bad" role="status">
        {message}
        {line != null && (line > 1 || column !== 1) && <small> line {line}, column {column}</small>}
      </p>
    );
  }
  const shown = typeof answer.value === "string" ? answer.value : (answer.text ?? "");
  return (
    <p className="template-preview" data-tone="good">
      <span aria-hidden>→ </span>
      <code>{shown.slice(0, SHOWN) || "empty text"}</code>
      {(answer.truncated || shown.length > SHOWN) && " …"} <small>{answer.type}</small>
    </p>
  );
}
