// That unsaved changes were brought back, and the way to be rid of them.

import { time } from "@shared/format.js";

import { forget, useDraft } from "../document/draft";
import { useDocument } from "../document/store";

export function DraftNote() {
  const { restored, dismiss } = useDraft();
  const version = useDocument((state) => state.base.version);
  if (!restored) return null;
  const discard = () => {
    const { base, workflowId, replace } = useDocument.getState();
    forget(workflowId);
    replace(base.definition);
    dismiss();
  };
  return (
    <div className="draft-note" role="status">
      <span>
        Your unsaved changes of {time(restored.at)} are back
        {version === null ? "." : `; they were made from version ${version}.`}
      </span>
      <button type="button" className="quiet" onClick={dismiss}>
        Keep them
      </button>
      <button type="button" className="quiet" onClick={discard}>
        Discard them
      </button>
    </div>
  );
}
