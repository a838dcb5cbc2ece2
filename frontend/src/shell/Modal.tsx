// A modal dialog: the browser keeps the focus in it, and gives it back.

import { useEffect, useId, useRef, type ReactNode } from "react";

import { Icon } from "../canvas/Icon";

interface Props {
  title: string;
  className?: string;
  onClose(): void;
  children: ReactNode;
}

export function Modal({ title, className = "", onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    const first = shown?.querySelector<HTMLElement>("[data-first]") ?? shown?.querySelector<HTMLElement>("input, select, [autofocus]");
    first?.focus();
    return () => shown?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className={`modal ${className}`}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div className="modal-body">
        <header className="modal-head">
          <h2 id={heading}>{title}</h2>
          <button type="button" className="tool" aria-label="Close" onClick={onClose}>
            <Icon name="x" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
