// The studio: header | palette | canvas | side panel | status line.

import { useEffect } from "react";
import { ReactFlowProvider } from "@xyflow/react";

import { followBench } from "./bench/follow";
import { Canvas } from "./canvas/Canvas";
import { Palette } from "./canvas/Palette";
import { useCatalog } from "./catalog/store";
import { nodeOf } from "./document/lookup";
import { open, useOpening } from "./document/open";
import { useDocument } from "./document/store";
import { Banner } from "./live/Banner";
import { useRights } from "./live/rights";
import { Socket } from "./live/Socket";
import { page } from "./page";
import { DraftNote } from "./shell/DraftNote";
import { Header } from "./shell/Header";
import "./shell/shell.css";
import { Side } from "./shell/Side";
import { StatusLine } from "./shell/StatusLine";
import { followAddress, opened, useView } from "./view";

export function App() {
  const { state, error } = useOpening();
  // A role that changes while the page is open changes what is offered everywhere.
  const may = useRights(({ edit, run, operate }) => `${edit} ${run} ${operate}`);
  if (state === "failed") return <Failed error={error} />;
  if (state === "loading") return <p className="studio-loading" role="status">Opening the studio …</p>;
  return (
    <ReactFlowProvider key={may}>
      <Studio />
    </ReactFlowProvider>
  );
}

function Studio() {
  const mode = useView((view) => view.mode);
  const palette = mode === "bench" && page.may.edit;
  useEffect(() => {
    const { document } = useDocument.getState();
    if (opened.node && nodeOf(document, opened.node)) useView.getState().focusNode(opened.node);
    return followAddress();
  }, []);
  useEffect(followBench, []);
  useTitle();
  return (
    <div className="studio" data-mode={mode} data-palette={palette}>
      <Socket />
      <Header />
      <div className="notes">
        <Banner />
        <DraftNote />
      </div>
      {palette && <Palette />}
      <Canvas />
      <Side />
      <StatusLine />
    </div>
  );
}

function useTitle(): void {
  const name = useDocument((state) => state.document.name || state.workflowId || "New workflow");
  useEffect(() => {
    document.title = `${name} · Studio`;
  }, [name]);
}

function Failed({ error }: { error: string }) {
  return (
    <div className="studio-failed" role="alert">
      <h1>{page.workflowId} cannot be opened</h1>
      <p>{error}</p>
      <p className="buttons">
        <button type="button" className="primary" onClick={() => void open()}>
          Try again
        </button>
        <a href={page.root}>Back to the workflows</a>
      </p>
    </div>
  );
}

/** Begin loading before anything is drawn. */
export function start(): void {
  void useCatalog.getState().load();
  void open();
}
