// A dialog to choose one of many by typing: the keyboard's way to everything.

import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

import { Icon } from "./Icon";
import { Modal } from "../shell/Modal";
import { ranked } from "./search";

export interface Choice {
  id: string;
  label: string;
  hint?: string;
  icon: string;
  hue?: number;
  group: string;
  /** Further words that find it. */
  words?: string;
}

interface Props {
  title: string;
  placeholder: string;
  choices: readonly Choice[];
  nothing: ReactNode;
  children?: ReactNode;
  onChoose(id: string): void;
  onClose(): void;
}

const SHOWN = 200;

export function Picker({ title, placeholder, choices, nothing, children, onChoose, onClose }: Props) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const found = useMemo(() => ranked(choices, text).slice(0, SHOWN), [choices, text]);
  const list = useRef<HTMLUListElement>(null);
  const id = useId();
  const option = (index: number) => `${id}-${index}`;

  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at, found]);

  const choose = (index: number) => {
    const choice = found[index];
    if (!choice) return;
    onClose();
    onChoose(choice.id);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step) setAt(Math.min(Math.max(at + step, 0), found.length - 1));
    else if (event.key === "Enter") choose(at);
    else return;
    event.preventDefault();
  };

  return (
    <Modal title={title} className="picker" onClose={onClose}>
      {children}
      <p className="picker-search">
        <Icon name="search" />
        <input
          type="search"
          role="combobox"
          aria-label={placeholder}
          aria-expanded="true"
          aria-controls={id}
          aria-activedescendant={found.length ? option(at) : undefined}
          autoComplete="off"
          autoFocus
          placeholder={placeholder}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
        />
      </p>
      <ul id={id} ref={list} className="picker-list" role="listbox" aria-label={title}>
        {found.map((choice, index) => (
          <Row
            key={choice.id}
            id={option(index)}
            choice={choice}
            heading={!text && choice.group !== found[index - 1]?.group}
            active={index === at}
            onMove={() => setAt(index)}
            onChoose={() => choose(index)}
          />
        ))}
      </ul>
      {!found.length && <p className="picker-none">{nothing}</p>}
    </Modal>
  );
}

interface RowProps {
  id: string;
  choice: Choice;
  heading: boolean;
  active: boolean;
  onMove(): void;
  onChoose(): void;
}

function Row({ id, choice, heading, active, onMove, onChoose }: RowProps) {
  return (
    <>
      {heading && (
        <li className="picker-group" role="presentation">
          {choice.group}
        </li>
      )}
      <li id={id} role="option" aria-selected={active} data-hue={choice.hue} onMouseMove={onMove} onClick={onChoose}>
        <span className="card-icon">
          <Icon name={choice.icon} />
        </span>
        <span className="picker-text">
          <strong>{choice.label}</strong>
          {choice.hint && <small>{choice.hint}</small>}
        </span>
      </li>
    </>
  );
}
