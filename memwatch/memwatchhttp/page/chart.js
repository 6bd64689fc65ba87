// A small plot: lines over time, in SVG. All charts share one cursor.
const NS = 'http://www.w3.org/2000/svg'
const LEFT = 62, RIGHT = 8, TOP = 8, BOTTOM = 22
const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800].map(s => s * 1000)
const charts = []
let cursor = null // the time all charts point at; null for now

const el = (name, attrs, parent) => {
  const e = document.createElementNS(NS, name)
  for (const k in attrs) e.setAttribute(k, attrs[k])
  parent?.append(e)
  return e
}
const two = n => String(n).padStart(2, '0')
export const clock = (ms, seconds = true) => {
  const d = new Date(ms)
  return two(d.getHours()) + ':' + two(d.getMinutes()) + (seconds ? ':' + two(d.getSeconds()) : '')
}

// top is the end of the axis, step the distance of its lines: three to five.
function axis(max, binary) {
  if (!(max > 0)) return { top: 1, step: 1 }
  let step = binary ? 2 ** Math.floor(Math.log2(max / 4)) : 10 ** Math.floor(Math.log10(max / 4))
  for (const f of binary ? [1, 2] : [1, 2, 5, 10]) {
    if (max / (step * f) <= 5) { step *= f; break }
  }
  return { top: Math.ceil(max / step) * step, step }
}

export class Chart {
  // series: {key, name, area, bars, optional}; values are read from points.
  constructor(box, { label, series, format, binary, least = 0 }) {
    Object.assign(this, { box, series, format, binary, least, points: [], ceiling: 0 })
    this.keys = document.createElement('div')
    this.keys.className = 'key'
    for (const s of series) {
      const span = document.createElement('span'), line = document.createElement('i')
      line.className = s.key
      s.out = document.createElement('b')
      span.append(...(s.name ? [line, s.name] : []), s.out)
      s.shown = span
      this.keys.append(span)
    }
    this.when = document.createElement('span')
    this.keys.append(this.when)
    this.svg = el('svg', { role: 'img', tabindex: 0, 'aria-label': label })
    this.label = label
    this.grid = el('g', {}, this.svg)
    for (const s of series) {
      if (s.area) s.under = el('path', { class: s.key + ' area' }, this.svg)
      s.path = el('path', { class: s.key }, this.svg)
    }
    this.over = el('g', {}, this.svg)
    box.append(this.keys, this.svg)
    this.svg.addEventListener('pointermove', e => this.point(e.clientX - this.svg.getBoundingClientRect().left))
    this.svg.addEventListener('pointerleave', () => move(null))
    this.svg.addEventListener('blur', () => move(null))
    this.svg.addEventListener('keydown', e => this.key(e))
    new ResizeObserver(() => this.draw()).observe(this.svg)
    charts.push(this)
  }

  show(points, from, to) {
    Object.assign(this, { points, from, to })
    this.draw()
  }

  x(t) { return LEFT + (t - this.from) / (this.to - this.from) * (this.width - LEFT - RIGHT) }
  y(v) { return TOP + (1 - Math.min(v / this.top, 1.02)) * (this.height - TOP - BOTTOM) }

  visible() {
    return this.points.slice(Math.max(0, this.points.findIndex(p => p.time_ms >= this.from) - 1))
  }

  draw() {
    const { width, height } = this.svg.getBoundingClientRect()
    if (!width || !this.to) return
    Object.assign(this, { width, height })
    const seen = this.visible()
    let max = this.least
    for (const s of this.series) if (!s.optional) for (const p of seen) max = Math.max(max, p[s.key] || 0)
    for (const s of this.series) if (s.optional) for (const p of seen) if (p[s.key] <= 3 * max) max = Math.max(max, p[s.key])
    // The axis grows at once and shrinks late, so that it does not jump about.
    if (max > this.ceiling || max < this.ceiling * .6) this.ceiling = max * 1.05
    const { top, step } = axis(this.ceiling, this.binary)
    this.top = top
    this.axes(step)
    for (const s of this.series) {
      const off = s.optional && !seen.some(p => p[s.key] > 0 && p[s.key] <= top)
      s.path.setAttribute('d', off ? '' : s.bars ? this.bars(seen, s.key) : this.line(seen, s.key))
      s.under?.setAttribute('d', this.line(seen, s.key, true))
    }
    this.readout()
  }

