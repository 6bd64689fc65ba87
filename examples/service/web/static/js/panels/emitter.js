// Domain events: who gets them, and the audit log, which is one of those.
import { num, str, list, count, clock } from "../format.js";
import { $, text, attr, el, children, badge } from "../dom.js";

const KEEP = 400; // events
const SHOW = 50; // rows

// Log keeps the latest audit events, each once, however often it is sent.
export class Log {
  constructor() {
    this.events = []; // the newest first
  }

  // add returns whether the event is new.
  add(e) {
    const t = num(e, "t");
    const event = { t, kind: str(e, "kind", "event"), text: str(e, "text") };
    if (this.events.some((o) => o.t === t && o.kind === event.kind && o.text === event.text)) return false;
    let i = 0;
    while (i < this.events.length && (this.events[i].t ?? 0) > (t ?? 0)) i++;
    this.events.splice(i, 0, event);
    if (this.events.length > KEEP) this.events.length = KEEP;
    return this.events.includes(event);
  }
}

// What happens all the time shares a row, lest it hides what happens seldom.
const ROUTINE = ["link.created", "link.deleted", "login", "account.created"];

// fold makes rows of events, the newest first: routine ones of a kind, with none
// of another sort between them, are one row with its latest text and their number.
export function fold(events) {
  const rows = [];
  let open = {}; // kind → row, since the last event that is not routine
  for (const e of events) {
    const routine = ROUTINE.includes(e.kind);
    if (routine && open[e.kind]) {
      open[e.kind].n++;
      continue;
    }
    const row = { ...e, n: 1 };
    rows.push(row);
    if (routine) open[e.kind] = row;
    else open = {};
  }
  return rows.slice(0, SHOW);
}

const LEVELS = { breaker: "warn", memory: "warn", worker: "warn", fault: "bad", "refresh.reused": "bad" };

export function view(s) {
  const subs = list(s, "emitter.subs").filter((x) => x !== null && typeof x === "object");
  const sum = (k) => (subs.length ? subs.reduce((a, x) => a + num(x, k, 0), 0) : null);
  return {
    listeners: num(s, "emitter.listeners"),
    queued: num(s, "emitter.queued"),
    failures: num(s, "emitter.failures"),
    delivered: sum("delivered"),
    dropped: sum("dropped"),
  };
}

function row() {
  return el("li", {}, el("time", { class: "num" }), el("b"), el("span"));
}

// mountLog returns what draws a Log: soon, and once for many events that come
// together.
export function mountLog(log) {
  const rows = $("audit");
  let due = false;
  function draw() {
    due = false;
    $("audit-empty").hidden = log.events.length > 0;
    children(rows, fold(log.events), row, (li, e) => {
      const [time, kind, words] = li.children;
      text(time, clock(e.t));
      text(kind, e.n > 1 ? `${e.kind} × ${count(e.n)}` : e.kind);
      text(words, e.text);
      attr(li, "data-level", LEVELS[e.kind] ?? "none");
    });
  }
  return () => {
    if (!due) setTimeout(draw, 30);
    due = true;
  };
}

export function mount() {
  return (s) => {
    const v = view(s);
    text($("emitter-listeners"), count(v.listeners));
    text($("emitter-delivered"), count(v.delivered));
    text($("emitter-queued"), count(v.queued));
    text($("emitter-dropped"), count(v.dropped));
    badge($("emitter-badge"), v.queued > 0 ? "delivering" : v.listeners === null ? "–" : "delivered", v.listeners === null ? "none" : "ok");
  };
}
