package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// watchWords makes the page note each text and label that no reader should see.
const watchWords = `
	window.foul = [];
	const bad = /NaN|undefined|Infinity|\[object|null/;
	const look = (text, where) => text && bad.test(text) && window.foul.length < 20 && window.foul.push(where + ": " + text);
	const id = (n) => (n.nodeType === 1 ? n : n.parentElement)?.closest("[id]")?.id ?? "";
	new MutationObserver((list) => {
		for (const m of list) {
			if (m.type === "attributes") look(m.target.getAttribute(m.attributeName), id(m.target) + " " + m.attributeName);
			else look(m.target.textContent, id(m.target));
		}
	}).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
	true`

// seen waits until the page has drawn the state with this uptime.
func (p *page) seen(minutes int) {
	p.t.Helper()
	p.eventually("the state is drawn", textIs("fact-uptime", fmt.Sprintf("%d min 00 s", minutes)))
}

func TestAnEmptyStateShowsDashes(t *testing.T) {
	f := newFake(t)
	p := newPage(t, f.server.URL, desk)
	f.send("state", "{}")
	p.open()
	eval[bool](p, watchWords)
	for _, s := range []string{`{"t":1}`, `{"t":2,"http":null,"breaker":[],"pool":"x"}`, `{"t":"soon"}`, `[]`, `null`, `{`, ``} {
		f.send("state", s)
	}
	f.send("audit", `{}`)
	f.send("audit", `{"t":{},"kind":[],"text":null}`)
	f.send("progress", `{}`)
	f.send("state", map[string]any{"t": 3e12, "uptime": 60})
	p.seen(1)
	require.Empty(t, eval[[]string](p, `foul`))
	require.Equal(t, "–", p.text("http-rps"))
	require.Equal(t, "–", p.text("breaker-state"))
}

// each calls fn for every value inside of v, with its path and a function that
// replaces it.
func each(v any, path string, fn func(path string, set func(any))) {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			fn(path+"."+k, func(n any) { v[k] = n })
			each(child, path+"."+k, fn)
		}
	case []any:
		for i, child := range v {
			fn(fmt.Sprint(path, ".", i), func(n any) { v[i] = n })
			each(child, fmt.Sprint(path, ".", i), fn)
		}
	}
}

func TestNoFieldThatIsMissingOrWrongSpoilsThePage(t *testing.T) {
	f := newFake(t)
	f.send("state", moment(1, map[string]bool{}))
	p := newPage(t, f.server.URL, desk).open()
	eval[bool](p, watchWords)
	n := 0
	all := map[string]bool{"fail": true, "hang": true, "flood": true, "leak": true, "database": true}
	var paths []string
	each(moment(1, all), "", func(path string, _ func(any)) { paths = append(paths, path) })
	for _, wrong := range []any{nil, "text", -1, 1e300, []any{nil}, map[string]any{}} {
		for _, target := range paths {
			n++
			s := moment(2+float64(n)/100, all)
			each(s, "", func(path string, set func(any)) {
				if path == target && path != ".t" {
					set(wrong)
				}
			})
			f.send("state", s)
		}
	}
	last := moment(100, all)
	last["uptime"] = 180
	f.send("state", last)
	p.seen(3)
	require.Greater(t, n, 500)
	require.Empty(t, eval[[]string](p, `foul`))
}

func TestCardsKeepTheirSizeWhateverTheNumbers(t *testing.T) {
	f := newFake(t)
	f.send("state", map[string]any{"t": 1, "uptime": 60})
	p := newPage(t, f.server.URL, desk).open()
	p.seen(1)
	sizes := `JSON.stringify([...document.querySelectorAll(".card")].filter((c) => !["card-workers", "card-emitter"].includes(c.id)).map((c) => { const r = c.getBoundingClientRect(); return [c.id, Math.round(r.width), Math.round(r.height)]; }))`
	before := eval[string](p, sizes)
	all := map[string]bool{"fail": true, "hang": true, "flood": true, "leak": true, "database": true}
	for i, sec := range []float64{200, 5e4, 9e6} {
		s := moment(sec, all)
		s["uptime"] = 120 + 60*i
		s["t"] = 1795780000000 + 1000*i
		f.send("state", s)
		p.seen(2 + i)
		require.Equal(t, before, eval[string](p, sizes))
	}
}

