package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// unit is an expression over the modules of the page, and what it gives.
type unit struct{ expression, want string }

// check evaluates expressions in a page that has loaded a module as m.
func check(t *testing.T, module string, units []unit) {
	t.Helper()
	f := newFake(t)
	f.send("state", "{}")
	p := newPage(t, f.server.URL, desk).open()
	for _, u := range units {
		got := eval[string](p, `import("/js/`+module+`").then((m) => JSON.stringify((() => { `+u.expression+` })()))`)
		require.Equal(t, u.want, got, u.expression)
	}
}

func TestNumbersAreWrittenShortAndWhatIsNoneIsADash(t *testing.T) {
	check(t, "format.js", []unit{
		{`return [null, undefined, NaN, Infinity, "7", {}, []].map(m.count)`, `["–","–","–","–","–","–","–"]`},
		{`return [null, NaN, "x"].flatMap((v) => [m.rate(v), m.percent(v), m.bytes(v), m.ms(v), m.ns(v), m.span(v)])`, `["–","–","–","–","–","–","–","–","–","–","–","–","–","–","–","–","–","–"]`},
		{`return [0, 7, 999, 1234, 9999, 10_000, 56_700, 99_960, 999_499, 1e6, 8.94e6, 2.5e9].map(m.count)`, `["0","7","999","1` + "\u2009" + `234","9` + "\u2009" + `999","10.0k","56.7k","100k","999k","1.0M","8.9M","2.5G"]`},
		{`return [0, 0.04, 0.3, 9.94, 9.96, 120].map(m.rate)`, `["0","0.0","0.3","9.9","10","120"]`},
		{`return [0, 0.001, 0.5, 0.994, 0.999, 1].map(m.percent)`, `["0 %","<1 %","50 %","99 %",">99 %","100 %"]`},
		{`return [0, 999, 1024, 5e6, 200 << 20, 3e9].map(m.bytes)`, `["0 B","999 B","1.0 KiB","4.8 MiB","200 MiB","2.8 GiB"]`},
		{`return [0, 0.0004, 0.05, 0.8, 9.96, 250, 1500, 61_000].map(m.ms)`, `["0 ms","1 µs","50 µs","0.8 ms","10 ms","250 ms","1.5 s","1 min 01 s"]`},
		{`return [-1, 59.9, 60, 3725, 90_000].map(m.span)`, `["0 s","59 s","1 min 00 s","1 h 02 min","1 d 1 h"]`},
		{`return [m.num({a: {b: 1}}, "a.b"), m.num({a: null}, "a.b"), m.num({a: "text"}, "a.length"), m.num(null, "a"), m.num({a: NaN}, "a", 5)]`, `[1,null,null,null,5]`},
		{`return [m.list({a: [1]}, "a"), m.list({a: {}}, "a"), m.str({a: 1}, "a", "x"), m.clock(NaN), m.clock(1e30)]`, `[[1],[],"x","--:--:--","--:--:--"]`},
		{`return [m.plural(1, "hit"), m.plural(2, "hit")]`, `["1 hit","2 hits"]`},
	})
}

