// A dialog with a form: what was filled in, or null when it was cancelled.

export function answerOf(dialog) {
  const form = dialog.querySelector("form");
  dialog.querySelector("[data-close]").onclick = () => dialog.close("no");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    const ended = () => resolve(dialog.returnValue === "yes" ? new FormData(form) : null);
    dialog.addEventListener("close", ended, { once: true });
  });
}
