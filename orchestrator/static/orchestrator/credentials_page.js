// Every credential, without its secret; a new one is stored here.

import { address, request } from "./api.js";
import { Grants, Values, clearProblems, showProblems, whoMay } from "./credential_form.js";
import { byId, el, notify, setText, show } from "./dom.js";
import { ago, count, plural, time } from "./format.js";
import { Rows, cell } from "./rows.js";
import { may } from "./roles.js";

const query = new URLSearchParams(location.search);
const search = byId("filter-search");
const kind = byId("filter-kind");
const rows = new Rows(byId("rows"), { key: ({ name }) => name, make: (credential) => new CredentialRow(credential) });

class CredentialRow {
  constructor({ name, kind }) {
    this.ends = cell("Ends with", "ends");
    this.who = cell("Who may use it", "users");
    this.by = cell("Made by", "by");
    this.changed = el("time", {});
    const link = el("a", { href: address("credentials", name) }, name);
    this.root = el(
      "tr",
      { role: "row" },
      el("th", { scope: "row", role: "rowheader", class: "name" }, link),
      cell("Kind", "kind", el("code", {}, kind)),
      this.ends,
      this.who,
      this.by,
      cell("Changed", "when", this.changed),
    );
  }

  update(credential) {
    this.credential = credential;
    const { fingerprint, created_by, updated_at } = credential;
    setText(this.ends, fingerprint ? `…${fingerprint}` : "–");
    setText(this.who, whoMay(credential));
    setText(this.by, created_by ?? "somebody who is gone");
    this.changed.dateTime = updated_at;
    this.changed.title = time(updated_at);
    setText(this.changed, ago(updated_at));
  }

  matches(text, wanted) {
    const { name, created_by, kind } = this.credential;
    return (!wanted || kind === wanted) && `${name}\n${created_by ?? ""}`.toLowerCase().includes(text);
  }
}

async function load() {
  try {
    const { results } = await request("GET", address("credentials"));
    rows.show(results);
    show(byId("problem"), false);
    show(byId("empty"), results.length === 0);
    arrange();
  } catch (error) {
    setText(byId("problem"), error.message);
    show(byId("problem"), true);
  }
  show(byId("loading"), false);
}

function arrange() {
  const text = search.value.trim().toLowerCase();
  const all = rows.values();
  const shown = all.filter((row) => row.matches(text, kind.value));
  for (const row of all) show(row.root, shown.includes(row));
  show(byId("credentials"), shown.length > 0);
  show(byId("none-found"), all.length > 0 && shown.length === 0);
  setText(byId("shown"), all.length ? `${count(shown.length)} of ${plural(all.length, "credential")}` : "");
}

function remember() {
  const wanted = new URLSearchParams();
  if (search.value) wanted.set("q", search.value);
  if (kind.value) wanted.set("kind", kind.value);
  history.replaceState(null, "", `${location.pathname}${wanted.size ? `?${wanted}` : ""}`);
}

// Storing one

function offerNew() {
  const dialog = byId("new-dialog");
  const form = byId("new-form");
  const values = new Values(form);
  const grants = new Grants(form);
  let sending = false;

  form.elements.kind.addEventListener("change", () => values.choose(form.elements.kind.value));
  form.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    form.reset();
    values.clear();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (sending) return;
    sending = true;
    await store();
    sending = false;
  });
  byId("new").addEventListener("click", open);
  if (query.has("new")) open();

  function open() {
    clearProblems(form);
    values.choose(form.elements.kind.value);
    grants.show({ users: null, groups: null });
    remember();
    dialog.showModal();
  }

  async function store() {
    if (values.twice) {
      showProblems(form, { details: [{ path: "values", message: `There are two values of the name ${values.twice}.` }] });
      return;
    }
    const { name, kind: chosen } = form.elements;
    const body = { name: name.value.trim(), kind: chosen.value, values: values.read(), ...grants.read() };
    try {
      const made = await request("POST", address("credentials"), body);
      dialog.close();
      search.value = kind.value = "";
      await load();
      notify(`${made.name} is stored. Nodes can name it from now on.`);
      rows.rows.get(made.name)?.root.querySelector("a").focus();
    } catch (error) {
      showProblems(form, error);
    }
  }
}

search.value = query.get("q") ?? "";
kind.value = query.get("kind") ?? "";
if (kind.selectedIndex < 0) kind.value = "";
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("filter").addEventListener("input", () => {
  arrange();
  remember();
});
if (may("credential.create")) offerNew();
load();
