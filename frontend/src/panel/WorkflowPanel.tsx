// What is there to do when nothing is selected.

import type { ReactNode } from "react";

import { useBench } from "../bench/store";
import { page } from "../page";
import { useView } from "../view";

export function WorkflowPanel({ children }: { children: ReactNode }) {
  const problem = useBench((bench) => bench.problem);
  const mode = useView((view) => view.mode);
  return (
    <div className="panel">
      {mode === "bench" && (
        <p className="muted panel-hint">
          Select a node to see its settings, its input and its output{page.may.run ? ", and to run it alone" : ""}.
        </p>
      )}
      {mode === "bench" && problem && (
        <p className="panel-problem" role="status">
          The bench does not answer: {problem}
        </p>
      )}
      {children}
    </div>
  );
}
