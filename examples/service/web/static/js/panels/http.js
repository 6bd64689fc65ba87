// All requests: how many, how they ended, how long they took.
import { num, rate, ms, count, percent } from "../format.js";
import { share } from "../series.js";
import { $, text } from "../dom.js";
import { Plot, decade } from "../plot.js";

export function view(s, h) {
  const ok = h.rate("http.ok");
  const client = h.rate("http.client_errors");
  const refused = h.rate("http.refused");
  const failed = h.rate("http.failed");
  const asked = h.delta("http.requests", 10_000);
  const parts = [ok, client, refused, failed].filter((v) => v !== null);
  return {
    ok, client, refused, failed,
    all: parts.length ? parts.reduce((a, b) => a + b, 0) : null,
    p50: num(s, "http.p50"),
    p99: num(s, "http.p99"),
    inflight: num(s, "http.inflight"),
    requests: num(s, "http.requests"),
    share: share(h.delta("http.refused", 10_000), asked),
  };
}

export function mount({ track }) {
  const t = track(["ok", "client", "refused", "failed", "p50", "p99"]);
  const rates = new Plot($("plot-http"), [
    { name: "ok", color: "--ok", stack: true },
    { name: "client", color: "--calm", stack: true },
    { name: "refused", color: "--warn", stack: true },
    { name: "failed", color: "--bad", stack: true },
  ], { format: (v) => rate(v) + " / s", least: 20 });
  const times = new Plot($("plot-latency"), [
    { name: "p99", color: "--wait", fill: true },
    { name: "p50", color: "--ink-2", style: "dashed" },
  ], { format: ms, least: 100, nice: decade, low: 0.1 });
  return (s, h) => {
    const v = view(s, h);
    t.push(s.t, v);
    rates.draw(t);
    times.draw(t);
    text($("http-rps"), rate(v.all));
    text($("http-ok"), rate(v.ok));
    text($("http-client"), rate(v.client));
    text($("http-refused"), rate(v.refused));
    text($("http-failed"), rate(v.failed));
    text($("http-p50"), ms(v.p50));
    text($("http-p99"), ms(v.p99));
    text($("http-inflight"), count(v.inflight));
    text($("http-share"), percent(v.share));
    text($("http-total"), count(v.requests));
    rates.describe(`Requests a second over the last minute: now ${rate(v.ok)} answered well, ${rate(v.refused)} refused, ${rate(v.failed)} failed.`);
    times.describe(`Time to answer over the last minute: now half within ${ms(v.p50)}, 99 of 100 within ${ms(v.p99)}.`);
  };
}
