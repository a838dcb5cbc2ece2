// What the person may do; the server decides it again.

const OPERATORS = ["operator", "editor", "admin"];
const EDITORS = ["editor", "admin"];

export const mayOperate = OPERATORS.includes(document.body.dataset.role);
export const mayEdit = EDITORS.includes(document.body.dataset.role);
