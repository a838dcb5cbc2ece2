// Why a run did not succeed: what failed, where, and with what.

import { useState } from "react";

import { words } from "@shared/format.js";

import type { Failure } from "../bench/types";
import { placeOf } from "../document/problems";
import { useDocument } from "../document/store";
import { useView } from "../view";
import { JsonView } from "./JsonView";
import { nameOf } from "./nodeName";
import { fieldOf } from "./RunError";

const TITLES: Readonly<Record<string, string>> = {
  invalid_workflow: "Its settings are wrong",
  missing_input: "There is no input yet",
  cancelled: "Cancelled",
  busy: "The bench is busy",
  too_large: "Too large",
  unreachable: "The server is away",
  upstream_failed: "A node before it failed",
  conflict: "It cannot be run like this",
  internal: "The server failed",
};

export function Trouble({ failure }: { failure: Failure }) {
  const { code, message, details, node, nodes } = failure;
  const title = node?.error_type ? words(node.error_type) : (TITLES[code] ?? words(code));
  const field = fieldOf(failure);
  return (
    <section className="trouble" data-code={code} aria-label="What went wrong">
      <h3>{title}</h3>
      {!(details?.length && code === "invalid_workflow") && <p className="trouble-message">{message}</p>}
      {field && (
        <button type="button" className="link" onClick={() => showField(field.field)}>
          Go to the field {labelOf(field.field)}
        </button>
      )}
      {details?.length > 0 && <Details details={details} />}
      {code === "upstream_failed" &&
        nodes?.map((id) => (
          <button key={id} type="button" className="link" onClick={() => useView.getState().focusNode(id, "output")}>
            Show {nameOf(id)}
          </button>
        ))}
      {node?.trace && <Trace text={node.trace} />}
      {node?.input && (
        <details className="trouble-more">
          <summary>The input it failed with</summary>
          <JsonView value={node.input} label="Input" fileName={`${node.id}-input.json`} root="data" />
        </details>
      )}
    </section>
  );
}

function Details({ details }: { details: Failure["details"] }) {
  const document = useDocument((state) => state.document);
  return (
    <ul className="trouble-details">
      {details.map((problem) => {
        const { node } = placeOf(problem, document);
        const field = /\.data\.form\.([A-Za-z_]\w*)/.exec(problem.path)?.[1];
        return (
          <li key={problem.path + problem.message}>
            {node ? (
              <button type="button" className="link" onClick={() => goTo(node, field)}>
                {node}
                {field && `: ${field}`}
              </button>
            ) : (
              problem.path && <code>{problem.path}</code>
            )}{" "}
            {problem.message}
          </li>
        );
      })}
    </ul>
  );
}

function goTo(node: string, field: string | undefined): void {
  useView.getState().focusNode(node, "settings");
  if (field) showField(field);
}

/** What a field is called in the form, where that is on the page. */
function labelOf(name: string): string {
  const row = document.querySelector(`.node-host [data-name="${CSS.escape(name)}"]`);
  return row?.querySelector(".node-label, .node-tick")?.textContent?.trim() || name;
}

/** Show a field of the settings, and put the cursor into it. */
function showField(name: string): void {
  useView.getState().setTab("settings");
  requestAnimationFrame(() => {
    const row = document.querySelector(`.node-host [data-name="${CSS.escape(name)}"]`);
    row?.scrollIntoView({ block: "center" });
    row?.querySelector<HTMLElement>("input:not([type=hidden]), textarea, select")?.focus();
  });
}

/** The end of a trace is what happened; the rest is there for who wants it. */
function Trace({ text }: { text: string }) {
  const lines = text.trimEnd().split("\n");
  const own = lines.slice(-6).join("\n");
  const [all, setAll] = useState(false);
  return (
    <div className="trace">
      <h4>Trace</h4>
      <pre tabIndex={0}>{all || lines.length <= 6 ? text : `…\n${own}`}</pre>
      {lines.length > 6 && (
        <button type="button" className="link" onClick={() => setAll(!all)}>
          {all ? "Show the end only" : `Show all ${lines.length} lines`}
        </button>
      )}
    </div>
  );
}
