// Workflows from JSON files, and the examples.

import { address, ApiError, request } from "./api.js";
import { byId, el, notify } from "./dom.js";
import { plural } from "./format.js";

const MAX_BYTES = 2 * 1024 * 1024; // what the server takes
const SHOWN_PROBLEMS = 20;

/** Let files be chosen, store each as a workflow, and call `done` when there is a new one. */
export function offerImport(done) {
  const chooser = byId("import-file");
  if (!chooser) return;
  for (const button of document.querySelectorAll("[data-import]")) {
    button.addEventListener("click", () => chooser.click());
  }
  chooser.addEventListener("change", async () => {
    const files = [...chooser.files];
    chooser.value = "";
    const refused = [];
    const stored = [];
    for (const file of files) {
      try {
        stored.push(await store(file));
      } catch (error) {
        refused.push({ name: file.name, error });
      }
    }
    if (stored.length) {
      notify(`Imported ${stored.join(", ")}.`);
      done();
    }
    if (refused.length) tell(refused);
  });
}

/** Load the examples when the button of the empty page is pressed. */
export function offerExamples(done) {
  const button = byId("load-examples");
  button?.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const { loaded } = await request("POST", address("examples"));
      notify(`Loaded ${plural(loaded.length, "example")}: ${loaded.join(", ")}.`);
      done();
    } catch (error) {
      notify(`The examples could not be loaded: ${error.message}`, "bad");
    } finally {
      button.disabled = false;
    }
  });
}

/** Store a file and return the name under which it is found. */
async function store(file) {
  if (file.size > MAX_BYTES) throw local("It has more than 2 MB.");
  let workflow;
  try {
    workflow = JSON.parse(await file.text());
  } catch (error) {
    throw local(`It is not JSON: ${error.message}`);
  }
  const { id } = await request("POST", address("workflows"), workflow);
  return id;
}

const local = (message) => new ApiError(0, { code: "invalid_payload", message });

function tell(refused) {
  byId("refused-files").replaceChildren(...refused.map(({ name, error }) => el("section", {}, el("h3", {}, name), problems(error))));
  byId("refused").showModal();
}

function problems({ message, details }) {
  if (!details.length) return el("p", {}, message);
  const shown = details.slice(0, SHOWN_PROBLEMS);
  const items = shown.map(({ path, message: text }) => el("li", {}, path ? el("code", {}, path) : "", path ? " " : "", text));
  const more = details.length - shown.length;
  if (more) items.push(el("li", {}, `and ${plural(more, "more problem")}`));
  return el("ul", { class: "problems" }, ...items);
}
