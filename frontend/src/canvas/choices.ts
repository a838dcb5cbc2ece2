// What there is to choose from: node types, and nodes.

import { byCategory, hueOf } from "../catalog/look";
import type { NodeType } from "../catalog/store";
import { inputsOf, whyNot } from "../document/ports";
import type { WorkflowDocument, WorkflowNode } from "../document/types";
import type { From } from "./dialogState";
import { labelOf } from "./flow";
import type { Choice } from "./Picker";

type Types = ReadonlyMap<string, NodeType>;

const titled = (category: string) => category.charAt(0).toUpperCase() + category.slice(1);

export function sortedTypes(types: Types | null): NodeType[] {
  return [...(types?.values() ?? [])].sort(
    (a, b) => byCategory(a.category, b.category) || a.label.localeCompare(b.label),
  );
}

export function typeChoice(type: NodeType): Choice {
  return {
    id: type.type,
    label: type.label,
    hint: type.description,
    icon: type.icon,
    hue: hueOf(type.category),
    group: titled(type.category),
    words: type.type,
  };
}

/** Node types, those first that make sense there: at the beginning sources, behind a node others. */
export function typeChoices(types: Types | null, behind: NodeType | undefined, empty: boolean): Choice[] {
  const all = sortedTypes(types);
  if (empty) return all.filter(isSource).concat(all.filter((type) => !isSource(type))).map(typeChoice);
  if (!behind) return all.map(typeChoice);
  const fits = (type: NodeType) =>
    type.queue_role === "reader" ? behind.queue_role === "writer" : type.kind !== "producer";
  return all.filter(fits).map(typeChoice);
}

const isSource = (type: NodeType) => type.kind === "producer";

export function nodeChoice(node: WorkflowNode, type: NodeType | undefined): Choice {
  const label = labelOf(node, type);
  return {
    id: node.id,
    label,
    hint: `${type?.label ?? node.type} · ${node.id}`,
    icon: type?.icon ?? "circle-alert",
    hue: hueOf(type?.category ?? ""),
    group: "Nodes",
    words: `${node.id} ${node.type}`,
  };
}

/** The nodes that an output may be connected to. */
export function targetChoices(document: WorkflowDocument, types: Types | null, from: From): Choice[] {
  const fits = (node: WorkflowNode) => inputsOf(node).some((targetPort) => !whyNot(document, { ...from, target: node.id, targetPort }));
  return document.nodes.filter(fits).map((node) => nodeChoice(node, types?.get(node.type)));
}
