// Workflows as files: export, and import by a file dialog or by dropping one on the canvas.

import { notify } from "@shared/dom.js";

import { formSettled } from "../panel/formSettled";
import { normalise } from "./normalise";
import { useView } from "../view";
import { useDocument } from "./store";

const MAX_BYTES = 2 * 1024 * 1024; // what the server takes

export async function exportFile(): Promise<void> {
  await formSettled();
  const { document: workflow, workflowId } = useDocument.getState();
  const text = `${JSON.stringify(workflow, null, 2)}\n`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `${workflowId ?? slug(workflow.name ?? "")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const slug = (name: string) => name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "workflow";

/** Put a file's workflow in the place of what is on the canvas; that can be undone. */
export async function importFile(file: File): Promise<void> {
  try {
    if (file.size > MAX_BYTES) throw new Error("It has more than 2 MB.");
    const raw = parsed(await file.text());
    const { edges } = normalise(raw);
    useDocument.getState().replace(raw);
    useView.getState().showAll();
    const lost = ((raw as { edges?: unknown[] }).edges?.length ?? 0) - edges.length;
    const without = lost ? ` ${lost} of its edges lead to no node and were left out.` : "";
    notify(`${file.name} is on the canvas. Undo brings back what was there.${without}`);
  } catch (error) {
    notify(`${file.name} cannot be imported. ${(error as Error).message}`, "bad");
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`It is no JSON: ${(error as Error).message}`);
  }
}

/** Let people choose a file. */
export function chooseFile(): void {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = ".json,application/json";
  input.addEventListener("change", () => input.files?.[0] && void importFile(input.files[0]));
  input.click();
}
