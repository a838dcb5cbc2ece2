// One credential: what may be told of it, where it is used, who may use it, and other values for it.

import { address, request } from "./api.js";
import { Grants, Values, clearProblems, showProblems, whoMay } from "./credential_form.js";
import { ask, byId, el, notify, setText, show } from "./dom.js";
import { ago, plural, time } from "./format.js";
import { may } from "./roles.js";

const { credential: name, user } = document.body.dataset;
const here = address("credentials", name);
const values = new Values(byId("replace-form"));
const grants = new Grants(byId("grants-form"));
let credential = null;

async function load() {
  try {
    take(await request("GET", here));
  } catch (error) {
    fail(error);
  }
  show(byId("loading"), false);
}

function fail(error) {
  setText(byId("problem"), error.message);
  show(byId("problem"), true);
  byId("problem").scrollIntoView({ block: "nearest" });
}

function take(found) {
  credential = found;
  const mine = may("credential.create") && (found.created_by === user || may("credential.manage"));
  show(byId("problem"), false);
  setText(byId("kind"), found.kind);
  show(byId("kind"), true);
  byId("facts").replaceChildren(...facts());
  byId("uses").replaceChildren(...found.used_by.map(useOf));
  show(byId("uses-none"), found.used_by.length === 0);
  for (const id of ["delete", "replace-part", "grants-part"]) show(byId(id), mine);
  show(byId("not-yours"), !mine);
  values.choose(found.kind);
  grants.show(found);
  show(byId("parts"), true);
}

function facts() {
  const rows = [
    ["Ends with", credential.fingerprint ? el("code", {}, `…${credential.fingerprint}`) : "not shown: too short, or of several values"],
    ["Who may use it", whoMay(credential)],
    ["Made by", credential.created_by ?? "somebody who is gone"],
    ["Made", moment(credential.created_at)],
    ["Changed", moment(credential.updated_at)],
  ];
  return rows.map(([title, value]) => el("div", {}, el("dt", {}, title), el("dd", {}, value)));
}

const moment = (value) => el("time", { datetime: value }, `${time(value)} (${ago(value)})`);

function useOf({ kind, id, name: title, version, nodes, running }) {
  const graph = kind === "graph";
  const link = graph
    ? el("a", { href: `${address("runs")}?${new URLSearchParams({ graph: id })}` }, title)
    : el("a", { href: address("studio", id) }, title);
  const which = graph ? "graph" : `version ${version}`;
  const state = running ? [el("span", { class: "badge", "data-tone": "good" }, "is to run")] : [];
  const places = nodes.flatMap((node, i) => [i ? ", " : "", graph ? node : nodeLink(id, node)]);
  return el("li", {}, link, " ", el("small", { class: "muted" }, which), " ", ...state, el("small", {}, nodes.length === 1 ? "node " : "nodes ", ...places));
}

const nodeLink = (workflow, node) => el("a", { href: `${address("studio", workflow)}?${new URLSearchParams({ node })}` }, node);

// Changing it

/** Let a form send a change; what is refused stands beside its control. */
function sends(form, body, done) {
  let sending = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (sending) return;
    sending = true;
    clearProblems(form);
    try {
      await request("PUT", here, body());
      done();
      await load();
    } catch (error) {
      showProblems(form, error);
    }
    sending = false;
  });
}

function replacement() {
  if (values.twice) throw { details: [{ path: "values", message: `There are two values of the name ${values.twice}.` }] };
  return { values: values.read() };
}

sends(byId("replace-form"), replacement, () => {
  values.clear();
  notify("The secret is replaced.");
});
sends(byId("grants-form"), () => grants.read(), () => notify("Who may use it is saved."));

byId("delete").addEventListener("click", async () => {
  const users = credential.used_by.map(({ name: title }) => title);
  const text = users.length
    ? `${plural(users.length, "use")} that you may see: ${users.join(", ")}. What names it does not start any more.`
    : "Nothing that you may see uses it.";
  if (!(await ask(`Delete ${name}?`, `${text} The secret is gone for good.`, "Delete"))) return;
  try {
    await request("DELETE", here);
    location.href = address("credentials");
  } catch (error) {
    fail(error);
  }
});
load();
