// A list that is asked for again and again, and that says when what it shows is old.

import { announce, byId, setText, show } from "../dom.js";

const BACKOFF = [2000, 4000, 8000, 15000];
const REFUSED = { 401: "You are logged out.", 403: "You may not see this: it needs the role viewer." };

export class Poll {
  /** `look` asks and shows; `known` gets whether what is shown is of now. */
  constructor(look, known, every = 2000) {
    this.look = look;
    this.known = known;
    this.every = every;
    this.failures = 0;
    byId("connection-retry").addEventListener("click", () => this.now());
    byId("connection-login").search = new URLSearchParams({ next: location.pathname }).toString();
    document.addEventListener("visibilitychange", () => document.hidden || this.now());
    window.addEventListener("online", () => this.now());
  }

  /** Ask at once. An answer to an older question does not count any more. */
  async now() {
    clearTimeout(this.timer);
    const turn = (this.turn = {});
    try {
      await this.look(() => this.turn === turn);
      if (this.turn === turn) this._answered();
    } catch (error) {
      if (this.turn === turn) this._failed(error);
    }
    if (this.turn === turn) this.timer = setTimeout(() => document.hidden || this.now(), this._wait());
  }

  _wait() {
    return this.failures ? BACKOFF[Math.min(this.failures, BACKOFF.length) - 1] : this.every;
  }

  _answered() {
    if (this.failures) announce("Connected again");
    this.failures = 0;
    show(byId("connection"), false);
    this.known(true);
  }

  _failed({ status, message }) {
    this.failures += 1;
    const final = status in REFUSED;
    setText(byId("connection-text"), REFUSED[status] ?? (status ? message : "Connection lost. What you see is old; trying again …"));
    show(byId("connection-retry"), !final);
    show(byId("connection-login"), status === 401);
    show(byId("connection"), true);
    this.known(false);
  }
}
