// The socket of one workflow, and what has to be asked for beside it.

import { connect } from "@shared/connection.js";
import { socketAddress } from "@shared/api.js";

import { api, call } from "../api/client";
import { readVersion } from "../versions/api";
import { logOut } from "./rights";
import { model, takeStatus, useLive } from "./store";
import type { LiveEvent, Status } from "./types";

const SAMPLE_EVERY = 1000;
const QUEUES_EVERY = 10_000; // samples come while something changes; limits change with versions

let watched: string | null = null;

/** Watch a workflow until the page is left; a page watches one. */
export function watch(workflowId: string): void {
  if (watched !== null) return;
  watched = workflowId;
  useLive.setState({ connection: "connecting" });
  connect(`${socketAddress("workflows", workflowId)}?detail=counters`, {
    onState,
    onEvent,
    onConnection,
  });
  setInterval(() => useLive.getState().connection === "live" && model.sample(), SAMPLE_EVERY);
  setInterval(() => document.hidden || void loadQueues(), QUEUES_EVERY);
}

function onState(status: Status): void {
  takeStatus(status);
  if (status.version !== (useLive.getState().running?.number ?? null)) void loadRunning(status.version);
}

function onEvent(event: LiveEvent): boolean {
  const stranger = event.type === "queue_stats" && !model.knowsQueues(Object.keys(event.queues ?? {}));
  if (stranger) void loadQueues();
  return model.takeEvent(event);
}

function onConnection(live: boolean, about: { final?: boolean; loggedOut?: boolean } = {}): void {
  const connection = live ? "live" : about.final ? "ended" : "lost";
  useLive.setState({ connection });
  document.body.dataset.connection = connection;
  if (about.loggedOut) logOut();
  model.interrupt();
  model.repaint();
  if (live) void loadQueues();
}

async function loadQueues(): Promise<void> {
  if (!watched || useLive.getState().connection !== "live") return;
  try {
    const query = { workflow_id: watched, limit: 200 };
    const { results } = await call(api.GET("/queues/", { params: { query } }));
    model.takeQueues(results);
    const written = results.flatMap((row) => row.writers.map((writer) => [writer.node, row.name]));
    useLive.setState({ queueOf: Object.fromEntries(written) });
  } catch {
    // Redis is away, or the connection; the banner and the states of the loops tell that.
  }
}

async function loadRunning(number: number | null): Promise<void> {
  if (number === null || !watched) return useLive.setState({ running: null });
  try {
    const { definition } = await readVersion(watched, number);
    useLive.setState({ running: { number, definition } });
    void loadQueues();
  } catch {
    useLive.setState({ running: null }); // the next state asks again
  }
}
