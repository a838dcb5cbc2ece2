// What waits in the queue of a reader; an entry can be tried on the bench, and stays in the queue.

import { useCallback, useState } from "react";

import { notify } from "@shared/dom.js";
import { age } from "@shared/format.js";

import { address, request } from "../api/client";
import { useBench } from "../bench/store";
import { useProblems } from "../document/problems";
import { useDocument } from "../document/store";
import type { JsonObject } from "../document/types";
import { page } from "../page";
import { JsonView } from "./JsonView";
import { nameOf } from "./nodeName";
import { useAsked } from "./useAsked";

interface Entry {
  id: string;
  item_id: string | null;
  data: JsonObject | null;
  age: number | null;
  unreadable?: string | null;
  omitted?: boolean;
}

const SHOWN = 20;

export function QueueEntries({ id }: { id: string }) {
  const workflowId = useDocument((state) => state.workflowId);
  const queue = useProblems((state) => state.queues[id]);
  const [open, setOpen] = useState(false);
  if (!workflowId || !queue) return null;
  return (
    <details className="panel-more" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>What waits in {queue}</summary>
      {open && <Entries id={id} workflowId={workflowId} queue={queue} />}
    </details>
  );
}

interface EntriesProps {
  id: string;
  workflowId: string;
  queue: string;
}

function Entries({ id, workflowId, queue }: EntriesProps) {
  const ask = useCallback(async () => {
    const url = new URL(address("queues", workflowId, queue, "items"));
    url.searchParams.set("count", String(SHOWN));
    return ((await request("GET", url.href)) as { results: Entry[] }).results;
  }, [workflowId, queue]);
  const { value, error, again } = useAsked(ask);
  if (error) return <p className="panel-problem" role="status">{error.message}</p>;
  if (!value) return <p className="muted">Looking …</p>;
  return (
    <>
      <p className="taps-bar">
        <span className="muted">{value.length ? `The oldest ${value.length}` : "Nothing waits."}</span>
        <button type="button" onClick={again}>
          Look again
        </button>
      </p>
      <ul className="taps">
        {value.map((entry) => (
          <li key={entry.id}>
            <details className="tap">
              <summary>
                {entry.age !== null && <time>here for {age(Number(entry.age))}</time>}
                <span className="tap-item">{entry.item_id ?? entry.id}</span>
              </summary>
              <div className="tap-body">
                {entry.data && <JsonView value={entry.data} label="Entry" fileName="entry.json" root="data" />}
                {entry.unreadable && <p className="muted">It is no item: {entry.unreadable}</p>}
                {page.may.run && entry.data && (
                  <div className="panel-buttons">
                    <button type="button" onClick={() => void take(id, queue, entry.id)}>
                      Use it on the bench
                    </button>
                  </div>
                )}
              </div>
            </details>
          </li>
        ))}
      </ul>
    </>
  );
}

async function take(id: string, queue: string, entry: string): Promise<void> {
  try {
    await useBench.getState().load({ queue, entry }, "input", id);
    notify(`The entry is the input of ${nameOf(id)} on the bench, and stays in the queue.`);
  } catch (error) {
    notify((error as Error).message, "bad");
  }
}