func TestRatesSurviveARestartAndAGap(t *testing.T) {
	check(t, "series.js", []unit{
		{`const h = new m.History(); return [h.rate("n"), h.delta("n"), h.deltas("n")]`, `[null,null,[]]`},
		{`const h = new m.History(); for (let i = 0; i <= 8; i++) h.push({t: i * 250, n: i * 10}); return [h.rate("n"), h.delta("n", 500), h.delta("n")]`, `[40,20,80]`},
		{`const h = new m.History(); h.push({t: 0, n: 5, pid: 1}); h.push({t: 250, n: 9, pid: 1}); h.push({t: 500, n: 2, pid: 2}); const r = [h.rate("n"), h.epoch]; h.push({t: 750, n: 3, pid: 2}); return [...r, h.rate("n")]`, `[null,1,4]`},
		{`const h = new m.History(); h.push({t: 0, n: 5, uptime: 90}); h.push({t: 500, n: 1, uptime: 0.5}); return [h.states.length, h.epoch]`, `[1,1]`},
		{`const h = new m.History(); h.push({t: 0, n: 9}); h.push({t: 250, n: 2}); return h.rate("n")`, `0`},
		{`const h = new m.History(); h.push({t: 100}); return [h.push({t: 100}), h.push({t: 99}), h.states.length]`, `[false,false,1]`},
		{`const h = new m.History(); for (let i = 0; i < 2000; i++) h.push({t: i * 250, n: i}); return [h.states.length < 260, h.delta("n") <= 245]`, `[true,true]`},
		{`const h = new m.History(); h.push({t: 0, a: [1, 2, null]}); h.push({t: 250, a: [3, 2, 7, "x"]}); return h.deltas("a")`, `[2,0,7,0]`},
		{`return [m.share(1, 4), m.share(1, 0), m.share(null, 4), m.share(1, NaN)]`, `[0.25,null,null,null]`},
		{`return [m.quantile([], 0.5, 1), m.quantile([0, 0], 0.5, 1), m.quantile([1, 1, 8], 0.5, 1000), m.quantile([99, 1], 0.99, 1), m.quantile([99, 2], 0.99, 1), m.quantile([1, null, "x"], 1, 5)]`, `[null,null,4000,1,2,5]`},
		{`const s = new m.Track(["a"]); for (let i = 0; i < 1000; i++) s.push(i * 250, {a: i === 999 ? NaN : i}); return [s.t.length < 260, s.t.length === s.values.a.length, s.latest("a")]`, `[true,true,null]`},
		{`const s = new m.Track(["a"]); s.push(10_000, {a: 1}); s.push(1000, {a: 2}); return s.t`, `[1000]`},
	})
}

func TestTheTimelineKnowsTheOrderOfThings(t *testing.T) {
	check(t, "series.js", []unit{
		{`const s = new m.Strip(1000); s.put(0, "closed"); s.put(100, "closed"); s.put(400, "open"); s.put(600, "half-open"); s.put(700, "closed"); return s.within(900)`,
			`[{"from":0,"to":400,"state":"closed"},{"from":400,"to":600,"state":"open"},{"from":600,"to":700,"state":"half-open"},{"from":700,"to":900,"state":"closed"}]`},
		{`const s = new m.Strip(1000); s.put(500, "closed"); s.put(400, "open"); return s.parts.length`, `1`},
		{`const s = new m.Strip(1000); s.put(0, "closed"); s.put(500, "open"); s.put(5000, "closed"); return s.within(5200)`, `[{"from":4200,"to":5000,"state":"open"},{"from":5000,"to":5200,"state":"closed"}]`},
		{`const s = new m.Strip(1000); s.put(NaN, "open"); s.put(5, ""); s.put(9000, "open"); s.put(100, "closed"); return s.parts`, `[{"t":100,"state":"closed"}]`},
	})
}

func TestScalesAreRoundAndGapsStayGaps(t *testing.T) {
	check(t, "plot.js", []unit{
		{`return [0, 1, 1.01, 3, 20, 21, 99, 101, NaN].map((v) => m.nice(v))`, `[1,1,1.5,3,20,30,100,150,1]`},
		{`return [0, 100, 101, 1000, NaN].map((v) => m.decade(v, 100))`, `[100,100,1000,1000,100]`},
		{`return [m.height(5, 10), m.height(20, 10), m.height(0, 10), m.height(1, 100, 0.01), m.height(0, 100, 0.01), m.height(1e9, 100, 0.01)]`, `[0.5,1,0,0.5,0,1]`},
		{`return [0, 1, 2 ** 20, 2 ** 20 + 1].map((v) => m.niceBytes(v, 1024))`, `[1024,1024,1048576,2097152]`},
		{`return m.runs([0, 250, 500, 750, 9000, 9250], [1, null, 2, 3, 4, 5])`, `[[0,0],[2,3],[4,5]]`},
		{`return [m.runs([], []), m.runs([0], [null])]`, `[[],[]]`},
		{`return m.stack(["a", "b"], {a: [1, null, null], b: [2, 3, null]})`, `{"a":{"low":[0,0,null],"high":[1,0,null]},"b":{"low":[1,0,null],"high":[3,3,null]}}`},
	})
}

