// The name of the workflow, the mode, and what is done with the whole of it.

import { RunControls } from "../live/RunControls";
import { useDocument } from "../document/store";
import { page } from "../page";
import { SaveButton } from "../versions/SaveButton";
import { Menu } from "./Menu";
import { ModeSwitch } from "./ModeSwitch";

export function Header() {
  return (
    <header className="studio-header">
      <a className="back" href={page.root}>
        Workflows
      </a>
      <Name />
      <ModeSwitch />
      <div className="header-actions">
        <RunControls />
        <SaveButton />
        <Menu />
      </div>
    </header>
  );
}

function Name() {
  const name = useDocument((state) => state.document.name ?? "");
  const id = useDocument((state) => state.workflowId);
  const rename = useDocument.getState().rename;
  return (
    <h1 className="name">
      <input
        aria-label="Name of the workflow"
        value={name}
        placeholder={id ?? "Name"}
        maxLength={200}
        readOnly={!page.may.edit}
        spellCheck={false}
        onChange={(event) => rename(event.target.value)}
        onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
      />
    </h1>
  );
}

