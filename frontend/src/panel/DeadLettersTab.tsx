// The items that failed for good at this node, and bringing one to the bench.

import { useCallback } from "react";

import { notify } from "@shared/dom.js";
import { ago, plural, time, words } from "@shared/format.js";

import { address, request } from "../api/client";
import { useBench } from "../bench/store";
import { useDocument } from "../document/store";
import { page } from "../page";
import { useView } from "../view";
import { useAsked } from "./useAsked";

interface Letter {
  id: number;
  error_type: string;
  message: string;
  reason: string;
  status: string;
  dead_at: string;
}

interface Letters {
  count: number;
  results: Letter[];
}

const SHOWN = 20;
const EVERY = 5;

export function DeadLettersTab({ id }: { id: string; type: string }) {
  const workflowId = useDocument((state) => state.workflowId);
  const ask = useCallback(async (): Promise<Letters> => {
    if (!workflowId) return { count: 0, results: [] };
    const url = new URL(address("dead-letters"));
    url.search = String(new URLSearchParams({ workflow_id: workflowId, node_id: id, status: "dead", limit: String(SHOWN) }));
    return request("GET", url.href) as Promise<Letters>;
  }, [workflowId, id]);
  const { value, error, again } = useAsked(ask, EVERY);
  if (error) return <p className="panel-problem" role="status">{error.message}</p>;
  if (!value) return <p className="muted">Looking …</p>;
  if (!value.count) return <p className="muted">No item has died at this node.</p>;
  const all = new URL(address("dead-letters"));
  all.search = String(new URLSearchParams({ workflow_id: workflowId ?? "", node_id: id }));
  return (
    <>
      <p className="taps-bar">
        <span className="muted">{plural(value.count, "open letter")}</span>
        <a href={all.href}>All dead letters of this node</a>
      </p>
      <ul className="letters">
        {value.results.map((letter) => (
          <li key={letter.id}>
            <p className="letter-head">
              <strong>{letter.error_type || words(letter.reason)}</strong> <time title={time(letter.dead_at)}>{ago(letter.dead_at)}</time>
            </p>
            <p className="letter-message">{letter.message}</p>
            <div className="panel-buttons">
              {page.may.run && (
                <button type="button" onClick={() => void open(letter.id)}>
                  Open on the bench
                </button>
              )}
              {page.may.operate && (
                <button type="button" onClick={() => void replay(letter.id).then(again)}>
                  Replay
                </button>
              )}
              <a href={address("dead-letters", String(letter.id))}>Details</a>
            </div>
          </li>
        ))}
      </ul>
    </>
  );
}

async function open(number: number): Promise<void> {
  try {
    const { node_id } = await useBench.getState().load({ dead_letter: number });
    useView.getState().setMode("bench");
    useView.getState().focusNode(node_id, "input");
    notify(`Dead letter ${number} is the input of node ${node_id} on the bench.`);
  } catch (error) {
    notify((error as Error).message, "bad");
  }
}

async function replay(number: number): Promise<void> {
  try {
    await request("POST", address("dead-letters", String(number), "replay"), { from: "node" });
    notify(`Dead letter ${number} is being replayed.`);
  } catch (error) {
    notify((error as Error).message, "bad");
  }
}
