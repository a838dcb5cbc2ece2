// What a node does in production, on its card.

import { setText } from "@shared/dom.js";
import { compact, duration, rate, words } from "@shared/format.js";
import { tone } from "@shared/status.js";

import "./live.css";
import { isLive, model } from "./store";
import type { NodeNumbers } from "./types";
import { useNumbers } from "./useNumbers";

export function NodeLive({ id }: { id: string }) {
  const ref = useNumbers<NodeNumbers, HTMLDivElement>(model.nodes, id, paint);
  return (
    <div className="node-live" ref={ref}>
      <span className="live-light" aria-hidden="true" />
      <span className="live-count" />
      <span className="live-rate" />
      <span className="live-last" />
      <span className="live-failed" />
    </div>
  );
}

function paint(root: HTMLDivElement, node: NodeNumbers | undefined): void {
  const live = isLive();
  const [, count, speed, last, failed] = root.children as unknown as HTMLElement[];
  set(root, "tone", node && live ? tone(node.state) : "unknown");
  set(root, "executing", String(Boolean(node?.executing && live)));
  setText(count, node ? compact(node.count) : "not run");
  setText(speed, node && live && node.perSecond >= 0.005 ? `${rate(node.perSecond)}/s` : "");
  setText(last, node?.lastMs && !node.failed ? duration(node.lastMs / 1000) : ""); // a card has room for one of them
  setText(failed, node?.failed ? `${compact(node.failed)} failed` : "");
  const title = node ? about(node, live) : "It has not run since its loop was started.";
  if (root.title !== title) root.title = title;
}

function about(node: NodeNumbers, live: boolean): string {
  const state = `${live ? "" : "was "}${words(node.state)}${node.reason ? ` (${words(node.reason)})` : ""}`;
  return [`Its loop: ${state}`, node.lastError && `Last error: ${node.lastError}`].filter(Boolean).join("\n");
}

function set(element: HTMLElement, name: string, value: string): void {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}
