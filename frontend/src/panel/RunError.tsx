// The error of the last run, at the field that it is about, until the settings are others.

import { useLayoutEffect, useState } from "react";
import { createPortal } from "react-dom";

import { useOutcome } from "../bench/store";
import type { Failure } from "../bench/types";
import { equal } from "../document/equal";
import { nodeOf } from "../document/lookup";
import { useDocument } from "../document/store";

interface Props {
  nodeId: string;
  host: HTMLElement;
  /** Counts how often the form was answered: fields may have come or gone. */
  swaps: number;
}

/** `fields: 'nope' is missing` and `invalid settings: seconds: Enter …` name a field. */
export function fieldOf(failure: Failure): { field: string; message: string } | null {
  if (failure.code !== "node_failed") return null;
  const found = /^(?:invalid settings: )?([A-Za-z_]\w*): ([\s\S]+)$/.exec(failure.message);
  return found ? { field: found[1]!, message: found[2]! } : null;
}

export function RunError({ nodeId, host, swaps }: Props) {
  const outcome = useOutcome(nodeId);
  const form = useDocument((state) => nodeOf(state.document, nodeId)?.data?.form);
  const told = outcome?.failure && equal(form ?? {}, outcome.form ?? {}) ? fieldOf(outcome.failure) : null;
  const [place, setPlace] = useState<Element | null>(null);
  useLayoutEffect(() => {
    const row = told && host.querySelector(`[data-name="${CSS.escape(told.field)}"]`);
    setPlace(row?.querySelector(".node-extra") ?? null);
  }, [host, told?.field, swaps]);
  if (!told || !place) return null;
  return createPortal(
    <p className="run-error" role="status">
      <strong>In the last run:</strong> {told.message}
    </p>,
    place,
  );
}
