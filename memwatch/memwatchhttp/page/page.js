// The page follows the stream of its handler, and shows what comes.
import { Chart, clock } from './chart.js'

const $ = id => document.getElementById(id)
const make = (name, props, ...children) => {
  const e = Object.assign(document.createElement(name), props)
  e.append(...children)
  return e
}
const set = (e, text) => { if (e.textContent !== text) e.textContent = text }

// Numbers.
const digits = v => v.toFixed(v < 10 ? 2 : v < 100 ? 1 : 0)
function size(v, tick) {
  const sign = v < 0 ? '−' : ''
  let i = 0
  for (v = Math.abs(v); v >= 1024 && i < 5; i++) v /= 1024
  return sign + (tick || !i ? String(+v.toFixed(1)) : digits(v)) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'][i]
}
const plus = (v, f) => (v >= 0 ? '+' : '') + f(v)
const count = v => Math.round(v).toLocaleString('fr').replace('-', '−')
function span(ns) {
  const s = ns / 1e9
  if (s < 1e-3) return Math.round(s * 1e6) + ' µs'
  if (s < 1) return digits(s * 1e3) + ' ms'
  if (s < 90) return Math.round(s) + ' s'
  if (s < 5400) return Math.round(s / 60) + ' min'
  if (s < 172800) return digits(s / 3600) + ' h'
  return s < 3e9 ? count(s / 86400) + ' days' : 'never'
}
const pause = (ns, tick) => !ns ? '0' : tick ? +(ns / (ns < 1e6 ? 1e3 : 1e6)).toPrecision(3) + (ns < 1e6 ? ' µs' : ' ms') : span(ns)

// Charts.
const KEPT = 1024
let points = [], limit = 0, range = 300000, arrived = 0
const shown = [
  new Chart($('heap'), { label: 'Live heap over time', format: size, binary: true, series: [
    { key: 'live', name: 'live after GC', area: true }, { key: 'heap', name: 'with garbage' },
    { key: 'goal', name: 'GC goal' }, { key: 'limit', name: 'limit', optional: true }] }),
  new Chart($('goroutines'), { label: 'Goroutines over time', format: count, least: 5, series: [{ key: 'goroutines', area: true }] }),
  new Chart($('resident'), { label: 'Resident memory over time', format: size, binary: true, series: [
    { key: 'resident', name: 'RSS', area: true }, { key: 'off_heap', name: 'not Go\'s' }] }),
  new Chart($('pauses'), { label: 'Longest pause of each second', format: pause, least: 1e5, series: [{ key: 'worst_ns', bars: true }] }),
]

function add(p) {
  const last = points.at(-1)
  if (last && p.time_ms < last.time_ms - 5000) points = [] // the clock was set back
  else if (last && p.time_ms <= last.time_ms) return
  points.push(p)
  if (points.length <= KEPT) return
  // As in the process: the older, the less dense.
  let drop = 1, least = Infinity
  for (let i = 1; i < KEPT / 2; i++) {
    const gap = (points[i + 1].time_ms - points[i - 1].time_ms) / (p.time_ms - points[i].time_ms)
    if (gap < least && !points[i].restart) [drop, least] = [i, gap]
  }
  const next = points[drop + 1]
  next.worst_ns = Math.max(next.worst_ns, points[drop].worst_ns)
  points.splice(drop, 1)
}

let due = 0
const draw = () => { due ||= requestAnimationFrame(() => {
  due = 0
  const last = points.at(-1)
  if (!last) return
  // While nothing comes the time goes on, and the gap is seen.
  const to = last.time_ms + (state === 'away' ? performance.now() - arrived : 0)
  const from = Math.max(range && to - range, Math.min(points[0].time_ms, to - 20000))
  for (const c of shown) c.show(points, from, to)
  set($('clock'), clock(last.time_ms))
}) }

$('range').addEventListener('change', e => { range = +e.target.value; draw() })

// The connection.
let state = 'wait', lost = 0, instance = '', last = '', restarted = false, version = ''

function tell(next, text) {
  state = next
  $('link').dataset.state = next
  set($('state'), text)
}

function away() {
  if (state === 'away') return
  lost = Date.now()
  tell('away', 'away since ' + clock(lost) + ', trying again')
  note('The connection was lost.')
}

function back() {
  if (state === 'live') return
  if (!lost) return tell('live', 'live')
  const gone = span((Date.now() - lost) * 1e6)
  const how = restarted ? ', the process has restarted' : ''
  tell('live', 'live, was away for ' + gone + how)
  note('Back after ' + gone + how + '.')
  lost = 0
  setTimeout(() => { if (state === 'live') tell('live', 'live') }, 60000)
}

