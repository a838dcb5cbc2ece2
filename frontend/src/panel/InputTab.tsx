// What a node is given now: from the nodes before it, or something that was loaded or typed.

import { useEffect, useState } from "react";

import { address } from "../api/client";
import { useBench } from "../bench/store";
import { failureOf, inputOf } from "../bench/api";
import type { Failure, Given, Input } from "../bench/types";
import { useNodeType } from "../catalog/store";
import { page } from "../page";
import { useView } from "../view";
import { JsonEditor } from "./JsonEditor";
import { JsonView } from "./JsonView";
import { MissingInputs } from "./MissingInputs";
import { QueueEntries } from "./QueueEntries";
import { Trouble } from "./Trouble";
import { useInsert } from "./useInsert";
import { aboutGiven, aboutUsed, when } from "./words";

/** A longer input is not offered as a text to edit. */
const EDITABLE = 200_000;

export function InputTab({ id, type }: { id: string; type: string }) {
  const changes = useBench((bench) => bench.changes);
  const given = useBench((bench) => bench.standings[id]?.given ?? null);
  const kind = useNodeType(type)?.kind;
  const role = useNodeType(type)?.queue_role;
  const insert = useInsert(type);
  const [found, setFound] = useState<Input | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [own, setOwn] = useState(false);
  const source = kind === "producer" && role !== "reader";

  useEffect(() => {
    if (source) return;
    let current = true;
    inputOf(id).then(
      (input) => {
        if (!current) return;
        setFound(input);
        setFailure(null);
      },
      (error: unknown) => {
        if (!current) return;
        setFound(null);
        setFailure(failureOf(error));
      },
    );
    return () => {
      current = false;
    };
  }, [id, changes, source]);

  if (source) return <p className="muted">A source begins an iteration: it has no input.</p>;
  return (
    <>
      {given && (
        <p className="given">
          Given from <Origin given={given} />, {when(given.at)}: it goes before what the nodes before it gave.{" "}
          {page.may.run && (
            <button type="button" className="link" onClick={() => void useBench.getState().forget(id)}>
              Forget it
            </button>
          )}
        </p>
      )}
      {found && (
        <>
          {!given && found.used.length > 0 && (
            <p className="muted used">From {found.used.map(aboutUsed).join(", ")}</p>
          )}
          <JsonView value={found.input} label="Input" fileName={`${id}-input.json`} root="data" onInsert={insert} />
        </>
      )}
      {failure?.nodes ? <MissingInputs nodes={failure.nodes} /> : failure && <Trouble failure={failure} />}
      {!found && !failure && <p className="muted">Looking …</p>}
      {role === "reader" && <QueueEntries id={id} />}
      {page.may.run && (
        <div className="panel-buttons">
          <button type="button" aria-expanded={own} onClick={() => setOwn(!own)}>
            Run with another input …
          </button>
        </div>
      )}
      {own && (
        <JsonEditor
          label="Input for one run"
          initial={found && JSON.stringify(found.input).length < EDITABLE ? found.input : {}}
          action="Run with this input"
          onDone={async (input) => {
            const outcome = await useBench.getState().run(id, { upstream: "never", input });
            if (outcome) useView.getState().setTab("output");
          }}
        />
      )}
    </>
  );
}

/** A dead letter leads to its page, where it is replayed once the node has been mended. */
function Origin({ given }: { given: Given }) {
  const letter = given.origin === "dead_letter" && given.of?.dead_letter;
  return letter ? <a href={address("dead-letters", String(letter))}>{aboutGiven(given)}</a> : aboutGiven(given);
}
