// What the person may do; the server decides it again.

const OPERATORS = ["operator", "editor", "admin"];
const EDITORS = ["editor", "admin"];

export const mayOperate = OPERATORS.includes(document.body.dataset.role);
export const mayEdit = EDITORS.includes(document.body.dataset.role);

const rights = new Set((document.body.dataset.rights ?? "").split(" "));

/** Whether the person has a right, on a page that tells which there are. */
export const may = (action) => rights.has(action);
