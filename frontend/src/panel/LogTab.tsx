import { useOutcome } from "../bench/store";
import { Trouble } from "./Trouble";

/** What the node printed and logged in its last run on the bench. */
export function LogTab({ id }: { id: string; type: string }) {
  const outcome = useOutcome(id);
  if (outcome?.failure) return <Trouble failure={outcome.failure} />;
  if (!outcome?.ran) return <p className="muted">What the node prints and logs on the bench is shown here when it has run.</p>;
  const { log } = outcome.ran;
  return log ? <pre className="log" tabIndex={0}>{log}</pre> : <p className="muted">It printed and logged nothing.</p>;
}
