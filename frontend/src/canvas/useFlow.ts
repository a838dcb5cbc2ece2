// Nodes and edges for React Flow, from the document, and React Flow's changes back into it.

import { useCallback, useMemo, useRef, useState } from "react";
import type { EdgeChange, NodeChange } from "@xyflow/react";

import { useCatalog } from "../catalog/store";
import { indexOf } from "../document/lookup";
import { shownPorts } from "../document/ports";
import { useProblems } from "../document/problems";
import { useDocument } from "../document/store";
import type { Point } from "../document/types";
import { EdgeDrawer, NodeDrawer, edgeLabel, labelOf, type CardNode, type LineEdge } from "./flow";

const NOWHERE: Point = { x: 0, y: 0 };
const NONE: ReadonlyMap<string, Point> = new Map();

export function useFlow() {
  const document = useDocument((state) => state.document);
  const selection = useDocument((state) => state.selection);
  const selectedEdges = useDocument((state) => state.selectedEdges);
  const types = useCatalog((state) => state.types);
  const ports = useProblems((state) => state.ports);
  // While nodes are dragged only the canvas knows where they are; the document hears of it at the end.
  const [dragged, setDragged] = useState(NONE);
  const [drawers] = useState(() => ({ nodes: new NodeDrawer(), edges: new EdgeDrawer() }));

  const nodes = useMemo(() => {
    const selected = new Set(selection);
    return document.nodes.map((node) =>
      drawers.nodes.draw(node, {
        type: types?.get(node.type),
        ports: shownPorts(document, node),
        position: dragged.get(node.id) ?? node.position ?? NOWHERE,
        selected: selected.has(node.id),
      }),
    );
  }, [document, selection, types, ports, dragged, drawers]);

  const edges = useMemo(() => {
    const selected = new Set(selectedEdges);
    const index = indexOf(document).nodes;
    const nameOf = (id: string) => {
      const node = index.get(id);
      return node ? labelOf(node, types?.get(node.type)) : id;
    };
    return document.edges.map((edge) => drawers.edges.draw(edge, selected.has(edge.id), edgeLabel(edge, nameOf)));
  }, [document, selectedEdges, types, drawers]);

  const moving = useRef(NONE);
  const onNodesChange = useCallback((changes: NodeChange<CardNode>[]) => {
    const places = new Map(moving.current);
    let [dragging, moved] = [false, false];
    for (const change of changes) {
      if (change.type !== "position" || !change.position) continue;
      places.set(change.id, change.position);
      moved = true;
      dragging ||= Boolean(change.dragging);
    }
    if (moved) {
      const byKeyboard = !dragging && !moving.current.size;
      moving.current = dragging ? places : NONE;
      setDragged(moving.current);
      if (!dragging) useDocument.getState().move(places, byKeyboard);
    }
    const { selection: before, selectedEdges: others, select } = useDocument.getState();
    select(selected(before, changes), others);
  }, []);

  const onEdgesChange = useCallback((changes: EdgeChange<LineEdge>[]) => {
    const { selection: others, selectedEdges: before, select } = useDocument.getState();
    select(others, selected(before, changes));
  }, []);

  return { nodes, edges, onNodesChange, onEdgesChange };
}

function selected(before: string[], changes: readonly (NodeChange<CardNode> | EdgeChange<LineEdge>)[]): string[] {
  const after = new Set(before);
  for (const change of changes) {
    if (change.type !== "select") continue;
    if (change.selected) after.add(change.id);
    else after.delete(change.id);
  }
  return [...after];
}
