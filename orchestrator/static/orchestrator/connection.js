// The banner that says when the page is not live.

import { announce, byId, setText, show } from "./dom.js";
import { LiveSocket } from "./live.js";

/** Open a socket whose state of connection is shown in the banner. */
export function connect(url, { onState, onEvent, onConnection }) {
  const banner = byId("connection");
  const socket = new LiveSocket(url, {
    onState,
    onEvent,
    onConnection(live, { text, final, loggedOut }) {
      if (live && !banner.hidden) announce("Connected again");
      setText(byId("connection-text"), live ? "" : text);
      show(byId("connection-retry"), !final);
      show(byId("connection-login"), Boolean(loggedOut));
      show(banner, !live);
      onConnection(live, { final, loggedOut });
    },
  });
  const login = byId("connection-login");
  login.search = new URLSearchParams({ next: location.pathname }).toString();
  byId("connection-retry").addEventListener("click", () => socket.retry());
  return socket;
}
