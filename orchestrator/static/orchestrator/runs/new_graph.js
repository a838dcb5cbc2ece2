// The dialog that makes a graph from JSON. Every problem is shown with its place.

import { address, request } from "../api.js";
import { byId, el, show } from "../dom.js";
import { parse } from "../json_exact.js";

const MOST = 2 * 1024 * 1024;

export class NewGraph {
  /** `made` gets the id of a new graph. */
  constructor(made) {
    this.made = made;
    this.dialog = byId("graph-new");
    byId("graph-new-form").addEventListener("submit", (event) => this._submit(event));
    byId("graph-new-cancel").addEventListener("click", () => this.dialog.close());
    byId("graph-file").addEventListener("change", () => this._read());
  }

  open() {
    this._problems([]);
    this.dialog.showModal();
  }

  async _read() {
    const [file] = byId("graph-file").files;
    if (!file) return;
    if (file.size > MOST) this._problems(["The file is larger than 2 MB."]);
    else byId("graph-json").value = await file.text();
  }

  async _submit(event) {
    event.preventDefault();
    let definition;
    try {
      definition = parse(byId("graph-json").value);
    } catch (error) {
      this._problems([`This is no JSON: ${error.message}`]);
      return;
    }
    try {
      const { graph_id } = await request("POST", address("graph", "create"), definition);
      this.dialog.close();
      byId("graph-new-form").reset();
      this.made(graph_id);
    } catch (error) {
      const places = error.details.map(({ path, message }) => (path ? `${path}: ${message}` : message));
      this._problems(places.length ? places : [error.message]);
    }
  }

  _problems(texts) {
    byId("graph-problems").replaceChildren(...texts.map((text) => el("li", {}, text)));
    show(byId("graph-problems"), texts.length > 0);
  }
}
