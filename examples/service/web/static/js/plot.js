// Plots of the last minute on a canvas: lines, areas and stacks, sharp on any
// screen, in the colours of the style sheet. The scale moves in steps, so that
// nothing trembles.

import { WINDOW } from "./series.js";

const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

// nice returns the smallest of STEPS × 10ⁿ that is at least v, and `least` if
// that is more.
export function nice(v, least = 1) {
  if (!(v > least)) return least;
  const p = 10 ** Math.floor(Math.log10(v));
  for (const m of STEPS) if (m * p >= v * (1 - 1e-9)) return m * p;
  return 10 * p;
}

// niceBytes is nice for powers of two: 1, 2, 4 … of any unit.
export function niceBytes(v, least = 1 << 20) {
  if (!(v > least)) return least;
  return 2 ** Math.ceil(Math.log2(v) - 1e-9);
}

// decade returns the smallest of 10ⁿ that is at least v, and `least` if that is
// more.
export function decade(v, least = 1) {
  return v > least ? 10 ** Math.ceil(Math.log10(v) - 1e-9) : least;
}

// height returns where v is between the bottom (0) and the top (1) of an axis:
// one that starts at nothing or, given `low`, a logarithmic one that starts
// there. What is outside is at the edge.
export function height(v, top, low = 0) {
  const part = low > 0 ? Math.log(Math.max(v, low) / low) / Math.log(top / low) : v / top;
  return Math.max(0, Math.min(1, part));
}

// runs cuts a list of values into stretches to be drawn without a break: from
// index to index, both inside. Values that are missing and gaps in time break.
export function runs(t, values, gap = 2500) {
  const out = [];
  let from = -1;
  for (let i = 0; i <= values.length; i++) {
    const ends = i === values.length || values[i] === null || (from >= 0 && t[i] - t[i - 1] > gap);
    if (ends && from >= 0) {
      out.push([from, i - 1]);
      from = -1;
    }
    if (i < values.length && values[i] !== null && from < 0) from = i;
  }
  return out;
}

// stack adds up: for each name the lower and the upper edge. Missing values
// count as nothing, unless all are missing.
export function stack(names, values) {
  const n = names.length ? values[names[0]].length : 0;
  const edges = {};
  let base = new Array(n).fill(0);
  const known = Array.from({ length: n }, (_, i) => names.some((name) => values[name][i] !== null));
  for (const name of names) {
    const top = base.map((b, i) => (known[i] ? b + (values[name][i] ?? 0) : null));
    edges[name] = { low: base.map((b, i) => (known[i] ? b : null)), high: top };
    base = top.map((v) => v ?? 0);
  }
  return edges;
}

// theme reads the colours of the page once for each scheme.
const cache = new Map();
export function color(name) {
  let v = cache.get(name);
  if (v === undefined) {
    v = getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#888";
    cache.set(name, v);
  }
  return v;
}
for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)", "(forced-colors: active)"]) {
  matchMedia(query).addEventListener("change", () => {
    cache.clear();
    for (const p of all) p.redraw();
  });
}

const all = new Set();