func TestASwitchThatCannotBeHadSaysWhyAndSendsNothing(t *testing.T) {
	f := newFake(t)
	s := moment(1, map[string]bool{})
	s["can"] = map[string]bool{"kill": false, "database": false}
	s["why"] = map[string]string{"database": "This database is not ours to stop."}
	f.send("state", s)
	p := newPage(t, f.server.URL, desk).open()
	p.eventually("the reason is there", textIs("say-database", "This database is not ours to stop."))
	p.eventually("the other one too", textHas("say-kill", "-workers 2"))
	for _, id := range []string{"fault-database", "fault-kill"} {
		require.Equal(t, "true", eval[string](p, `document.getElementById("`+id+`").getAttribute("aria-disabled")`))
		p.click(id)
	}
	p.eventually("it is said aloud", `document.getElementById("announce").textContent !== ""`)
	p.click("fault-fail")
	p.eventually("the one that can be had is on", `document.getElementById("fault-fail").getAttribute("aria-checked") === "true"`)
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Equal(t, []string{`/break/fail {"on":true}`}, f.posted)
}

func TestASwitchThatIsRefusedGoesBackAndSaysWhy(t *testing.T) {
	f := newFake(t)
	f.answer = func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprint(w, `{"error":"the upstream is not ours"}`)
		return true
	}
	f.send("state", moment(1, map[string]bool{}))
	p := newPage(t, f.server.URL, desk).open()
	p.tolerate()
	p.click("fault-hang")
	p.eventually("the reason is shown", `document.querySelector("#row-hang .effect").textContent === "the upstream is not ours"`)
	f.send("state", moment(2, map[string]bool{}))
	p.eventually("the switch is off", `document.getElementById("fault-hang").getAttribute("aria-checked") === "false"`)
	p.eventually("the reason stays", `document.querySelector("#row-hang .effect").textContent === "the upstream is not ours"`)
}

func TestNothingIsTakenForMarkup(t *testing.T) {
	f := newFake(t)
	evil := `<img src=x onerror="document.title='taken'"><b>bold</b>`
	s := moment(1, map[string]bool{"leak": true, "database": true})
	s["ratelimit"].(map[string]any)["users"] = []any{map[string]any{"user": evil, "used": 1, "limit": 2}}
	s["memory"].(map[string]any)["sites"] = []any{map[string]any{"site": evil, "rate": 1}}
	s["pool"].(map[string]any)["last_error"] = evil
	s["db"] = evil
	f.send("state", s)
	f.send("audit", map[string]any{"t": 1, "kind": evil, "text": evil})
	p := newPage(t, f.server.URL, desk).open()
	p.eventually("it is shown as it is", textHas("pool-error", evil))
	p.eventually("in the log too", textHas("audit", evil))
	f.send("state", moment(2, map[string]bool{}))
	require.Equal(t, float64(0), eval[float64](p, `document.querySelectorAll("main img:not(#qr), main b b").length`))
	require.NotContains(t, eval[string](p, `document.title`), "taken")
}

func TestALostConnectionIsSaidAndComesBack(t *testing.T) {
	f := newFake(t)
	f.send("state", moment(1, map[string]bool{}))
	p := newPage(t, f.server.URL, desk).open()
	p.tolerate()
	for range 3 {
		eval[bool](p, `window.was = []; new MutationObserver(() => was.push(document.documentElement.dataset.connection)).observe(document.documentElement, {attributes: true}); true`)
		f.server.CloseClientConnections()
		p.eventually("it was noticed", `was.includes("lost")`)
		p.eventually("it is live again", `document.documentElement.dataset.connection === "live"`)
	}
}

func TestASilentConnectionIsGivenUp(t *testing.T) {
	f := newFake(t)
	f.send("state", moment(1, map[string]bool{}))
	p := newPage(t, f.server.URL, desk).open()
	// The fake says nothing more, and keeps the connection open.
	p.eventually("it was noticed", `document.documentElement.dataset.connection === "lost"`)
	p.eventually("it was tried again", `document.documentElement.dataset.connection === "live"`)
}
