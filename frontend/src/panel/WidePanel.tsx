// Input, settings and output side by side.

import { useState } from "react";

import { DeadLettersTab } from "./DeadLettersTab";
import { InputTab } from "./InputTab";
import { LogTab } from "./LogTab";
import { NodeHead } from "./NodeHead";
import { runKey } from "./NodePanel";
import { OutputTab } from "./OutputTab";
import { SettingsTab } from "./SettingsTab";
import { TapsTab } from "./TapsTab";

const ENDS = { Output: OutputTab, Log: LogTab, Taps: TapsTab, "Dead letters": DeadLettersTab };
type End = keyof typeof ENDS;

export function WidePanel({ id, type }: { id: string; type: string }) {
  const [end, setEnd] = useState<End>("Output");
  const View = ENDS[end];
  return (
    <div className="wide" onKeyDown={(event) => runKey(event, id)}>
      <NodeHead id={id} type={type} onRan={() => setEnd("Output")} />
      <div className="wide-columns">
        <section aria-label="Input">
          <h3>Input</h3>
          <InputTab id={id} type={type} />
        </section>
        <section aria-label="Settings">
          <h3>Settings</h3>
          <SettingsTab id={id} type={type} />
        </section>
        <section aria-label="Output">
          <div className="segments wide-ends" role="radiogroup" aria-label="On the right">
            {(Object.keys(ENDS) as End[]).map((each) => (
              <label key={each}>
                <input type="radio" name="wide-end" checked={end === each} onChange={() => setEnd(each)} />
                <span>{each}</span>
              </label>
            ))}
          </div>
          <View id={id} type={type} />
        </section>
      </div>
    </div>
  );
}
