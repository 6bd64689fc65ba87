// What can be broken, what to watch then, and what is to be seen of it now.
import { get, str, count, rate, percent } from "./format.js";
import { view as breaker } from "./panels/breaker.js";
import { view as bulkhead } from "./panels/bulkhead.js";
import { view as pool } from "./panels/pool.js";
import { view as memory } from "./panels/memory.js";
import { view as cluster } from "./panels/cluster.js";
import { view as limits } from "./panels/ratelimit.js";
import { view as cache } from "./panels/cache.js";

// Each fault: its id, what the switch says, what to watch, the cards that show
// it, and effect(state, history), a line that says what it does just now.
export const FAULTS = [
  {
    id: "fail",
    title: "Upstream fails",
    say: "Retries spend their budget, then the breaker opens and refuses at once.",
    cards: ["retry", "breaker"],
    effect(s, h) {
      const b = breaker(s, h);
      return b.state === "open" ? `Breaker open; next probe in ${b.value}` : b.state === "half-open" ? "Breaker half-open, probing" : `Breaker closed; failures in a row: ${b.value}`;
    },
  },
  {
    id: "hang",
    title: "Upstream hangs",
    say: "The bulkhead fills and refuses, then the breaker opens. All else stays fast.",
    cards: ["bulkhead", "breaker"],
    effect(s, h) {
      const b = bulkhead(s, h);
      return `${count(b.use)} of ${count(b.limit)} slots, ${count(b.wait)} wait; breaker ${breaker(s, h).state}`;
    },
  },
  {
    id: "flood",
    title: "One user floods",
    say: "One account hammers on. It, and it alone, runs into its limit.",
    cards: ["ratelimit"],
    effect: (s, h) => `${rate(limits(s, h).refusing)} refused a second`,
  },
  {
    id: "database",
    title: "Stop the database",
    say: "The pool empties and its dials fail. The cache keeps redirecting.",
    cards: ["pool", "cache"],
    effect(s, h) {
      const p = pool(s, h);
      return `${count(p.use + p.idle)} connected; the cache answers ${percent(cache(s, h).ratio)}`;
    },
  },
  {
    id: "leak",
    title: "Leak memory",
    say: "The heap climbs until memwatch names the guilty line.",
    cards: ["memory"],
    effect(s) {
      const m = memory(s);
      return m.sites.length && m.guilty ? `${m.word}: ${m.sites[0].site}` : `Verdict: ${m.word}`;
    },
  },
  {
    id: "kill",
    title: "Kill a worker",
    once: true,
    say: "SIGKILL. Another takes its place while the rest answer.",
    cards: ["workers"],
    effect(s) {
      const c = cluster(s);
      return `${count(c.ready)} of ${count(c.rows.length)} ready, ${count(c.restarts)} restarts`;
    },
  },
];

// sentence makes one of words that an error is made of.
const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1) + (words.endsWith(".") ? "" : ".");

// possible says whether a fault can be had, and if not, why.
export function possible(s, id) {
  if (get(s, "can." + id) !== false) return { can: true, why: "" };
  const why = str(s, "why." + id);
  return { can: false, why: sentence(why || (id === "kill" ? "One process only: start the service with -workers 2 or more." : "Not to be had in this mode.")) };
}

// isOn says whether the service has a fault switched on; null if it did not say.
export function isOn(s, id) {
  const v = get(s, "faults." + id);
  return typeof v === "boolean" ? v : null;
}

// Wish is what a switch shows: at once what was asked for, and after `patience`
// milliseconds, or as soon as the service says so too, what is.
export class Wish {
  constructor(patience = 1500) {
    this.patience = patience;
    this.value = null;
    this.until = 0;
  }

  ask(value, now) {
    this.value = value;
    this.until = now + this.patience;
  }

  drop() {
    this.value = null;
  }

  shown(actual, now) {
    if (this.value !== null && (actual === this.value || now >= this.until)) this.value = null;
    return this.value ?? actual ?? false;
  }
}
