// The canvas: nodes, edges, and all that is done to them with a pointer.

import { useCallback, type DragEvent } from "react";
import {
  Background,
  BackgroundVariant,
  ConnectionLineType,
  Controls,
  MarkerType,
  MiniMap,
  ReactFlow,
  SelectionMode,
  useReactFlow,
  type AriaLabelConfig,
} from "@xyflow/react";
import "@xyflow/react/dist/base.css";

import { importFile } from "../document/files";
import { CARD_HEIGHT, CARD_WIDTH } from "../document/size";
import { openWide } from "../panel/wide";
import { isNarrow, useView } from "../view";
import { add } from "./add";
import "./canvas.css";
import { isValidConnection, onConnect, onReconnect, useConnectEnd } from "./connecting";
import { Dialogs } from "./Dialogs";
import { mayEdit, useMayEdit } from "./editing";
import { EdgeLine } from "./EdgeLine";
import { EmptyCanvas } from "./EmptyCanvas";
import type { CardNode, LineEdge } from "./flow";
import { NodeCard } from "./NodeCard";
import { NODE_TYPE } from "./Palette";
import { useShortcuts } from "./shortcuts";
import { Toolbar } from "./Toolbar";
import { useClipboard } from "./useClipboard";
import { useFlow } from "./useFlow";
import { useOpeningView } from "./useOpeningView";
import { useWanted } from "./useWanted";

const NODE_TYPES = { card: NodeCard };
const EDGE_TYPES = { line: EdgeLine };
const EDGE_OPTIONS = { markerEnd: { type: MarkerType.ArrowClosed, width: 16, height: 16 } };
const FIT = { padding: 0.15, maxZoom: 1, minZoom: 0.25 };
const GRID: [number, number] = [20, 20];
const MAP = { width: 160, height: 110 };
const MULTI = ["Shift", "Meta", "Control"];
const MANY = 250; // with more nodes, those that are not seen are not drawn
const FEW = 6; // nodes that need no map
const TOO_MANY = 1500; // for a map of them all
const WORDS: Partial<AriaLabelConfig> = {
  "node.a11yDescription.default": "Press Enter to select a node, C to connect it, and ? for all keys.",
  "node.a11yDescription.keyboardDisabled": "Press Enter to select a node, C to connect it, and ? for all keys.",
  "edge.a11yDescription.default": "Press Enter to select an edge, Delete to remove it.",
  "minimap.ariaLabel": "Map of the workflow",
};

/** Begin with the node that the address names, if there is one. */
function showOpened(showFirst: () => void): void {
  showFirst();
  const { wanted, focusNode } = useView.getState();
  if (wanted) focusNode(wanted.id);
}

export function Canvas() {
  const { nodes, edges, onNodesChange, onEdgesChange } = useFlow();
  const mode = useView((view) => view.mode);
  const editable = useMayEdit();
  const onConnectEnd = useConnectEnd();
  const onDrop = useDrop();
  const showFirst = useOpeningView();
  useShortcuts();
  useClipboard();
  useWanted();
  return (
    <section className="canvas" aria-label="Canvas" data-mode={mode} onDrop={onDrop} onDragOver={allowDrop}>
      <ReactFlow<CardNode, LineEdge>
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        defaultEdgeOptions={EDGE_OPTIONS}
        onNodesChange={onNodesChange}
        onEdgesChange={onEdgesChange}
        onConnect={onConnect}
        onReconnect={onReconnect}
        onConnectEnd={onConnectEnd}
        onNodeDoubleClick={openNode}
        isValidConnection={isValidConnection}
        connectionLineType={ConnectionLineType.Bezier}
        connectionRadius={28}
        nodesDraggable={editable}
        nodesConnectable={editable}
        edgesReconnectable={editable}
        deleteKeyCode={null}
        multiSelectionKeyCode={MULTI}
        selectionMode={SelectionMode.Partial}
        snapToGrid
        snapGrid={GRID}
        minZoom={0.05}
        maxZoom={2}
        onInit={() => showOpened(showFirst)}
        onlyRenderVisibleElements={nodes.length > MANY}
        ariaLabelConfig={WORDS}
        proOptions={{ hideAttribution: true }}
      >
        <Background variant={BackgroundVariant.Dots} gap={20} size={1.4} />
        {nodes.length > 0 && <Controls showInteractive={false} fitViewOptions={FIT} aria-label="Zoom" />}
        {nodes.length > FEW && nodes.length < TOO_MANY && <MiniMap style={MAP} pannable zoomable ariaLabel="Map of the workflow" />}
        <Toolbar />
      </ReactFlow>
      {nodes.length === 0 && <EmptyCanvas />}
      <Dialogs />
    </section>
  );
}

/** Everything of a node at once; on a narrow screen its panel. */
const openNode = (_event: unknown, { id }: CardNode) => (isNarrow() ? useView.getState().openSheet("panel") : openWide(id));

function allowDrop(event: DragEvent): void {
  if (!mayEdit()) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = event.dataTransfer.types.includes(NODE_TYPE) ? "copy" : "move";
}

/** What is dropped is a node type of the palette, or a workflow's file. */
function useDrop() {
  const { screenToFlowPosition } = useReactFlow();
  return useCallback(
    (event: DragEvent) => {
      event.preventDefault();
      if (!mayEdit()) return;
      const file = event.dataTransfer.files[0];
      const type = event.dataTransfer.getData(NODE_TYPE);
      const { x, y } = screenToFlowPosition({ x: event.clientX, y: event.clientY });
      const at = { x: x - CARD_WIDTH / 2, y: y - CARD_HEIGHT / 2 };
      if (type) add(type, { at }, at);
      else if (file) void importFile(file);
    },
    [screenToFlowPosition],
  );
}
