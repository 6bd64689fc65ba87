// The cache in front of the database.
import { num, count, percent, rate } from "../format.js";
import { share } from "../series.js";
import { $, text, meter, badge } from "../dom.js";
import { Plot } from "../plot.js";

export function view(s, h) {
  const hits = h.delta("cache.hits", 3000);
  const misses = h.delta("cache.misses", 3000);
  const asked = hits === null || misses === null ? null : hits + misses;
  return {
    ratio: share(hits, asked),
    len: num(s, "cache.len"),
    capacity: num(s, "cache.capacity"),
    filled: share(num(s, "cache.len"), num(s, "cache.capacity")),
    loading: h.rate("cache.loads"),
    hitting: h.rate("cache.hits"),
    evicted: num(s, "cache.evicted"),
    stale: num(s, "cache.stale_served"),
    errors: num(s, "cache.load_errors"),
    erring: h.delta("cache.load_errors", 3000),
  };
}

export function mount({ track }) {
  const t = track(["ratio"]);
  const plot = new Plot($("plot-cache"), [{ name: "ratio", color: "--ok", fill: true }], { format: percent, top: 1 });
  return (s, h) => {
    const v = view(s, h);
    t.push(s.t, v);
    plot.draw(t);
    plot.describe(`Share of look-ups that the cache answered over the last minute: now ${percent(v.ratio)}.`);
    badge($("cache-badge"), v.erring > 0 ? "loads fail" : v.ratio === null ? "no look-ups" : percent(v.ratio) + " hits", v.erring > 0 ? "warn" : v.ratio === null ? "none" : "ok");
    text($("cache-ratio"), percent(v.ratio));
    text($("cache-hits"), rate(v.hitting));
    text($("cache-loads"), rate(v.loading));
    text($("cache-evicted"), count(v.evicted));
    text($("cache-errors"), count(v.errors));
    meter($("cache-size"), v.filled, `${count(v.len)} of ${count(v.capacity)} places are taken`, "ok");
    text($("cache-size-words"), `${count(v.len)} / ${count(v.capacity)}`);
  };
}
