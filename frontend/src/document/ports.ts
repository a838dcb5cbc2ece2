// Which ports a node has, and what may be connected.

import { useCatalog, type NodeType } from "../catalog/store";
import { sameConnection, type Connection } from "./edit";
import { incoming, nodeOf, outgoing } from "./lookup";
import { useProblems } from "./problems";
import { DEFAULT_PORT, portOf, type WorkflowDocument, type WorkflowNode } from "./types";

const DEFAULT: readonly string[] = [DEFAULT_PORT];
const NONE: readonly string[] = [];

const typeOf = (node: WorkflowNode): NodeType | undefined => useCatalog.getState().types?.get(node.type);

/** The output ports: those that the server found with the node's settings, or those of its type. */
export function outputsOf(node: WorkflowNode): readonly string[] {
  return useProblems.getState().ports[node.id]?.outputs ?? typeOf(node)?.output_ports ?? DEFAULT;
}

/** The input ports; a queue reader has one for the queue writers that feed it. */
export function inputsOf(node: WorkflowNode): readonly string[] {
  const type = typeOf(node);
  if (type?.queue_role === "reader") return DEFAULT;
  if (type?.kind === "producer") return NONE;
  return useProblems.getState().ports[node.id]?.inputs ?? type?.input_ports ?? DEFAULT;
}

export interface ShownPorts {
  inputs: readonly string[];
  outputs: readonly string[];
}

/** The ports to draw: also those that an edge has and the node lacks, or its edge could not be seen. */
export function shownPorts(document: WorkflowDocument, node: WorkflowNode): ShownPorts {
  const outputs = outgoing(document, node.id).map((edge) => portOf(edge.sourceHandle));
  const inputs = incoming(document, node.id).map((edge) => portOf(edge.targetHandle));
  return { inputs: union(inputsOf(node), inputs), outputs: union(outputsOf(node), outputs) };
}

function union(ports: readonly string[], more: readonly string[]): readonly string[] {
  return more.every((port) => ports.includes(port)) ? ports : [...new Set([...ports, ...more])];
}

/** Why the connection cannot be made, or null. */
export function whyNot(document: WorkflowDocument, connection: Connection, except?: string): string | null {
  const source = nodeOf(document, connection.source);
  const target = nodeOf(document, connection.target);
  if (!source || !target) return "one of its ends is not there";
  const refusal = refusedByTypes(source, target);
  if (refusal) return refusal;
  if (!outputsOf(source).includes(portOf(connection.port))) return `it has no port “${portOf(connection.port)}”`;
  if (!inputsOf(target).includes(portOf(connection.targetPort))) return "it has no such input";
  const taken = outgoing(document, source.id).some((edge) => edge.id !== except && sameConnection(edge, connection));
  return taken ? "they are connected already" : null;
}

function refusedByTypes(source: WorkflowNode, target: WorkflowNode): string | null {
  const to = typeOf(target);
  if (to?.queue_role === "reader" && typeOf(source)?.queue_role !== "writer") {
    return "only a queue writer leads to a queue reader";
  }
  if (to?.kind === "producer" && to.queue_role !== "reader") return "it starts a loop and has no input";
  return null;
}
