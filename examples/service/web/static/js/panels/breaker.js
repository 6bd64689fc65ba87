// The breaker: its state, the last minute of it, and what decides what comes next.
import { num, str, count, ns, rate } from "../format.js";
import { share } from "../series.js";
import { $, text, attr, badge, meter, changed, say } from "../dom.js";
import { Timeline } from "../plot.js";

const STATES = ["closed", "open", "half-open"];
const LEVELS = { closed: "ok", open: "bad", "half-open": "warn" };

// stateOf accepts the three states alone.
export function stateOf(name) {
  return STATES.includes(name) ? name : "";
}

// announced reads the state that an audit event tells of: "titles is open for …".
export function announced(words) {
  const found = /\b(half-open|open|closed)\b/.exec(String(words ?? ""));
  return found ? found[1] : "";
}

export function view(s, h) {
  const state = stateOf(str(s, "breaker.state") || str(s, "breaker.stats.state"));
  const trips = num(s, "breaker.threshold");
  const inRow = num(s, "breaker.stats.consecutive_failures");
  const left = num(s, "breaker.stats.retry_after_ns", 0);
  const whole = num(s, "breaker.stats.open_for_ns", 0);
  const v = {
    state, trips,
    refused: num(s, "breaker.stats.refused"),
    refusing: h.rate("breaker.stats.refused"),
    opened: num(s, "breaker.stats.opened"),
    failed: num(s, "breaker.stats.failures"),
  };
  if (state === "open") {
    v.label = "Next probe in";
    v.value = ns(left);
    v.part = share(left, whole);
  } else if (state === "half-open") {
    const probes = num(s, "breaker.stats.probes", 0);
    const good = num(s, "breaker.stats.probe_successes", 0);
    v.label = "Probing";
    v.value = `${count(good)} good, ${count(probes)} under way`;
    v.part = share(good, good + Math.max(1, probes));
  } else {
    v.label = "Failures in a row";
    v.value = trips === null ? count(inRow) : `${count(inRow)} of ${count(trips)}`;
    v.part = share(inRow, trips) ?? 0;
  }
  return v;
}

export function mount({ strip }) {
  const line = new Timeline($("strip-breaker"), {
    closed: { color: "--ok", pattern: "full" },
    open: { color: "--bad", pattern: "hatch" },
    "half-open": { color: "--warn", pattern: "dots" },
  });
  const news = changed();
  return (s, h) => {
    const v = view(s, h);
    strip.put(s.t, v.state);
    line.draw(strip, s.t);
    badge($("breaker-state"), v.state || "–", LEVELS[v.state] ?? "none");
    for (const name of STATES) attr($("node-" + name), "data-on", v.state === name ? LEVELS[name] : null);
    text($("breaker-label"), v.label);
    text($("breaker-value"), v.value);
    meter($("breaker-meter"), v.part, `${v.label}: ${v.value}`, v.state === "closed" && v.part > 0 ? "warn" : LEVELS[v.state]);
    text($("breaker-threshold"), count(v.trips));
    text($("breaker-refused"), rate(v.refusing));
    text($("breaker-failures"), count(v.failed));
    text($("breaker-opened"), count(v.opened));
    line.describe(`The breaker over the last minute; now it is ${v.state || "unknown"}, opened ${count(v.opened)} times.`);
    if (v.state && news(v.state)) say(`The breaker is ${v.state}.`);
  };
}
