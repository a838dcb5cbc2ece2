// A value with what can be done with all of it: another look, copying, saving as a file.

import { useId, useMemo, useState } from "react";
import { Check, Copy, Download } from "lucide-react";

import { bytes, count } from "@shared/format.js";

import type { Json } from "../document/types";
import { JsonTree } from "./JsonTree";

/** More than this is not put into the page as one text. */
const MOST = 50_000;

interface Props {
  value: Json;
  label: string;
  fileName: string;
  size?: number | null;
  root?: string;
  onInsert?: (path: string) => void;
}

export function JsonView({ value, label, fileName, size, root, onInsert }: Props) {
  const [look, setLook] = useState<"tree" | "text">("tree");
  const [copied, setCopied] = useState(false);
  const group = useId();
  const copy = async () => {
    await navigator.clipboard.writeText(JSON.stringify(value, null, 2));
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <div className="json-view">
      <div className="json-bar">
        <div className="segments" role="radiogroup" aria-label={`How the ${label.toLowerCase()} is shown`}>
          {(["tree", "text"] as const).map((each) => (
            <label key={each}>
              <input type="radio" name={group} checked={look === each} onChange={() => setLook(each)} />
              <span>{each === "tree" ? "Tree" : "JSON"}</span>
            </label>
          ))}
        </div>
        {size != null && <span className="json-bytes">{bytes(size)}</span>}
        <button type="button" className="tool small" aria-label={`Copy the ${label.toLowerCase()}`} title="Copy all of it" onClick={() => void copy()}>
          {copied ? <Check size={15} aria-hidden /> : <Copy size={15} aria-hidden />}
        </button>
        <button type="button" className="tool small" aria-label={`Download the ${label.toLowerCase()}`} title="Download all of it" onClick={() => download(value, fileName)}>
          <Download size={15} aria-hidden />
        </button>
      </div>
      {look === "tree" ? <JsonTree value={value} label={label} root={root} onInsert={onInsert} /> : <Text value={value} />}
    </div>
  );
}

function Text({ value }: { value: Json }) {
  const text = useMemo(() => JSON.stringify(value, null, 2), [value]);
  return (
    <>
      <pre className="json-text" tabIndex={0}>
        {text.slice(0, MOST)}
      </pre>
      {text.length > MOST && (
        <p className="muted">
          The first {count(MOST)} of {count(text.length)} characters; download it to see all.
        </p>
      )}
    </>
  );
}

function download(value: Json, fileName: string): void {
  const url = URL.createObjectURL(new Blob([JSON.stringify(value, null, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