function connect() {
  const source = new EventSource('stream' + (last ? '?after=' + encodeURIComponent(last) : ''))
  source.addEventListener('hello', e => {
    const h = JSON.parse(e.data)
    restarted = instance !== '' && instance !== h.instance
    instance = h.instance
    set($('go'), h.go)
    offer(h)
    if (version && version !== h.page) note('This page has a newer version: reload it.')
    version = h.page
    back()
  })
  source.addEventListener('report', e => report(JSON.parse(e.data)))
  source.addEventListener('sample', e => {
    const p = JSON.parse(e.data)
    p.restart = restarted
    p.limit = limit || p.limit
    restarted = false
    last = e.lastEventId
    arrived = performance.now()
    add(p)
    draw()
  })
  source.onerror = async () => {
    away()
    if (source.readyState !== EventSource.CLOSED) return // the browser comes again
    setTimeout(connect, 5000)
    const stop = new AbortController() // why was it refused?
    try {
      const r = await fetch('stream', { signal: stop.signal })
      if (!r.ok) tell('away', (await r.text()).trim())
    } catch { /* nobody is there */ }
    stop.abort()
  }
}
setInterval(() => { if (state === 'away') draw() }, 1000)

// The report.
const words = {
  insufficient: 'Too early to tell', none: 'No leak seen', watch: 'Growing', suspect: 'Suspected leak', leak: 'Leak',
}
const named = c => c === 'off-heap' ? 'memory outside of Go' : c === 'nothing' ? '' : c
const measure = (kind) => kind === 'goroutines' ? count : size
const short = fn => fn.slice(fn.lastIndexOf('/') + 1)
const file = path => path.split('/').slice(-2).join('/')
let verdict = '', level = ''

function why(r) {
  const site = r.sites?.[0], group = r.goroutines?.[0]
  const where = r.class === 'goroutines' ? group : site
  const first = where && /suspect|leak/.test(r.verdict)
  const rest = (r.reasons || []).filter(x => !/are needed/.test(x)).join('; ')
  if (r.verdict === 'insufficient') {
    return [r.missing + ' more collections are needed to judge the heap. ' + rest]
  }
  if (first) return [make('b', {}, short(where.func)), ' at ' + file(where.file) + ':' + where.line + (rest && '; ' + rest)]
  const t = trend(r)
  if (t?.why) return [named(r.class) + ' became more, but ' + t.why + (rest && '; ' + rest)]
  return [r.verdict === 'none' ? 'No growth that cannot be chance. ' + rest : rest]
}

const trend = r => r.trends.find(t => t.class === r.class)

const kinds = { gomemlimit: 'GOMEMLIMIT: ', config: 'Config.Limit: ', cgroup: 'control group: ', system: 'machine: ' }

const fact = (name, value, small) => make('div', {}, make('dt', {}, name), make('dd', {}, value, make('small', {}, small)))

function facts(r) {
  const t = trend(r), out = []
  if (t) {
    const f = measure(t.class), hour = 3.6e12 / t.window_ns
    out.push(fact('Confidence', t.p < 1e-6 ? '> 99.9999 %' : (100 - 100 * t.p).toFixed(t.p < 1e-3 ? 4 : 2) + ' %', 'p = ' + t.p.toPrecision(2)))
    out.push(fact('Grows by', plus(t.growth * hour, f) + '/h', f(t.growth_lo * hour) + ' to ' + f(t.growth_hi * hour)))
  }
  const x = r.exhaustion
  if (x?.latest_ns > 0) out.push(fact('Limit reached in', span(x.expected_ns), span(x.earliest_ns) + ' to ' + span(x.latest_ns)))
  const m = r.pressure, b = m.bound
  const room = m.kind === 'stall' ? 'tasks wait ' + Math.round(m.stall.some * 100) + ' % of the time' : kinds[b.kind] + size(b.used) + ' of ' + size(b.limit)
  if (m.kind !== 'unbounded') out.push(fact('Pressure', make('span', { className: m.level }, m.level), room))
  else if (r.limit) out.push(fact('Held of the limit', (r.held / r.limit * 100).toFixed(1) + ' %', size(r.held) + ' of ' + size(r.limit)))
  if (r.duration_ns) out.push(fact('Live heap since ' + clock(Date.parse(r.first.time), false), plus(r.growth, size), plus(100 * r.rate, v => v.toFixed(1).replace('-', '−')) + ' % in ' + span(r.duration_ns)))
  return out
}

const row = (head, cells) => make('div', { className: 'row' }, make('div', { className: 'at' }, ...head),
  ...cells.map(([value, small]) => make('div', { className: 'n' }, value, make('small', {}, small))))

