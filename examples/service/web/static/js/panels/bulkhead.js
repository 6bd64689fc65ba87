// The bulkhead: slots in use, callers that wait for one.
import { num, count, rate, ns } from "../format.js";
import { quantile } from "../series.js";
import { $, text, cells, of, badge } from "../dom.js";

export function view(s, h) {
  const limit = num(s, "bulkhead.limit", 0);
  const use = num(s, "bulkhead.in_use", 0);
  const wait = num(s, "bulkhead.waiting", 0);
  const queue = num(s, "bulkhead.queue");
  const refusals = ["refused_queue_full", "refused_wait_too_long", "refused_turn_too_late"].map((k) => h.rate("bulkhead." + k));
  const known = refusals.filter((r) => r !== null);
  return {
    limit, use, wait, queue,
    known: num(s, "bulkhead.limit") !== null,
    slots: [...of(use, "use"), ...of(limit - use, "free")],
    line: [...of(wait, "wait"), ...of((queue ?? wait) - wait, "none")],
    full: limit > 0 && use >= limit,
    refusing: known.length ? known.reduce((a, b) => a + b, 0) : null,
    refused: ["refused_queue_full", "refused_wait_too_long", "refused_turn_too_late"].reduce((a, k) => a + num(s, "bulkhead." + k, 0), 0),
    median: quantile(h.deltas("bulkhead.waits.buckets", 10_000), 0.5, 64_000),
  };
}

export function mount() {
  return (s, h) => {
    const v = view(s, h);
    cells($("bulkhead-slots"), v.slots);
    cells($("bulkhead-queue"), v.line, 24);
    badge($("bulkhead-badge"), !v.known ? "–" : v.full ? "full" : "has room", !v.known ? "none" : v.full ? "bad" : "ok");
    text($("bulkhead-use"), count(v.known ? v.use : null));
    text($("bulkhead-limit"), count(v.known ? v.limit : null));
    text($("bulkhead-waiting"), count(v.known ? v.wait : null));
    text($("bulkhead-refusing"), rate(v.refusing));
    text($("bulkhead-refused"), count(v.known ? v.refused : null));
    text($("bulkhead-median"), v.median === null ? "–" : "≤ " + ns(v.median));
  };
}
