// The dialogs of the canvas: add a node, connect one, find one.

import { useMemo, useState } from "react";

import { announce } from "@shared/dom.js";

import { useCatalog } from "../catalog/store";
import { edgeOf, nodeOf } from "../document/lookup";
import { inputsOf, outputsOf, whyNot } from "../document/ports";
import { useDocument } from "../document/store";
import type { WorkflowNode } from "../document/types";
import { useView } from "../view";
import { add, type Where } from "./add";
import { nodeChoice, targetChoices, typeChoices } from "./choices";
import { useDialogs, type From } from "./dialogState";
import { labelOf } from "./flow";
import { Help } from "./Help";
import { Picker, type Choice } from "./Picker";
import { useMiddle } from "./useMiddle";

export function Dialogs() {
  const { open, close } = useDialogs();
  if (!open) return null;
  if (open.kind === "add") return <AddDialog where={open} onClose={close} />;
  if (open.kind === "connect") return <ConnectDialog from={open.from} onClose={close} />;
  if (open.kind === "find") return <FindDialog onClose={close} />;
  return <Help onClose={close} />;
}

interface Closing {
  onClose(): void;
}

function useLabel(): (node: WorkflowNode | undefined) => string {
  const types = useCatalog((state) => state.types);
  return (node) => (node ? labelOf(node, types?.get(node.type)) : "");
}

function AddDialog({ where, onClose }: Closing & { where: Where }) {
  const types = useCatalog((state) => state.types);
  const document = useDocument((state) => state.document);
  const middle = useMiddle();
  const label = useLabel();
  const source = where.from?.source ?? (where.into ? edgeOf(document, where.into)?.source : undefined);
  const behind = source ? nodeOf(document, source) : undefined;
  const choices = useMemo(
    () => typeChoices(types, behind && types?.get(behind.type), !document.nodes.length),
    [types, behind, document],
  );
  return (
    <Picker
      title={behind ? `Add a node after ${label(behind)}` : "Add a node"}
      placeholder="Search node types"
      choices={choices}
      nothing={types ? "No node type matches." : "The node types are not there yet."}
      onChoose={(type) => add(type, where, middle())}
      onClose={onClose}
    />
  );
}

const NEW = "+"; // no node id: connecting may also mean a new node

function ConnectDialog({ from, onClose }: Closing & { from: From }) {
  const types = useCatalog((state) => state.types);
  const document = useDocument((state) => state.document);
  const label = useLabel();
  const source = nodeOf(document, from.source);
  const ports = source ? outputsOf(source) : [];
  const [port, setPort] = useState(from.port ?? ports[0] ?? null);
  const choices = useMemo(() => {
    const more: Choice = { id: NEW, label: "A new node …", icon: "plus", group: "New", words: "add" };
    return [...targetChoices(document, types, { source: from.source, port }), more];
  }, [document, types, from.source, port]);
  const choose = (target: string) => {
    if (target === NEW) useDialogs.getState().show({ kind: "add", from: { source: from.source, port } });
    else connect({ source: from.source, port }, target, label);
  };
  return (
    <Picker
      title={`Connect ${label(source)} to`}
      placeholder="Search nodes"
      choices={choices}
      nothing="No node matches."
      onChoose={choose}
      onClose={onClose}
    >
      {ports.length > 1 && (
        <p className="picker-port">
          <label htmlFor="connect-port">From its port</label>
          <select id="connect-port" value={port ?? ""} onChange={(event) => setPort(event.target.value)}>
            {ports.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </p>
      )}
    </Picker>
  );
}

function connect(from: From, target: string, label: (node: WorkflowNode | undefined) => string): void {
  const { document, connect: add } = useDocument.getState();
  const node = nodeOf(document, target);
  const fits = (targetPort: string) => !whyNot(document, { ...from, target, targetPort });
  const targetPort = node && inputsOf(node).find(fits);
  if (!targetPort) return;
  add(from.source, from.port ?? null, target, targetPort);
  announce(`Connected ${label(nodeOf(document, from.source))} to ${label(node)}`);
}

function FindDialog({ onClose }: Closing) {
  const types = useCatalog((state) => state.types);
  const nodes = useDocument((state) => state.document.nodes);
  const choices = useMemo(() => nodes.map((node) => nodeChoice(node, types?.get(node.type))), [nodes, types]);
  return (
    <Picker
      title="Find a node"
      placeholder="Search by name, id or type"
      choices={choices}
      nothing={nodes.length ? "No node matches." : "There is no node yet."}
      onChoose={(id) => useView.getState().focusNode(id)}
      onClose={onClose}
    />
  );
}
