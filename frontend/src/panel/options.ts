// The engine's options of a node: `data.config`.

import type { NodeType } from "../catalog/store";
import type { Json, JsonObject } from "../document/types";

export interface Option {
  /** `retry.delay` is the member `delay` of the object `retry`. */
  name: string;
  label: string;
  kind: "number" | "text" | "list" | "tick" | "choice";
  /** What holds when nothing is given. */
  usual: string;
  help?: string;
  choices?: readonly string[];
}

export interface Group {
  title: string;
  options: readonly Option[];
}

const CALL: Option[] = [
  { name: "timeout", label: "Timeout", kind: "number", usual: "none", help: "Seconds for one call." },
  { name: "pool", label: "Pool", kind: "choice", usual: "the node's own", choices: ["async", "thread", "process"], help: "The highest of a loop's nodes wins; the whole loop runs there." },
  { name: "runs_on", label: "Runs on", kind: "list", usual: "any runner", help: "Labels that a runner must have, with commas between." },
];
const RETRY: Option[] = [
  { name: "retry.max_attempts", label: "Attempts", kind: "number", usual: "1" },
  { name: "retry.delay", label: "First pause", kind: "number", usual: "1", help: "Seconds." },
  { name: "retry.backoff", label: "Times, each", kind: "number", usual: "2" },
  { name: "retry.max_delay", label: "Longest pause", kind: "number", usual: "60", help: "Seconds." },
  { name: "retry.jitter", label: "Jitter", kind: "number", usual: "0.1" },
  { name: "retry.retry_on", label: "Only on", kind: "list", usual: "every error", help: "Classes of errors, with commas between." },
  { name: "retry.give_up_on", label: "Never on", kind: "list", usual: "no error" },
];
const IN_FLIGHT: Option = { name: "max_in_flight", label: "Items on their way", kind: "number", usual: "100", help: "Behind this node, at once." };
const DELIVERIES: Option = { name: "max_deliveries", label: "Deliveries", kind: "number", usual: "3", help: "To processes that die with the item, before it is a dead letter." };
const REPLICAS: Option = { name: "replicas", label: "Replicas", kind: "number", usual: "1", help: "Copies of this loop, also on several machines." };
const QUEUE: Option = { name: "queue_name", label: "Queue", kind: "text", usual: "made from the edge" };
const ROOM: Option[] = [
  { name: "max_length", label: "Most entries", kind: "number", usual: "10000" },
  { name: "max_bytes", label: "Most bytes", kind: "number", usual: "268435456" },
  { name: "overflow", label: "When it is full", kind: "choice", usual: "block", choices: ["block", "drop_oldest", "dead_letter"] },
];
const ADVANCED: Option = { name: "advanced_templates", label: "Loops in templates", kind: "tick", usual: "", help: "Needs the pool process, and the role admin to be saved." };

/** The options that mean something for a type. */
export function groupsOf(type: NodeType | undefined): Group[] {
  const source = type?.kind === "producer" || type?.queue_role === "reader";
  const loop = [
    ...(source ? [DELIVERIES] : []),
    ...(type?.queue_role === "reader" ? [REPLICAS] : []),
    ...(type?.kind === "non_blocking" ? [IN_FLIGHT] : []),
  ];
  const queue = type?.queue_role ? [QUEUE, ...(type.queue_role === "writer" ? ROOM : [])] : [];
  return [
    { title: "Each call", options: [...CALL, ...(type?.has_form ? [ADVANCED] : [])] },
    ...(queue.length ? [{ title: "Queue", options: queue }] : []),
    ...(loop.length ? [{ title: "Loop", options: loop }] : []),
    ...(source ? [] : [{ title: "When it fails", options: RETRY }]),
  ];
}

export function optionOf(config: JsonObject, name: string): Json | undefined {
  const [outer, inner] = name.split(".") as [string, string?];
  const value = config[outer];
  if (inner === undefined) return value;
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value[inner] : undefined;
}

/** Return the options with one of them changed; undefined takes it away. */
export function withOption(config: JsonObject, name: string, value: Json | undefined): JsonObject {
  const [outer, inner] = name.split(".") as [string, string?];
  if (inner === undefined) return withMember(config, outer, value);
  const before = config[outer];
  const object = before !== null && typeof before === "object" && !Array.isArray(before) ? before : {};
  const after = withMember(object, inner, value);
  return withMember(config, outer, Object.keys(after).length ? after : undefined);
}

function withMember(object: JsonObject, name: string, value: Json | undefined): JsonObject {
  const { [name]: _before, ...others } = object;
  return value === undefined ? others : { ...others, [name]: value };
}

/** What was typed as a value; what is no number stays a text, and is told to be wrong. */
export function typedValue(kind: Option["kind"], text: string): Json | undefined {
  const trimmed = text.trim();
  if (!trimmed) return undefined;
  if (kind === "number") return Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
  if (kind === "list") return text.split(",").map((each) => each.trim()).filter(Boolean);
  return text;
}

export function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
