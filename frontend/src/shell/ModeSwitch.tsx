import { Icon } from "../canvas/Icon";
import { useView, type Mode } from "../view";

const MODES: readonly { mode: Mode; label: string; icon: string; about: string }[] = [
  { mode: "bench", label: "Bench", icon: "wrench", about: "Build, and run single nodes" },
  { mode: "production", label: "Production", icon: "activity", about: "Watch what runs" },
];

export function ModeSwitch() {
  const { mode: current, setMode } = useView();
  return (
    <div className="mode-switch" role="radiogroup" aria-label="Mode">
      {MODES.map(({ mode, label, icon, about }) => (
        <label key={mode} title={about} data-mode={mode}>
          <input type="radio" name="mode" value={mode} checked={mode === current} onChange={() => setMode(mode)} />
          <Icon name={icon} />
          <span>{label}</span>
        </label>
      ))}
    </div>
  );
}
