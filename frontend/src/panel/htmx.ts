// htmx, for the form of a node alone: it is not to follow the history of the page.

import htmx from "htmx.org";

htmx.config.history = false;

export { htmx };