// fit makes the canvas as many pixels as it covers, and returns its context in
// units of CSS pixels, with its width and height.
function fit(canvas) {
  const w = canvas.clientWidth;
  const h = canvas.clientHeight;
  const scale = globalThis.devicePixelRatio || 1;
  const pw = Math.round(w * scale);
  const ph = Math.round(h * scale);
  if (canvas.width !== pw || canvas.height !== ph) {
    canvas.width = pw;
    canvas.height = ph;
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(scale, 0, 0, scale, 0, 0);
  ctx.clearRect(0, 0, w, h);
  return { ctx, w, h };
}

class Drawing {
  constructor(canvas) {
    this.canvas = canvas;
    this.args = null;
    this.described = 0;
    all.add(this);
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  draw(...args) {
    this.args = args;
    this.redraw();
  }

  redraw() {
    if (!this.args || this.canvas.clientWidth === 0) return;
    this.paint(...this.args);
  }

  // describe says in words what is seen, at most every five seconds: a reader
  // of the screen shall not be talked over.
  describe(text) {
    const now = performance.now();
    if (this.described && now - this.described < 5000) return;
    this.described = now;
    this.canvas.setAttribute("aria-label", text);
  }
}

const FONT = "11px ui-sans-serif, Inter, system-ui, sans-serif";
const DASHES = { solid: [], dashed: [5, 4], dotted: [1.5, 3] };

// Plot draws the lines it is given:
//   {name, color: "--ok", style: "solid|dashed|dotted", fill: bool, stack: bool}
// options: format (of the axis), least (of the top), top (fixed), nice, and low,
// which makes the axis logarithmic from there.
export class Plot extends Drawing {
  constructor(canvas, lines, options = {}) {
    super(canvas);
    this.lines = lines;
    this.options = { format: String, least: 1, nice, ...options };
  }

  // top is the upper end of the axis for what is shown.
  top(track, edges) {
    const o = this.options;
    if (o.top) return o.top;
    let max = 0;
    for (const l of this.lines) {
      const values = l.stack ? edges[l.name].high : track.values[l.name];
      for (const v of values) if (v !== null && v > max) max = v;
    }
    return o.nice(max, o.least);
  }

  paint(track) {
    const { ctx, w, h } = fit(this.canvas);
    const now = track.t.length ? track.t[track.t.length - 1] : 0;
    const box = { left: 0, right: w, top: 14, bottom: h - 16 };
    const stacked = this.lines.filter((l) => l.stack).map((l) => l.name);
    const edges = stack(stacked, track.values);
    const top = this.top(track, edges);
    const x = (t) => box.right - ((now - t) / WINDOW) * (box.right - box.left);
    const y = (v) => box.bottom - height(v, top, this.options.low) * (box.bottom - box.top);

    this.grid(ctx, box, y, this.marks(top));
    ctx.save();
    ctx.beginPath();
    ctx.rect(box.left, 0, box.right - box.left, h - 14);
    ctx.clip();
    for (const l of this.lines) {
      const high = l.stack ? edges[l.name].high : track.values[l.name];
      const low = l.stack ? edges[l.name].low : null;
      this.line(ctx, l, track.t, high, low, x, y, box);
    }
    ctx.restore();
    this.axis(ctx, box, y, this.marks(top), h);
  }

  // marks are the values with a line of the grid, the top last.
  marks(top) {
    if (!this.options.low) return [0, top / 2, top];
    const out = [];
    for (let v = this.options.low; v < top * 1.001; v *= 10) out.push(v);
    return out;
  }

  grid(ctx, box, y, marks) {
    ctx.lineWidth = 1;
    ctx.strokeStyle = color("--grid");
    ctx.beginPath();
    for (const v of marks) {
      const line = Math.round(y(v)) + 0.5;
      ctx.moveTo(box.left, line);
      ctx.lineTo(box.right, line);
    }
    for (const ago of [15, 30, 45]) {
      const x = Math.round(box.right - (ago / 60) * (box.right - box.left)) + 0.5;
      ctx.moveTo(x, box.bottom);
      ctx.lineTo(x, box.bottom - 4);
    }
    ctx.stroke();
  }

  line(ctx, l, t, high, low, x, y, box) {
    const c = color(l.color);
    for (const [from, to] of runs(t, high)) {
      if (l.fill || l.stack) {
        ctx.beginPath();
        for (let i = from; i <= to; i++) ctx.lineTo(x(t[i]), y(high[i]));
        for (let i = to; i >= from; i--) ctx.lineTo(x(t[i]), low ? y(low[i]) : box.bottom);
        ctx.closePath();
        ctx.globalAlpha = l.stack ? 0.38 : 0.14;
        ctx.fillStyle = c;
        ctx.fill();
        ctx.globalAlpha = 1;
      }
      // The edge of a part that is empty would cover that of the part below.
      const visible = (i) => !low || high[i] > low[i];
      ctx.beginPath();
      let pen = false;
      for (let i = from; i <= to; i++) {
        const on = visible(i) || (i > from && visible(i - 1)) || (i < to && visible(i + 1));
        if (!on) pen = false;
        else if (pen) ctx.lineTo(x(t[i]), y(high[i]));
        else {
          ctx.moveTo(x(t[i]), y(high[i]));
          pen = true;
        }
      }
      ctx.strokeStyle = c;
      ctx.lineWidth = l.stack ? 1.25 : 1.75;
      ctx.lineJoin = "round";
      ctx.lineCap = "round";
      ctx.setLineDash(DASHES[l.style ?? "solid"]);
      ctx.stroke();
      ctx.setLineDash([]);
    }
  }

  axis(ctx, box, y, marks, h) {
    ctx.font = FONT;
    ctx.fillStyle = color("--faint");
    ctx.textBaseline = "alphabetic";
    ctx.textAlign = "left";
    // A linear axis needs its top alone; of a logarithmic one each line is named.
    for (const v of this.options.low ? marks.slice(1) : marks.slice(-1)) ctx.fillText(this.options.format(v), box.left, y(v) - 4);
    ctx.fillText("60 s ago", box.left, h - 3);
    ctx.textAlign = "center";
    ctx.fillText("30 s", (box.left + box.right) / 2, h - 3);
    ctx.textAlign = "right";
    ctx.fillText("now", box.right, h - 3);
  }
}

// Timeline draws a Strip: full blocks for what is well, hatched ones for what is
// not, dotted ones for what is between.
export class Timeline extends Drawing {
  // looks: state → {color: "--ok", pattern: "full|hatch|dots"}
  constructor(canvas, looks) {
    super(canvas);
    this.looks = looks;
  }

  paint(strip, now) {
    const { ctx, w, h } = fit(this.canvas);
    const bottom = h - 16;
    ctx.fillStyle = color("--well");
    ctx.fillRect(0, 0, w, bottom);
    const x = (t) => w - ((now - t) / WINDOW) * w;
    for (const p of strip.within(now)) {
      const look = this.looks[p.state];
      if (!look) continue;
      // What lasted a blink is still three pixels wide, or nobody sees it.
      const from = x(p.from);
      const to = Math.max(x(p.to), from + 3);
      ctx.save();
      ctx.beginPath();
      ctx.rect(from, 0, to - from, bottom);
      ctx.clip();
      ctx.fillStyle = color(look.color);
      ctx.strokeStyle = color(look.color);
      this.fill(ctx, look.pattern, from, to, bottom);
      ctx.restore();
    }
    ctx.font = FONT;
    ctx.fillStyle = color("--faint");
    ctx.textAlign = "left";
    ctx.fillText("60 s ago", 0, h - 3);
    ctx.textAlign = "right";
    ctx.fillText("now", w, h - 3);
  }

  fill(ctx, pattern, from, to, bottom) {
    if (pattern === "full") {
      ctx.globalAlpha = 0.55;
      ctx.fillRect(from, bottom - 6, to - from, 6);
      return;
    }
    if (pattern === "hatch") {
      ctx.globalAlpha = 0.3;
      ctx.fillRect(from, 0, to - from, bottom);
      ctx.globalAlpha = 1;
      ctx.lineWidth = 2;
      ctx.beginPath();
      // The lines are fixed to the canvas' grid, not to the block.
      for (let x = Math.floor(from / 8) * 8 - bottom; x < to; x += 8) {
        ctx.moveTo(x, bottom);
        ctx.lineTo(x + bottom, 0);
      }
      ctx.stroke();
      return;
    }
    const mid = bottom / 2;
    ctx.globalAlpha = 1;
    ctx.fillRect(from, mid, to - from, bottom - mid);
  }
}