// What is open stays open, and what has the focus keeps it.
function places(box, list, empty, cells) {
  const all = () => [...box.querySelectorAll('details')]
  const open = all().filter(d => d.open).map(d => d.id), focused = document.activeElement?.parentNode.id
  box.replaceChildren(...list.map(x => {
    const head = make('summary', {}, make('b', {}, short(x.func)), make('small', {}, file(x.file) + ':' + x.line))
    const id = x.func + ':' + x.line
    return row([make('details', { id, open: open.includes(id) }, head, make('pre', {}, (x.stack || []).join('\n')))], cells(x))
  }))
  all().find(d => d.id === focused)?.firstChild.focus()
  if (!list.length) box.append(make('p', { className: 'none' }, empty))
}

function report({ report: r, running }) {
  if (!r) return
  const kind = named(r.class)
  limit = r.limit
  document.title = (r.verdict === 'leak' || r.pressure.level === 'critical' ? '● ' : '') + (r.name || 'memory') + ': ' + r.verdict
  set($('name'), r.name ? ' of ' + r.name : '')
  $('verdict').dataset.verdict = r.verdict
  const word = words[r.verdict] + (kind && ': ' + kind)
  set($('word'), running ? word : 'The watcher is not running')
  const text = make('p', {}, ...(running ? why(r) : ['What is shown below was sampled before. Start Run of the Watcher.']))
  if ($('why').textContent !== text.textContent) $('why').replaceChildren(...text.childNodes)
  $('facts').replaceChildren(...facts(r))
  if (verdict && verdict !== word) note(word + '.')
  verdict = word
  if (level && level !== r.pressure.level) note('Pressure: ' + r.pressure.level + '.')
  level = r.pressure.level
  const hour = 3.6e12 / r.sites_window_ns
  places($('sites'), r.sites || [], r.verdict === 'insufficient' ? 'Too early to tell.' : 'None.', s => [
    [size(s.in_use), 'in use'], [plus(s.growth, size), size(s.lo) + ' to ' + size(s.hi)], [plus(s.growth * hour, size) + '/h', 'z = ' + s.z.toFixed(1)]])
  const groups = [...(r.leaked || []).map(g => ({ ...g, leaked: true })), ...(r.goroutines || [])]
  $('groups-box').hidden = !groups.length
  places($('groups'), groups, '', g => [[count(g.count), g.leaked ? 'leaked for ever' : 'goroutines']])
  $('trends').replaceChildren(...r.trends.map(t => {
    const f = measure(t.class), tested = t.verdict !== 'insufficient'
    const tag = make('span', { className: 'tag ' + t.verdict }, tested ? t.verdict : 'too few points')
    return row([named(t.class), make('small', {}, t.points + ' points in ' + span(t.window_ns) + (t.why ? '; ' + t.why : ''))], [
      [f(t.level), 'level'],
      [tested ? plus(t.growth, f) : '–', tested && t.growth ? f(t.growth_lo) + ' to ' + f(t.growth_hi) : 'growth'],
      [tag, tested ? 'p = ' + t.p.toPrecision(2) : '']])
  }))
  if (r.forced) {
    const freed = Math.max(0, r.forced.before - r.forced.after)
    set($('confirmed'), 'At ' + clock(Date.parse(r.time)) + ' two collections freed ' + size(freed) + '; ' + size(r.forced.after) + ' stay.')
  }
}

// What costs.
let offered = ''
function offer(h) {
  const now = h.profiles + '|' + h.confirm
  if (offered === now) return
  offered = now
  $('tools').hidden = !h.confirm && !h.profiles.length
  $('confirm-box').hidden = !h.confirm
  $('profiles').replaceChildren(...h.profiles.map(name =>
    make('a', { className: 'get', href: 'profile/' + name, download: '', onclick: fetchProfile }, name)))
}

async function ask(button, url, how) {
  if (button.ariaBusy === 'true') return
  button.ariaBusy = 'true'
  set($('told'), '')
  try {
    const r = await fetch(url, how)
    if (r.ok) return r
    const wait = r.headers.get('Retry-After')
    set($('told'), r.status === 429 ? 'Not so fast: again in ' + wait + ' s.' : 'Refused: ' + (await r.text()).trim())
  } catch {
    set($('told'), 'Nobody answers.')
  } finally {
    button.ariaBusy = 'false'
  }
}

async function fetchProfile(e) {
  e.preventDefault()
  const name = e.target.textContent
  const r = await ask(e.target, 'profile/' + name)
  if (!r) return
  const blob = URL.createObjectURL(await r.blob())
  make('a', { href: blob, download: name + '.pb.gz' }).click()
  URL.revokeObjectURL(blob)
}

$('confirm').addEventListener('click', async () => {
  const r = await ask($('confirm'), 'confirm', { method: 'POST' })
  if (!r) return
  const confirmed = await r.json()
  report({ report: confirmed, running: true })
  note('Confirmed: ' + $('confirmed').textContent)
})

// Events.
function note(text) {
  $('log').prepend(make('li', {}, make('time', {}, clock(Date.now())), make('span', {}, text)))
  while ($('log').children.length > 12) $('log').lastChild.remove()
}
note('This page was opened.')
connect()
