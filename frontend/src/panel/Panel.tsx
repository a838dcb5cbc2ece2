// The side panel: of the selected node, of the selected edge, of several, or of the workflow.

import { Modal } from "../shell/Modal";
import { edgeOf, nodeOf } from "../document/lookup";
import { useDocument } from "../document/store";
import { Loops } from "../live/Loops";
import { useView } from "../view";
import { EdgePanel } from "./EdgePanel";
import { ManyPanel } from "./ManyPanel";
import { NodePanel } from "./NodePanel";
import "./panel.css";
import { useWide } from "./wide";
import { WidePanel } from "./WidePanel";
import { WorkflowPanel } from "./WorkflowPanel";

export function Panel() {
  const selection = useDocument((state) => state.selection);
  const edges = useDocument((state) => state.selectedEdges);
  const document = useDocument((state) => state.document);
  const wide = useWide((state) => state.wide);
  const id = selection.length === 1 && !edges.length ? selection[0]! : null;
  const node = id === null ? undefined : nodeOf(document, id);
  if (node && wide) {
    return (
      <Modal title={`Node ${node.id}`} className="wide-modal" onClose={() => close(node.id)}>
        <WidePanel key={node.id} id={node.id} type={node.type} />
      </Modal>
    );
  }
  if (node) return <NodePanel key={node.id} id={node.id} type={node.type} />;
  const edge = edges.length === 1 && !selection.length ? edgeOf(document, edges[0]!) : undefined;
  if (edge) return <EdgePanel key={edge.id} edge={edge} />;
  if (selection.length + edges.length > 1) return <ManyPanel nodes={selection} edges={edges} />;
  return (
    <WorkflowPanel>
      <Loops />
    </WorkflowPanel>
  );
}

/** Go on at the card of the node. */
function close(id: string): void {
  useWide.getState().setWide(false);
  useView.getState().focusNode(id);
}
