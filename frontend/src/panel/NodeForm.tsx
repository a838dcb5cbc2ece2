// The settings of a node: its Django form, which the server renders and checks.

import { useCallback, useEffect, useRef, useState } from "react";

import { followForm } from "@shared/node_fragment.js";
import "@shared/node_form.css";

import { address } from "../api/client";
import { equal } from "../document/equal";
import { nodeOf } from "../document/lookup";
import { useDocument } from "../document/store";
import type { JsonObject } from "../document/types";
import { page } from "../page";
import { formOpened } from "./formSettled";
import { htmx } from "./htmx";
import { RunError } from "./RunError";
import { TemplateHelp } from "./TemplateHelp";
import { useEditable } from "./useEditable";

const NOTHING: JsonObject = {};

const valuesOf = (id: string): JsonObject => nodeOf(useDocument.getState().document, id)?.data?.form ?? NOTHING;
const isAdvanced = (id: string): boolean =>
  nodeOf(useDocument.getState().document, id)?.data?.config?.advanced_templates === true;

interface FormRequest {
  body: FormData;
  headers: Record<string, string>;
}

interface Props {
  id: string;
  type: string;
}

/** Mount it with the node's id as its key. */
export function NodeForm({ id, type }: Props) {
  const editable = useEditable();
  const host = useRef<HTMLFormElement>(null);
  const slot = useRef<HTMLDivElement>(null);
  const seen = useRef<JsonObject | null>(null);
  const [state, setState] = useState<"loading" | "ready" | "failed">("loading");
  const [problem, setProblem] = useState("");
  const [swaps, setSwaps] = useState(0);
  const values = useDocument((document) => nodeOf(document.document, id)?.data?.form ?? NOTHING);
  const advanced = useDocument((document) => nodeOf(document.document, id)?.data?.config?.advanced_templates === true);

  const load = useCallback(async () => {
    seen.current = valuesOf(id);
    try {
      const text = await opened(type, seen.current, isAdvanced(id));
      if (!slot.current?.isConnected) return;
      await htmx.swap({ sourceElement: slot.current, target: slot.current, text, swap: "innerMorph" });
      setState("ready");
      setProblem("");
      setSwaps((count) => count + 1);
    } catch (error) {
      seen.current = null;
      setState("failed");
      setProblem((error as Error).message);
    }
  }, [id, type]);

  useEffect(() => {
    const form = host.current!;
    const follower = followForm(form, {
      prepare: (request: FormRequest) => complete(request, id),
      took(fragment: HTMLElement) {
        seen.current = JSON.parse(fragment.dataset.values ?? "{}") as JsonObject;
        useDocument.getState().setForm(id, seen.current);
        setSwaps((count) => count + 1);
      },
      problem: setProblem,
    });
    const close = formOpened(follower);
    return () => {
      close();
      follower.stop();
      if (follower.pending()) void sendLast(form, id, follower.changed());
    };
  }, [id]);

  // What was changed elsewhere (undo, another version, an option) is shown; what was typed here is there already.
  useEffect(() => {
    if (!equal(values, seen.current)) void load();
  }, [values, load]);
  const before = useRef(advanced);
  useEffect(() => {
    if (before.current !== advanced) void load();
    before.current = advanced;
  }, [advanced, load]);

  return (
    <form
      className="node-host"
      ref={host}
      noValidate
      autoComplete="off"
      aria-label="Settings of the node"
      aria-busy={state === "loading"}
      onSubmit={(event) => event.preventDefault()}
    >
      <fieldset disabled={!editable}>
        <div ref={slot} className="node-slot" />
      </fieldset>
      {state === "loading" && <p className="muted">Loading the settings …</p>}
      <p className="panel-problem" role="alert" hidden={!problem}>
        {problem}{" "}
        {state === "failed" && (
          <button type="button" className="link" onClick={() => void load()}>
            Try again
          </button>
        )}
      </p>
      {state === "ready" && host.current && <TemplateHelp nodeId={id} host={host.current} />}
      {state === "ready" && host.current && <RunError nodeId={id} host={host.current} swaps={swaps} />}
    </form>
  );
}

function complete(request: FormRequest, id: string): void {
  request.body.set("values", JSON.stringify(valuesOf(id)));
  if (isAdvanced(id)) request.body.set("advanced", "true");
  request.headers["X-CSRFToken"] = page.csrf;
}

async function ask(type: string, body: BodyInit, kind?: string): Promise<string> {
  const headers = { Accept: "text/html", "X-CSRFToken": page.csrf, ...(kind ? { "Content-Type": kind } : {}) };
  const answer = await fetch(address("studio", "forms", type), { method: "POST", credentials: "same-origin", headers, body }).catch(() => {
    throw new Error("The server cannot be reached.");
  });
  const text = await answer.text();
  if (answer.headers.get("Content-Type")?.startsWith("text/html") && answer.status < 500) return text;
  throw new Error(messageOf(text) ?? `The server answered ${answer.status}.`);
}

const opened = (type: string, values: JsonObject, advanced: boolean) =>
  ask(type, JSON.stringify({ values, advanced }), "application/json");

function messageOf(text: string): string | null {
  try {
    return (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {
    return null;
  }
}

/** The form is gone from the page, and the last that was typed has not been answered. */
async function sendLast(form: HTMLFormElement, id: string, changed: string[]): Promise<void> {
  const node = nodeOf(useDocument.getState().document, id);
  if (!node) return;
  const body = new FormData(form);
  for (const name of changed) body.append("changed", name);
  complete({ body, headers: {} }, id);
  const text = await ask(node.type, new URLSearchParams(body as unknown as Record<string, string>));
  const fragment = new DOMParser().parseFromString(text, "text/html").querySelector<HTMLElement>(".node-fields");
  if (fragment?.dataset.values) useDocument.getState().setForm(id, JSON.parse(fragment.dataset.values) as JsonObject);
}
