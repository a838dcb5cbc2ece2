// A node's form in the admin; without JavaScript what depends on a field follows when it is saved.

import { byId, setText, show } from "./dom.js";
import { followForm } from "./node_fragment.js";

followForm(byId("node-form"), {
  problem(text) {
    setText(byId("node-form-problem"), text);
    show(byId("node-form-problem"), Boolean(text));
  },
});
