// A socket that is either known to be live, or says that it is not.

const BACKOFF = [500, 1000, 2000, 4000, 8000, 15000];
const ASK_EVERY = 4000; // desires and dead runners send no event, so the state is asked for again
const ANSWER_WITHIN = 6000;
const RESYNC_AFTER = 150; // several events in a row cause one request

const LOGGED_OUT = 4401;
const REFUSED = {
  [LOGGED_OUT]: "You are logged out.",
  4403: "You may not watch this: it needs the role viewer.",
  4404: "There is no such workflow.",
};

export class LiveSocket {
  /**
   * onState gets the body of `state_sync`; onEvent an event, and returns false when it needs the
   * state anew; onConnection gets (live, {text, final, loggedOut}).
   */
  constructor(url, { onState, onEvent, onConnection }) {
    this.url = url;
    this.onState = onState;
    this.onEvent = onEvent;
    this.onConnection = onConnection;
    this.failures = 0;
    this.live = false;
    this.resyncTimer = null;
    window.addEventListener("online", () => this.retry());
    window.addEventListener("offline", () => this._drop());
    document.addEventListener("visibilitychange", () => document.hidden || this.resync());
    setInterval(() => this._beat(), 1000);
    this._open();
  }

  /** Connect now instead of when the back-off is over. */
  retry() {
    if (this.socket || this.final) return;
    clearTimeout(this.retryTimer);
    this._open();
  }

  /** Ask for the whole state, soon. */
  resync() {
    if (!this.live || this.resyncTimer) return;
    this.resyncTimer = setTimeout(() => {
      this.resyncTimer = null;
      this._ask();
    }, RESYNC_AFTER);
  }

  _open() {
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.next = 0;
    this.askedAt = this.waitingSince = Date.now(); // the state comes unasked
    socket.addEventListener("message", ({ data }) => this.socket === socket && this._take(JSON.parse(data)));
    socket.addEventListener("close", ({ code }) => this.socket === socket && this._lost(code));
  }

  _take(message) {
    if (message.seq !== undefined) {
      if (message.seq !== this.next) this.resync();
      this.next = message.seq + 1;
    }
    if (message.type === "state_sync") this._synchronised(message);
    else if (message.type === "gap" || this.onEvent(message) === false) this.resync();
  }

  _synchronised(message) {
    this.waitingSince = null;
    this.failures = 0;
    if (!this.live) {
      this.live = true;
      this.onConnection(true, {});
    }
    this.onState(message);
  }

  _ask() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.askedAt = Date.now();
    this.waitingSince ??= this.askedAt;
    this.socket.send('{"type": "request_state"}');
  }

  /** A connection that is only half open is found by the answer that does not come. */
  _beat() {
    const now = Date.now();
    if (this.waitingSince && now - this.waitingSince > ANSWER_WITHIN) this._drop();
    else if (!document.hidden && now - this.askedAt > ASK_EVERY) this._ask();
  }

  _drop() {
    if (!this.socket) return;
    this.socket.close();
    this._lost(0);
  }

  _lost(code) {
    this.socket = null;
    this.live = false;
    clearTimeout(this.resyncTimer);
    this.resyncTimer = null;
    this.final = code in REFUSED;
    const text = REFUSED[code] ?? "Connection lost. What you see is old; trying again …";
    this.onConnection(false, { text, final: this.final, loggedOut: code === LOGGED_OUT });
    if (this.final) return;
    const wait = BACKOFF[Math.min(this.failures++, BACKOFF.length - 1)];
    this.retryTimer = setTimeout(() => this._open(), wait * (0.8 + 0.4 * Math.random()));
  }
}
