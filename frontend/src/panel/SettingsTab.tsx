import { useNodeType } from "../catalog/store";
import { useProblems } from "../document/problems";
import { NodeForm } from "./NodeForm";
import { NodeOptions } from "./NodeOptions";

/** The form, the engine's options, and what is wrong with neither of them. */
export function SettingsTab({ id, type }: { id: string; type: string }) {
  const known = useNodeType(type);
  const problems = useProblems((state) => state.nodes[id]);
  const others = (problems ?? []).filter(({ path }) => !/\.data\.(form|config)\b/.test(path));
  return (
    <>
      {others.length > 0 && (
        <ul className="panel-problems" aria-label="Problems">
          {others.map(({ path, message }) => (
            <li key={path + message}>{message}</li>
          ))}
        </ul>
      )}
      {known?.description && <p className="node-description">{known.description}</p>}
      <NodeForm key={`${id} ${type}`} id={id} type={type} />
      <NodeOptions id={id} type={type} />
    </>
  );
}
