// The connections to the database, each a cell, and the callers that wait.
import { num, str, count, ns, rate } from "../format.js";
import { quantile } from "../series.js";
import { $, text, cells, of, badge, changed, say } from "../dom.js";

export function view(s, h) {
  const n = (k) => num(s, "pool." + k, 0);
  const known = num(s, "pool.max") !== null;
  const max = n("max");
  const use = n("in_use");
  const idle = n("idle");
  const check = n("checking");
  const dial = n("creating");
  const close = n("closing");
  const failing = h.delta("pool.create_failed", 3000);
  const error = str(s, "pool.last_error");
  const connected = use + idle + check;
  const down = (failing > 0 || error !== "") && connected === 0;
  return {
    known, max, use, idle, dial, down, error, failing,
    wait: n("waiting"),
    slots: [...of(use, "use"), ...of(check, "check"), ...of(idle, "idle"), ...of(dial, "dial"), ...of(close, "close"),
      ...of(max - use - idle - check - dial - close, "free")],
    line: of(n("waiting"), "wait"),
    p99: quantile(h.deltas("pool.waits.buckets", 10_000), 0.99, 1000),
    created: num(s, "pool.created"),
    failed: num(s, "pool.create_failed"),
    acquiring: h.rate("pool.acquired"),
    refused: num(s, "pool.refused"),
  };
}

export function mount() {
  const news = changed();
  return (s, h) => {
    const v = view(s, h);
    cells($("pool-slots"), v.slots);
    cells($("pool-queue"), v.line, 24);
    const trouble = v.down || v.failing > 0;
    badge($("pool-badge"), !v.known ? "–" : v.down ? "no connection" : trouble ? "dials fail" : v.wait > 0 ? "busy" : "connected", !v.known ? "none" : v.down ? "bad" : trouble || v.wait > 0 ? "warn" : "ok");
    text($("pool-use"), count(v.known ? v.use : null));
    text($("pool-idle"), count(v.known ? v.idle : null));
    text($("pool-dial"), count(v.known ? v.dial : null));
    text($("pool-waiting"), count(v.known ? v.wait : null));
    text($("pool-p99"), v.p99 === null ? "–" : "≤ " + ns(v.p99));
    text($("pool-created"), count(v.created));
    text($("pool-failed"), count(v.failed));
    text($("pool-rate"), rate(v.acquiring));
    const error = v.error || (v.failing > 0 ? "dials fail" : "");
    text($("pool-error"), error ? "Last dial: " + error : "Dials succeed.");
    $("pool-error").dataset.level = error ? "bad" : "ok";
    if (v.known && news(v.down)) say(v.down ? "The database can't be reached." : "The database is back.");
  };
}
