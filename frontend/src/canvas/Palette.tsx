// The node types, to be dragged onto the canvas, or added by a click or Enter.

import { useMemo, useState, type DragEvent } from "react";

import { hueOf } from "../catalog/look";
import { useCatalog, type NodeType } from "../catalog/store";
import { useDocument } from "../document/store";
import { add } from "./add";
import { sortedTypes, typeChoice } from "./choices";
import { Icon } from "./Icon";
import { ranked } from "./search";
import { useMiddle } from "./useMiddle";

/** The type under which a drag carries the name of a node type. */
export const NODE_TYPE = "application/x-node-type";

export function Palette() {
  const { types, broken, error, load } = useCatalog();
  const [text, setText] = useState("");
  const groups = useMemo(() => grouped(types, text), [types, text]);
  return (
    <aside className="palette" aria-label="Node types">
      <p className="palette-search">
        <Icon name="search" />
        <input
          type="search"
          aria-label="Search node types"
          placeholder="Search nodes"
          autoComplete="off"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      </p>
      <div className="palette-list">
        {error && (
          <p className="problem">
            {error} <button type="button" className="quiet" onClick={() => void load()}>Try again</button>
          </p>
        )}
        {groups.map(([category, members]) => (
          <section key={category}>
            <h2>{category}</h2>
            <ul>
              {members.map((type) => (
                <Item key={type.type} type={type} />
              ))}
            </ul>
          </section>
        ))}
        {types && !groups.length && <p className="muted">No node type matches.</p>}
        <Broken broken={broken} />
      </div>
    </aside>
  );
}

function Item({ type }: { type: NodeType }) {
  const middle = useMiddle();
  const onDragStart = (event: DragEvent) => {
    event.dataTransfer.setData(NODE_TYPE, type.type);
    event.dataTransfer.effectAllowed = "copy";
  };
  return (
    <li>
      <button
        type="button"
        className="palette-item"
        data-hue={hueOf(type.category)}
        draggable
        title={type.description}
        onDragStart={onDragStart}
        onClick={() => add(type.type, behindSelected(), middle())}
      >
        <span className="card-icon">
          <Icon name={type.icon} />
        </span>
        <span className="palette-label">{type.label}</span>
      </button>
    </li>
  );
}

/** With one node selected, what is added comes behind it. */
function behindSelected() {
  const { selection } = useDocument.getState();
  return selection.length === 1 ? { from: { source: selection[0]! } } : {};
}

function grouped(types: ReadonlyMap<string, NodeType> | null, text: string): [string, NodeType[]][] {
  const groups = new Map<string, NodeType[]>();
  for (const choice of ranked(sortedTypes(types).map(typeChoice), text)) {
    const type = types!.get(choice.id)!;
    groups.set(choice.group, [...(groups.get(choice.group) ?? []), type]);
  }
  return [...groups];
}

/** Node types that are installed and cannot be loaded: whoever misses one finds out why. */
function Broken({ broken }: { broken: Record<string, string> }) {
  const names = Object.entries(broken);
  if (!names.length) return null;
  return (
    <section className="broken">
      <h2>Could not be loaded</h2>
      <ul>
        {names.map(([name, reason]) => (
          <li key={name} title={reason}>
            {name}: {reason}
          </li>
        ))}
      </ul>
    </section>
  );
}