func TestTheConnectionWaitsLongerEachTimeAndReadsObjectsAlone(t *testing.T) {
	check(t, "live.js", []unit{
		{`return [0, 1, 2, 3, 9, 1e6].map((n) => m.delay(n, 0))`, `[250,500,1000,2000,2000,2000]`},
		{`return [m.delay(3, 1), m.delay(0) >= 200 && m.delay(0) <= 250]`, `[1600,true]`},
		{`return ["{}", '{"t":1}', "[]", "null", "7", "", "{", '"x"'].map(m.parse)`, `[{},{"t":1},null,null,null,null,null,null]`},
	})
}

func TestASwitchShowsWhatWasAskedUntilTheServiceAnswers(t *testing.T) {
	check(t, "faults.js", []unit{
		{`const w = new m.Wish(1000); return [w.shown(false, 0), w.shown(null, 0), w.shown(true, 0)]`, `[false,false,true]`},
		{`const w = new m.Wish(1000); w.ask(true, 0); return [w.shown(false, 500), w.shown(true, 600), w.shown(false, 700)]`, `[true,true,false]`},
		{`const w = new m.Wish(1000); w.ask(true, 0); return [w.shown(false, 999), w.shown(false, 1000)]`, `[true,false]`},
		{`const w = new m.Wish(1000); w.ask(true, 0); w.drop(); return w.shown(false, 1)`, `false`},
		{`return [m.possible({}, "kill").can, m.possible({can: {kill: false}}, "kill"), m.possible({can: {kill: false}, why: {kill: "No."}}, "kill").why]`, `[true,{"can":false,"why":"One process only: start the service with -workers 2 or more."},"No."]`},
		{`return m.FAULTS.map((f) => f.id)`, `["fail","hang","flood","database","leak","kill"]`},
	})
}

func TestTheBreakersStateIsReadFromEventsToo(t *testing.T) {
	check(t, "panels/breaker.js", []unit{
		{`return ["open: upstream, for 3s", "half-open: upstream", "upstream is closed", "reopened", "", null].map(m.announced)`, `["open","half-open","closed","","",""]`},
		{`return [m.stateOf("open"), m.stateOf("ajar"), m.stateOf(undefined)]`, `["open","",""]`},
	})
}

func TestTheAuditLogKeepsTheLatestOnce(t *testing.T) {
	check(t, "panels/emitter.js", []unit{
		{`const l = new m.Log(); const e = {t: 1, kind: "a", text: "x"}; return [l.add(e), l.add(e), l.events.length]`, `[true,false,1]`},
		{`const l = new m.Log(); for (let t = 1; t <= 900; t++) l.add({t, kind: "a", text: ""}); return [l.events.length, l.events[0].t, l.add({t: 2, kind: "old"}), m.fold(l.events).length]`, `[400,900,false,50]`},
		{`const e = (t, kind) => ({t, kind, text: kind + t}); return m.fold([e(9, "login"), e(8, "link.created"), e(7, "login"), e(6, "breaker"), e(5, "breaker"), e(4, "login")]).map((r) => r.text + r.n)`,
			`["login92","link.created81","breaker61","breaker51","login41"]`},
		{`const l = new m.Log(); l.add({}); l.add({t: "x", text: 5}); return l.events`, `[{"t":null,"kind":"event","text":""}]`},
	})
}

func TestGeneratedRowsAreWhatTheyClaim(t *testing.T) {
	check(t, "csv.js", []unit{
		{`const r = m.generate(1000, "x-").trim().split("\n"); return [r.length, r[0], r[1], r[997].startsWith("not an address"), new Set(r).size]`, `[1001,"url,slug","https://example.com/article/1,x-1",true,1001]`},
	})
}

func TestATokenIsReadForDisplayAlone(t *testing.T) {
	check(t, "api.js", []unit{
		{`return m.claims("e30." + btoa(JSON.stringify({sub: "a", exp: 5})).replaceAll("=", "") + ".x")`, `{"sub":"a","exp":5}`},
		{`return ["", "x", "a.b.c", "a." + btoa("7") + ".c", null, undefined].map(m.claims)`, `[{},{},{},{},{},{}]`},
		{`return [m.explain(429), m.explain(503, {}), m.explain(500, null), m.explain(400, {error: "no"})]`, `["too many requests","not available just now","the service answered 500","no"]`},
	})
}
