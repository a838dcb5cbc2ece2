// What is typed into a node's form is in the document once the server has answered it.

export interface OpenForm {
  flush(): Promise<void>;
}

const open = new Set<OpenForm>();

export function formOpened(form: OpenForm): () => void {
  open.add(form);
  return () => open.delete(form);
}

const PATIENCE = 3000;

/** Resolve when what was typed a moment ago is in the document, or the server does not answer. */
export async function formSettled(): Promise<void> {
  const patience = new Promise<void>((resolve) => setTimeout(resolve, PATIENCE));
  const forms = [...open].map((form) => form.flush());
  if (forms.length) await Promise.race([Promise.all(forms), patience]);
}