  stem(name, t, group) {
    const x = Math.round(this.x(t)) + .5
    el('line', { class: name, x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM }, group)
  }

  axes(step) {
    this.grid.replaceChildren()
    for (let v = 0; v <= this.top * 1.001; v += step) {
      const y = Math.round(this.y(v)) + .5
      el('line', { class: v ? 'grid' : 'base', x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y }, this.grid)
      el('text', { x: LEFT - 8, y: y + 4, 'text-anchor': 'end' }, this.grid).textContent = this.format(v, true)
    }
    const span = this.to - this.from
    const every = STEPS.find(s => s / span * (this.width - LEFT - RIGHT) >= 76) || span
    const zone = new Date(this.to).getTimezoneOffset() * 60000
    for (let t = Math.ceil((this.from - zone) / every) * every + zone; t <= this.to; t += every) {
      const x = this.x(t)
      if (x > this.width - 26) break
      this.stem('grid', t, this.grid)
      if (x > LEFT + 14) el('text', { x, y: this.height - 6, 'text-anchor': 'middle' }, this.grid).textContent = clock(t, every < 60000)
    }
    for (const p of this.points) if (p.restart && p.time_ms > this.from) this.stem('cut', p.time_ms, this.grid)
  }

  at(p, v) { return this.x(p.time_ms).toFixed(1) + ',' + this.y(v).toFixed(1) }

  // A line is broken where points are missing: a gap of three times its neighbours.
  line(points, key, area) {
    const gap = i => points[i]?.time_ms - points[i - 1]?.time_ms || 0
    let d = ''
    points.forEach((p, i) => {
      const before = points[i - 1]
      const cut = !before || p.restart || gap(i) > 3 * Math.max(gap(i - 1), gap(i + 1), 3000)
      if (area && cut && before) d += 'L' + this.at(before, 0) + 'Z'
      d += (!cut ? 'L' : area ? 'M' + this.at(p, 0) + 'L' : 'M') + this.at(p, p[key] || 0)
    })
    return area && d ? d + 'L' + this.at(points.at(-1), 0) + 'Z' : d
  }

  bars(points, key) {
    return points.filter(p => p[key] > 0).map(p => 'M' + this.at(p, 0) + 'L' + this.at(p, p[key])).join('')
  }

  nearest(t) {
    const far = p => Math.abs(p.time_ms - t)
    return this.points.reduce((a, b) => far(b) < far(a) ? b : a)
  }

  readout() {
    const p = cursor === null ? this.points.at(-1) : this.nearest(cursor)
    this.over.replaceChildren()
    if (!p) return
    for (const s of this.series) {
      s.shown.hidden = s.optional && !p[s.key]
      s.out.textContent = this.format(p[s.key] || 0)
    }
    this.when.textContent = cursor === null ? '' : 'at ' + clock(p.time_ms)
    if (cursor === null || p.time_ms < this.from) return
    this.stem('hair', p.time_ms, this.over)
  }

  point(x) { if (this.to) move(this.from + (x - LEFT) / (this.width - LEFT - RIGHT) * (this.to - this.from)) }

  key(e) {
    const seen = this.visible()
    if (!seen.length) return
    const at = cursor === null ? seen.length - 1 : seen.indexOf(this.nearest(cursor))
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - 20, PageDown: at + 20, Home: 0, End: seen.length - 1 }[e.key]
    if (e.key === 'Escape') move(null)
    if (to === undefined) return
    e.preventDefault()
    move(seen[Math.max(0, Math.min(seen.length - 1, to))].time_ms)
    this.svg.setAttribute('aria-label', this.label + ': ' + this.keys.textContent)
  }
}

function move(t) {
  cursor = t
  for (const c of charts) c.readout()
}
