// The engine's options, which are the same for every node.

import { useEffect, useId, useState } from "react";

import { useNodeType } from "../catalog/store";
import { nodeOf } from "../document/lookup";
import { useProblems, type Problem } from "../document/problems";
import { useDocument } from "../document/store";
import type { Json, JsonObject } from "../document/types";
import { groupsOf, optionOf, textOf, typedValue, withOption, type Option } from "./options";
import { useEditable } from "./useEditable";

const NOTHING: JsonObject = {};
const CONFIG = /\.data\.config\.?(.*)$/;

export function NodeOptions({ id, type }: { id: string; type: string }) {
  const known = useNodeType(type);
  const editable = useEditable();
  const config = useDocument((state) => nodeOf(state.document, id)?.data?.config ?? NOTHING);
  const problems = useProblems((state) => state.nodes[id]);
  const wrong = (problems ?? []).filter(({ path }) => CONFIG.test(path));
  const given = Object.keys(config).length;
  const [open, setOpen] = useState(wrong.length > 0);
  useEffect(() => {
    if (wrong.length) setOpen(true);
  }, [wrong.length]);
  const set = (name: string, value: Json | undefined) =>
    useDocument.getState().setConfig(id, withOption(config, name, value));
  return (
    <details className="options" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        Engine options {given > 0 && <span className="options-given">{given} set</span>}
        {wrong.length > 0 && <span className="options-wrong">{wrong.length === 1 ? "1 problem" : `${wrong.length} problems`}</span>}
      </summary>
      <fieldset disabled={!editable}>
        {groupsOf(known).map(({ title, options }) => (
          <section key={title}>
            <h4>{title}</h4>
            <div className="options-grid">
              {options.map((option) => (
                <OptionField key={option.name} option={option} value={optionOf(config, option.name)} wrong={wrong} onChange={set} />
              ))}
            </div>
          </section>
        ))}
      </fieldset>
    </details>
  );
}

interface FieldProps {
  option: Option;
  value: Json | undefined;
  wrong: readonly Problem[];
  onChange(name: string, value: Json | undefined): void;
}

function OptionField({ option, value, wrong, onChange }: FieldProps) {
  const id = useId();
  const { name, label, kind, usual, help, choices } = option;
  const mine = wrong.filter(({ path }) => CONFIG.exec(path)?.[1] === name);
  const described = { "aria-describedby": `${id}-help`, "aria-invalid": mine.length > 0 || undefined };
  return (
    <div className="option" data-kind={kind}>
      {kind === "tick" ? (
        <label className="option-tick">
          <input type="checkbox" {...described} checked={value === true} onChange={(event) => onChange(name, event.target.checked || undefined)} /> {label}
        </label>
      ) : (
        <label htmlFor={id}>{label}</label>
      )}
      {kind === "choice" && (
        <select id={id} {...described} value={textOf(value)} onChange={(event) => onChange(name, event.target.value || undefined)}>
          <option value="">{usual}</option>
          {choices?.map((choice) => <option key={choice}>{choice}</option>)}
          {value !== undefined && !choices?.includes(textOf(value)) && <option>{textOf(value)}</option>}
        </select>
      )}
      {(kind === "number" || kind === "text" || kind === "list") && (
        <TextOption key={textOf(value)} id={id} described={described} kind={kind} usual={usual} value={value} onChange={(next) => onChange(name, next)} />
      )}
      <div id={`${id}-help`}>
        {help && <span className="help">{help}</span>}
        {mine.map(({ message }) => (
          <span key={message} className="option-problem">
            {message}
          </span>
        ))}
      </div>
    </div>
  );
}

interface TextProps {
  id: string;
  described: object;
  kind: Option["kind"];
  usual: string;
  value: Json | undefined;
  onChange(value: Json | undefined): void;
}

/** It is taken over when it is left, so that a half-typed number is no change. */
function TextOption({ id, described, kind, usual, value, onChange }: TextProps) {
  const [text, setText] = useState(textOf(value));
  const take = () => text !== textOf(value) && onChange(typedValue(kind, text));
  return (
    <input
      id={id}
      {...described}
      value={text}
      placeholder={usual}
      inputMode={kind === "number" ? "decimal" : "text"}
      spellCheck={false}
      onChange={(event) => setText(event.target.value)}
      onBlur={take}
      onKeyDown={(event) => event.key === "Enter" && take()}
    />
  );
}
