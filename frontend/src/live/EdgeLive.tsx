// How full a queue is, on the edge that stands for it.

import { setText } from "@shared/dom.js";
import { compact, rate } from "@shared/format.js";

import { edgeOf } from "../document/lookup";
import { useDocument } from "../document/store";
import "./live.css";
import { isLive, model, useLive } from "./store";
import type { QueueNumbers } from "./types";
import { useNumbers } from "./useNumbers";

const NEARLY_FULL = 0.8;

export function EdgeLive({ id }: { id: string }) {
  const writer = useDocument((state) => edgeOf(state.document, id)?.source ?? "");
  const queue = useLive((state) => state.queueOf[writer]);
  return queue !== undefined ? <Fill queue={queue} /> : null;
}

function Fill({ queue }: { queue: string }) {
  const ref = useNumbers<QueueNumbers, HTMLDivElement>(model.queues, queue, paint);
  return (
    <div className="edge-live" ref={ref} title={`Queue ${queue}`}>
      <span className="fill" aria-hidden="true">
        <span />
      </span>
      <span className="depth" />
      <span className="speed" />
    </div>
  );
}

function paint(root: HTMLDivElement, queue: QueueNumbers | undefined): void {
  const [bar, depth, speed] = root.children as unknown as [HTMLElement, HTMLElement, HTMLElement];
  const fill = Math.min(1, queue?.fill ?? 0);
  (bar.firstElementChild as HTMLElement).style.transform = `scaleX(${fill.toFixed(3)})`;
  root.dataset.tone = !isLive() || !queue ? "unknown" : fill >= 1 ? "bad" : fill >= NEARLY_FULL ? "warn" : "good";
  setText(depth, queue ? (queue.maxLength ? `${compact(queue.depth)}/${compact(queue.maxLength)}` : compact(queue.depth)) : "–");
  setText(speed, isLive() && queue?.outPerSecond ? `${rate(queue.outPerSecond)}/s` : "");
}
