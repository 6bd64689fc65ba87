// The last minute, kept as states arrive, and what follows from it: rates of
// counters, shares, quantiles of histograms. Pure: no clock and no page.

import { finite, num, list } from "./format.js";

export const WINDOW = 60_000; // milliseconds that plots show

// History keeps the states of the last minute. A counter that starts again (the
// service was restarted, or another worker answers) starts a new history for
// counters, while what was drawn stays drawn.
export class History {
  constructor(window = WINDOW) {
    this.window = window;
    this.states = []; // of one process, the oldest first, each with a finite t
    this.epoch = 0; // how many processes were seen before this one
  }

  get last() {
    return this.states[this.states.length - 1];
  }

  // push takes a state whose t is finite. It returns false for one that is not
  // newer than the last one, which is then left out.
  push(state) {
    const last = this.last;
    if (last && restarted(last, state)) {
      this.states = [];
      this.epoch++;
    } else if (last && state.t <= last.t) {
      return false;
    }
    this.states.push(state);
    const horizon = state.t - this.window - 1000;
    let drop = 0;
    while (drop < this.states.length - 2 && this.states[drop].t < horizon) drop++;
    if (drop > 0) this.states.splice(0, drop);
    return true;
  }

  // before returns the youngest state that is at least `age` old, or the oldest
  // there is; undefined as long as there is only one.
  before(age) {
    const n = this.states.length;
    if (n < 2) return undefined;
    const t = this.last.t - age;
    for (let i = n - 2; i > 0; i--) if (this.states[i].t <= t) return this.states[i];
    return this.states[0];
  }

  // delta is by how much a counter grew in the last `age` milliseconds; null
  // where that can't be said.
  delta(path, age = this.window) {
    const old = this.before(age);
    if (!old) return null;
    const a = num(old, path);
    const b = num(this.last, path);
    return a === null || b === null ? null : Math.max(0, b - a);
  }

  // rate is delta a second.
  rate(path, age = 1000) {
    const old = this.before(age);
    const d = this.delta(path, age);
    if (d === null || !old || this.last.t <= old.t) return null;
    return (d * 1000) / (this.last.t - old.t);
  }

  // deltas is delta for each number of an array of counters; empty where that
  // can't be said.
  deltas(path, age = this.window) {
    const old = this.before(age);
    if (!old) return [];
    const now = list(this.last, path);
    const then = list(old, path);
    return now.map((v, i) => (finite(v) ? Math.max(0, v - (finite(then[i]) ? then[i] : 0)) : 0));
  }
}

// restarted says whether the counters of b can't follow those of a.
export function restarted(a, b) {
  const pid = num(a, "pid") !== null && num(b, "pid") !== null && a.pid !== b.pid;
  const clock = b.t < a.t - 2000;
  const up = num(a, "uptime");
  const upNow = num(b, "uptime");
  return pid || clock || (up !== null && upNow !== null && upNow < up - 1);
}

// share is part of the whole, null if there is no whole.
export function share(part, whole) {
  return finite(part) && finite(whole) && whole > 0 ? part / whole : null;
}

// quantile returns the upper bound of the bucket that holds the q-quantile, in
// the unit of `first`, the bound of bucket 0; each bound is twice the one
// before. null if nothing was counted.
export function quantile(buckets, q, first) {
  let total = 0;
  for (const n of buckets) total += finite(n) ? n : 0;
  if (total <= 0) return null;
  const rank = Math.max(1, Math.ceil(q * total));
  let seen = 0;
  for (let i = 0; i < buckets.length; i++) {
    seen += finite(buckets[i]) ? buckets[i] : 0;
    if (seen >= rank) return first * 2 ** i;
  }
  return null;
}

// Track is one plot's data: moments and a value for each of its names, null
// where there is none.
export class Track {
  constructor(names, window = WINDOW) {
    this.names = names;
    this.window = window;
    this.t = [];
    this.values = Object.fromEntries(names.map((n) => [n, []]));
  }

  push(t, values) {
    const last = this.t[this.t.length - 1];
    if (last !== undefined && t < last - 2000) this.clear(); // the clock went back
    this.t.push(t);
    for (const n of this.names) this.values[n].push(finite(values[n]) ? values[n] : null);
    let drop = 0;
    while (drop < this.t.length && this.t[drop] < t - this.window - 1000) drop++;
    if (drop > 0) {
      this.t.splice(0, drop);
      for (const n of this.names) this.values[n].splice(0, drop);
    }
  }

  clear() {
    this.t.length = 0;
    for (const n of this.names) this.values[n].length = 0;
  }

  latest(name) {
    const v = this.values[name];
    return v.length ? v[v.length - 1] : null;
  }
}

// Strip is a timeline of states: since when each one holds, the oldest first.
export class Strip {
  constructor(window = WINDOW) {
    this.window = window;
    this.parts = []; // {t, state}; each lasts until the next one
    this.known = -Infinity; // the moment of the latest report
  }

  // put says that `state` holds at t. A report of what was before the latest one
  // is left out.
  put(t, state) {
    if (!finite(t) || !state) return;
    if (t < this.known - this.window) this.parts = []; // the clock went back
    else if (t < this.known) return;
    this.known = t;
    const last = this.parts[this.parts.length - 1];
    if (last && last.state === state) return;
    this.parts.push({ t, state });
    while (this.parts.length > 1 && this.parts[1].t < t - this.window) this.parts.shift();
  }

  // within returns [{from, to, state}] of the window that ends at `now`.
  within(now) {
    const start = now - this.window;
    return this.parts
      .map((p, i) => ({
        from: Math.max(start, p.t),
        to: Math.min(now, i + 1 < this.parts.length ? this.parts[i + 1].t : now),
        state: p.state,
      }))
      .filter((p) => p.to > p.from);
  }
}
