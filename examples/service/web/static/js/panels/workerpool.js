// The worker pool: who runs, how long the queue is, how long it takes to get a turn.
import { num, count, rate, ns } from "../format.js";
import { quantile } from "../series.js";
import { $, text, cells, of, badge } from "../dom.js";
import { Plot } from "../plot.js";

export function view(s, h) {
  const known = num(s, "workerpool.max") !== null;
  const max = num(s, "workerpool.max", 0);
  const workers = num(s, "workerpool.workers", 0);
  const running = num(s, "workerpool.running", 0);
  return {
    known, max, running, workers,
    queued: num(s, "workerpool.queued"),
    capacity: num(s, "workerpool.queue"),
    slots: [...of(running, "use"), ...of(workers - running, "idle"), ...of(max - Math.max(workers, running), "free")],
    wait: quantile(h.deltas("workerpool.waits.buckets", 10_000), 0.99, 1000),
    run: quantile(h.deltas("workerpool.runs.buckets", 10_000), 0.5, 1000),
    done: h.rate("workerpool.completed"),
    refused: num(s, "workerpool.refused"),
  };
}

export function mount({ track }) {
  const t = track(["queued", "running"]);
  const plot = new Plot($("plot-workerpool"), [
    { name: "queued", color: "--wait", fill: true },
    { name: "running", color: "--ok", style: "dashed" },
  ], { format: count, least: 4 });
  return (s, h) => {
    const v = view(s, h);
    t.push(s.t, v);
    plot.draw(t);
    plot.describe(`Over the last minute: now ${count(v.queued)} tasks queued, ${count(v.running)} running.`);
    cells($("workerpool-slots"), v.slots, 24);
    const busy = v.queued > 0;
    badge($("workerpool-badge"), !v.known ? "–" : busy ? "queueing" : "keeps up", !v.known ? "none" : busy ? "warn" : "ok");
    text($("workerpool-queued"), count(v.queued));
    text($("workerpool-running"), count(v.known ? v.running : null));
    text($("workerpool-wait"), v.wait === null ? "–" : "≤ " + ns(v.wait));
    text($("workerpool-run"), v.run === null ? "–" : "≤ " + ns(v.run));
    text($("workerpool-done"), rate(v.done));
  };
}
