// What the page watches, for as long as it is open. It shows nothing.

import { useEffect } from "react";

import { useDocument } from "../document/store";
import { diff, touched } from "../versions/diff";
import { marks, showProduction } from "../versions/marks";
import { useLookout } from "../versions/newest";
import { useView } from "../view";
import { watch } from "./feed";
import { useLive } from "./store";

const PAUSE = 300;

export function Socket() {
  const workflowId = useDocument((state) => state.workflowId);
  useEffect(() => {
    if (workflowId) watch(workflowId);
  }, [workflowId]);
  useLookout(workflowId);
  useProductionMarks();
  return null;
}

/** Mark the nodes on the canvas that are not what runs. */
function useProductionMarks(): void {
  const running = useLive((state) => state.running);
  const document = useDocument((state) => state.document);
  const production = useView((view) => view.mode === "production");
  useEffect(() => {
    if (!running || !production) return showProduction();
    const texts = { added: "not in production", changed: `not as in version ${running.number}` };
    const timer = setTimeout(() => showProduction(marks(touched(diff(running.definition, document)), texts)), PAUSE);
    return () => clearTimeout(timer);
  }, [running, document, production]);
}
