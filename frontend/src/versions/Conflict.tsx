// Two people have changed one version: both are shown, and each of the choices keeps both.

import { useMemo } from "react";

import { ago } from "@shared/format.js";

import { useDocument } from "../document/store";
import { Modal } from "../shell/Modal";
import type { Version } from "./api";
import { diff, summary, type Diff } from "./diff";
import { DiffList } from "./DiffList";
import { merge } from "./merge";
import { combine, decideLater, keepMine, takeTheirs } from "./save";

export function Conflict({ theirs }: { theirs: Version }) {
  const { document, base } = useDocument.getState();
  const found = useMemo(
    () => ({
      mine: diff(base.definition, document),
      theirs: diff(base.definition, theirs.definition),
      merged: merge(base.definition, document, theirs.definition),
    }),
    [base, document, theirs],
  );
  const who = theirs.created_by ?? "The system";
  const { clashes } = found.merged;
  return (
    <Modal title={`Somebody else has saved version ${theirs.version}`} className="conflict" onClose={decideLater}>
      <p>
        {who} saved it {ago(theirs.created_at)}, while you were changing version {base.version}. Both stay in the list
        of versions; choose what you go on with.
      </p>
      <div className="sides">
        <Side title={`Theirs: version ${theirs.version}`} diff={found.theirs} />
        <Side title="Yours, not saved yet" diff={found.mine} />
      </div>
      {clashes.length > 0 && <Clashes clashes={clashes} />}
      <p className="buttons">
        <button type="button" className="quiet" onClick={decideLater}>
          Decide later
        </button>
        <button type="button" className="quiet" onClick={() => takeTheirs(theirs)}>
          Take theirs
        </button>
        <button type="button" className="quiet" onClick={() => void keepMine(theirs)}>
          Save mine as version {theirs.version + 1}
        </button>
        <button type="button" className="primary" onClick={() => combine(found.merged.document, theirs)}>
          Combine both
        </button>
      </p>
    </Modal>
  );
}

function Side({ title, diff }: { title: string; diff: Diff }) {
  return (
    <section>
      <h3>{title}</h3>
      <p className="muted">{summary(diff)}</p>
      <div className="scroll" tabIndex={0} role="region" aria-label={title}>
        <DiffList diff={diff} />
      </div>
    </section>
  );
}

function Clashes({ clashes }: { clashes: readonly string[] }) {
  return (
    <div className="note">
      <p>Both of you changed the following. Combined, it is as in yours:</p>
      <ul>
        {clashes.map((place) => (
          <li key={place}>
            <code>{place}</code>
          </li>
        ))}
      </ul>
    </div>
  );
}
