// The side panel of one node.

import { useRef, type KeyboardEvent } from "react";

import { useBench } from "../bench/store";
import { page } from "../page";
import { useView } from "../view";
import { DeadLettersTab } from "./DeadLettersTab";
import { InputTab } from "./InputTab";
import { LogTab } from "./LogTab";
import { NodeHead } from "./NodeHead";
import { OutputTab } from "./OutputTab";
import { SettingsTab } from "./SettingsTab";
import { TapsTab } from "./TapsTab";

interface Props {
  id: string;
  type: string;
}

const TABS = [
  ["settings", "Settings"],
  ["input", "Input"],
  ["output", "Output"],
  ["taps", "Taps"],
  ["dead_letters", "Dead letters"],
  ["log", "Log"],
] as const;

const VIEWS = { input: InputTab, output: OutputTab, taps: TapsTab, dead_letters: DeadLettersTab, log: LogTab };

export function NodePanel({ id, type }: Props) {
  const wanted = useView((view) => view.tab);
  const setTab = useView.getState().setTab;
  const tab = TABS.some(([name]) => name === wanted) ? wanted : "settings";
  const View = VIEWS[tab as keyof typeof VIEWS];
  return (
    <div className="panel node-panel" onKeyDown={(event) => runKey(event, id)}>
      <NodeHead id={id} type={type} onRan={() => setTab("output")} />
      <Tabs tab={tab} onTab={setTab} id={id} />
      <div className="tab-page" role="tabpanel" id="tab-page-settings" aria-labelledby="tab-settings" hidden={tab !== "settings"}>
        <SettingsTab id={id} type={type} />
      </div>
      {View && (
        <div className="tab-page" role="tabpanel" id={`tab-page-${tab}`} aria-labelledby={`tab-${tab}`} tabIndex={-1}>
          <View id={id} type={type} />
        </div>
      )}
    </div>
  );
}

/** Ctrl+Enter runs the node from wherever one is in its panel. */
export function runKey(event: KeyboardEvent, id: string): void {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !page.may.run) return;
  event.preventDefault();
  void useBench.getState().run(id).then((outcome) => outcome && useView.getState().setTab("output"));
}

function Tabs({ tab, onTab, id }: { tab: string; onTab(tab: string): void; id: string }) {
  const list = useRef<HTMLDivElement>(null);
  const failed = useBench((bench) => bench.results[id]?.failure !== undefined);
  const given = useBench((bench) => Boolean(bench.standings[id]?.given));
  const marks: Record<string, string | undefined> = { output: failed ? "bad" : undefined, input: given ? "given" : undefined };
  const onKeyDown = (event: KeyboardEvent) => {
    const at = TABS.findIndex(([name]) => name === tab);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const index = (next + TABS.length) % TABS.length;
    onTab(TABS[index]![0]);
    list.current?.querySelectorAll<HTMLElement>("[role=tab]")[index]?.focus();
  };
  return (
    <div className="tabs" role="tablist" aria-label="Of the node" ref={list} onKeyDown={onKeyDown}>
      {TABS.map(([name, label]) => (
        <button
          key={name}
          type="button"
          role="tab"
          id={`tab-${name}`}
          aria-selected={name === tab}
          aria-controls={name === tab || name === "settings" ? `tab-page-${name}` : undefined}
          tabIndex={name === tab ? 0 : -1}
          data-mark={marks[name]}
          onClick={() => onTab(name)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}
