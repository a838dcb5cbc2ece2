// A JSON object to be typed.

import { useId, useState } from "react";

import type { JsonObject } from "../document/types";

interface Props {
  label: string;
  initial: JsonObject;
  action: string;
  onDone(value: JsonObject): Promise<void> | void;
  onCancel?: () => void;
}

function parsed(text: string): JsonObject | string {
  try {
    const value: unknown = JSON.parse(text);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as JsonObject;
    return "This must be a JSON object, in braces.";
  } catch (error) {
    return (error as Error).message;
  }
}

export function JsonEditor({ label, initial, action, onDone, onCancel }: Props) {
  const id = useId();
  const [text, setText] = useState(() => JSON.stringify(initial, null, 2));
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const value = parsed(text);
  const done = async () => {
    if (typeof value === "string") return;
    setBusy(true);
    setProblem("");
    try {
      await onDone(value);
    } catch (error) {
      setProblem((error as Error).message);
    }
    setBusy(false);
  };
  const wrong = typeof value === "string" ? value : problem;
  return (
    <div className="json-editor option">
      <label htmlFor={id}>{label}</label>
      <textarea
        id={id}
        rows={8}
        value={text}
        spellCheck={false}
        aria-invalid={wrong ? true : undefined}
        aria-describedby={`${id}-problem`}
        onChange={(event) => setText(event.target.value)}
      />
      <span id={`${id}-problem`} className="option-problem" role="status">
        {wrong}
      </span>
      <div className="panel-buttons">
        <button type="button" className="primary" disabled={busy || typeof value === "string"} onClick={() => void done()}>
          {action}
        </button>
        {onCancel && (
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
    </div>
  );
}
