// The connection to /live. It comes back by itself: after an error, after a
// silence, when the page is looked at again.

export const SILENCE = 3000; // milliseconds without a state until the connection counts as dead

// delay is how long to wait before the n-th try in a row: 0.25 s, doubling to
// 2 s, and up to a fifth less by chance, so that a thousand pages don't come back
// in one moment.
export function delay(n, chance = Math.random()) {
  return Math.min(2000, 250 * 2 ** Math.min(n, 10)) * (1 - 0.2 * chance);
}

// parse reads the data of an event. Only an object is one; anything else is null.
export function parse(data) {
  try {
    const v = JSON.parse(data);
    return v !== null && typeof v === "object" && !Array.isArray(v) ? v : null;
  } catch {
    return null;
  }
}

// Live calls on.state, on.audit and on.progress with objects, and
// on.connection with "connecting", "live" or "lost".
export class Live {
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.source = null;
    this.tries = 0;
    this.status = "";
    this.timer = 0;
    this.heard = 0; // performance.now() of the latest state
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.hurry());
    addEventListener("online", () => this.hurry());
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (e) => e.persisted && this.open());
    setInterval(() => this.check(), 500);
  }

  say(status) {
    if (status === this.status) return;
    this.status = status;
    this.on.connection(status);
  }

  open() {
    this.close();
    this.say(this.status === "lost" ? "lost" : "connecting");
    this.heard = performance.now();
    const source = new EventSource(this.url);
    this.source = source;
    source.addEventListener("state", (e) => {
      const state = parse(e.data);
      if (!state) return;
      this.heard = performance.now();
      this.tries = 0;
      this.say("live");
      this.on.state(state);
    });
    for (const kind of ["audit", "progress"]) {
      source.addEventListener(kind, (e) => {
        const event = parse(e.data);
        if (event) this.on[kind](event);
      });
    }
    source.onerror = () => {
      if (source === this.source) this.again();
    };
  }

  close() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.source?.close();
    this.source = null;
  }

  // again gives this connection up and tries another one, soon.
  again() {
    this.close();
    this.say("lost");
    this.timer = setTimeout(() => this.open(), delay(this.tries++));
  }

  // check notices a connection that is open and says nothing.
  check() {
    if (this.source && performance.now() - this.heard > SILENCE) this.again();
  }

  // hurry tries at once what would be tried later.
  hurry() {
    if (this.source || !this.timer) return;
    this.tries = 0;
    this.open();
  }
}
