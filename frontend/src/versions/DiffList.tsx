// A difference between two versions, for people.

import type { ReactNode } from "react";

import { useCatalog } from "../catalog/store";
import { indexOf } from "../document/lookup";
import { useDocument } from "../document/store";
import type { WorkflowEdge, WorkflowNode } from "../document/types";
import { useView } from "../view";
import { isEmpty, type Changes, type Diff, type FieldChange } from "./diff";

const LONGEST = 160;

export function DiffList({ diff }: { diff: Diff }) {
  if (isEmpty(diff)) return <p className="muted">No difference.</p>;
  return (
    <div className="diff">
      <Fields fields={diff.workflow} />
      <Part changes={diff.nodes} name={(node) => <NodeName node={node} />} />
      <Part changes={diff.edges} name={edgeName} />
      {diff.moved.length > 0 && <p className="muted">Moved on the canvas: {diff.moved.length}</p>}
    </div>
  );
}

interface PartProps<T> {
  changes: Changes<T>;
  name: (element: T) => ReactNode;
}

function Part<T extends { id: string }>({ changes: { added, removed, changed }, name }: PartProps<T>) {
  const line = (kind: string, sign: string, element: T, more?: ReactNode) => (
    <li key={kind + element.id} data-change={kind}>
      <span className="sign" aria-label={kind}>
        {sign}
      </span>
      {name(element)}
      {more}
    </li>
  );
  return (
    <ul>
      {added.map((element) => line("added", "+", element))}
      {removed.map((element) => line("removed", "−", element))}
      {changed.map(({ after, fields }) => line("changed", "±", after, <Fields fields={fields} />))}
    </ul>
  );
}

function NodeName({ node }: { node: WorkflowNode }) {
  const there = useDocument((state) => indexOf(state.document).nodes.has(node.id));
  const type = useCatalog((catalog) => catalog.types?.get(node.type)?.label ?? node.type);
  const label = `${node.data?.label || type} (${node.id})`;
  if (!there) return <span>{label}</span>;
  return (
    <button type="button" className="link" onClick={() => useView.getState().focusNode(node.id)}>
      {label}
    </button>
  );
}

function edgeName({ source, target, sourceHandle }: WorkflowEdge) {
  return `Edge ${source}${sourceHandle ? `:${sourceHandle}` : ""} → ${target}`;
}

function Fields({ fields }: { fields: readonly FieldChange[] }) {
  if (!fields.length) return null;
  return (
    <dl className="fields">
      {fields.map(({ path, before, after }) => (
        <div key={path}>
          <dt>{path}</dt>
          <dd>
            <Value value={before} as="del" /> → <Value value={after} as="ins" />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Value({ value, as: Tag }: { value: unknown; as: "del" | "ins" }) {
  if (value === undefined || value === null) return <span className="muted">not set</span>;
  return <Tag>{shown(value)}</Tag>;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
