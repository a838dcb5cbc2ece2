import { Modal } from "../shell/Modal";

const mac = /Mac|iPhone|iPad/.test(navigator.platform);
const CTRL = mac ? "⌘" : "Ctrl";

const GROUPS: readonly [string, readonly (readonly [string, string])[]][] = [
  [
    "Build",
    [
      ["A", "Add a node, after the selected one"],
      ["C", "Connect the selected node to …"],
      ["Enter", "Select the focused node; again: its settings"],
      ["Delete", "Remove what is selected"],
      [`${CTRL} D`, "Duplicate"],
      [`${CTRL} C, X, V`, "Copy, cut, paste; also between workflows"],
      [`${CTRL} Z`, "Undo"],
      [`${CTRL} Shift Z`, "Redo"],
      [`${CTRL} S`, "Save"],
      ["L", "Tidy up: the selected nodes, or all"],
    ],
  ],
  [
    "Get around",
    [
      ["Tab", "Go from node to node"],
      ["Alt →, Alt ←", "Follow an edge to the next node, or back"],
      ["Arrows", "Move the selected nodes"],
      [`/ or ${CTRL} K`, "Find a node"],
      [`${CTRL} A`, "Select all"],
      ["Shift drag", "Select an area"],
      ["+, −", "Zoom"],
      ["F", "Show everything"],
      ["Esc", "Select nothing"],
      ["?", "This list"],
    ],
  ],
];

export function Help({ onClose }: { onClose(): void }) {
  return (
    <Modal title="Keyboard" className="help" onClose={onClose}>
      <div className="help-columns">
        {GROUPS.map(([title, rows]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {rows.map(([keys, what]) => (
                <div key={keys}>
                  <dt>
                    <kbd>{keys}</kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <p className="muted">The keys work while the canvas has the focus.</p>
    </Modal>
  );
}
