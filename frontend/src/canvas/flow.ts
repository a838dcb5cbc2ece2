// The document as React Flow draws it. An object is made anew only when something of it has
// changed, so that what has not is not drawn again.

import { Position, type Edge, type Node, type NodeHandle } from "@xyflow/react";

import { hueOf } from "../catalog/look";
import type { NodeType } from "../catalog/store";
import { CARD_WIDTH, cardHeight, portY } from "../document/size";
import { DEFAULT_PORT, portOf, type Point, type WorkflowEdge, type WorkflowNode } from "../document/types";
import type { ShownPorts } from "../document/ports";

export interface CardData extends Record<string, unknown> {
  node: WorkflowNode;
  label: string;
  typeLabel: string;
  icon: string;
  hue: number;
  kind: string;
  known: boolean;
  ports: ShownPorts;
}
export type CardNode = Node<CardData, "card">;
export type LineEdge = Edge<{ edge: WorkflowEdge }, "line">;

interface Drawn {
  node: WorkflowNode;
  type: NodeType | undefined;
  ports: string;
  position: Point;
  selected: boolean;
  flow: CardNode;
}

export const labelOf = (node: WorkflowNode, type?: NodeType): string => node.data?.label || type?.label || node.type;

/** Draws nodes, and remembers what it drew. */
export class NodeDrawer {
  private drawn = new Map<string, Drawn>();

  draw(
    node: WorkflowNode,
    { type, ports, position, selected }: { type?: NodeType; ports: ShownPorts; position: Point; selected: boolean },
  ): CardNode {
    const before = this.drawn.get(node.id);
    const code = `${ports.inputs.join()}>${ports.outputs.join()}`;
    const sameCard = before?.node === node && before.type === type && before.ports === code;
    if (sameCard && before.selected === selected && same(before.position, position)) return before.flow;
    const height = cardHeight(Math.max(ports.outputs.length, ports.inputs.length));
    const flow: CardNode = {
      id: node.id,
      type: "card",
      position,
      selected,
      width: CARD_WIDTH,
      height,
      measured: { width: CARD_WIDTH, height },
      handles: sameCard ? before.flow.handles : handles(ports, height),
      data: sameCard ? before.flow.data : dataOf(node, type, ports),
      ariaLabel: `${labelOf(node, type)}, ${type?.label ?? "not installed"}, ${node.id}`,
    };
    this.drawn.set(node.id, { node, type, ports: code, position, selected, flow });
    return flow;
  }
}

const same = (a: Point, b: Point) => a.x === b.x && a.y === b.y;

function dataOf(node: WorkflowNode, type: NodeType | undefined, ports: ShownPorts): CardData {
  return {
    node,
    label: labelOf(node, type),
    typeLabel: type?.label ?? node.type,
    icon: type?.icon ?? "circle-alert",
    hue: hueOf(type?.category ?? ""),
    kind: type?.kind ?? "unknown",
    known: Boolean(type),
    ports,
  };
}

const DOT = 12;

function handles({ inputs, outputs }: ShownPorts, height: number): NodeHandle[] {
  const handle = (ports: readonly string[], type: "source" | "target") =>
    ports.map((id, index) => ({
      id,
      type,
      position: type === "source" ? Position.Right : Position.Left,
      x: (type === "source" ? CARD_WIDTH : 0) - DOT / 2,
      y: portY(index, ports.length, height) - DOT / 2,
      width: DOT,
      height: DOT,
    }));
  return [...handle(inputs, "target"), ...handle(outputs, "source")];
}

/** Draws edges, and remembers what it drew. */
export class EdgeDrawer {
  private drawn = new Map<string, { edge: WorkflowEdge; label: string; flow: LineEdge }>();

  draw(edge: WorkflowEdge, selected: boolean, label: string): LineEdge {
    const before = this.drawn.get(edge.id);
    if (before?.edge === edge && before.flow.selected === selected && before.label === label) return before.flow;
    const flow: LineEdge = {
      id: edge.id,
      type: "line",
      source: edge.source,
      target: edge.target,
      sourceHandle: portOf(edge.sourceHandle),
      targetHandle: portOf(edge.targetHandle),
      selected,
      data: { edge },
      ariaLabel: label,
    };
    this.drawn.set(edge.id, { edge, label, flow });
    return flow;
  }
}

export function edgeLabel(edge: WorkflowEdge, nameOf: (id: string) => string): string {
  const port = portOf(edge.sourceHandle);
  const from = port === DEFAULT_PORT ? nameOf(edge.source) : `${nameOf(edge.source)} (${port})`;
  return `Edge from ${from} to ${nameOf(edge.target)}${edge.condition ? `, if ${edge.condition}` : ""}`;
}
