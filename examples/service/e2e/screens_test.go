package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// poor lists the texts whose contrast is below what WCAG AA asks for: 4.5, or 3
// for large ones. What is switched off is left out, as there.
const poor = `(() => {
	const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return {r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1}; };
	const over = (a, b) => ({r: a.r * a.a + b.r * (1 - a.a), g: a.g * a.a + b.g * (1 - a.a), b: a.b * a.a + b.b * (1 - a.a), a: 1});
	const light = ({r, g, b}) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
	const ground = (e) => { let stack = []; for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a > 0) stack.push(c); if (c.a === 1) break; } let base = {r: 255, g: 255, b: 255, a: 1}; for (const c of stack.reverse()) base = over(c, base); return base; };
	const out = [];
	for (const e of document.querySelectorAll("body *")) {
		const words = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join("");
		if (!words || !e.checkVisibility() || e.closest(".unseen, .skip, noscript, [disabled], [aria-disabled=true]")) continue;
		const style = getComputedStyle(e), back = ground(e), fore = over(parse(style.color), back);
		const [hi, lo] = [light(fore), light(back)].sort((a, b) => b - a);
		const ratio = (hi + 0.05) / (lo + 0.05), size = parseFloat(style.fontSize);
		if (ratio < (size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5)) out.push(words.slice(0, 30) + " " + ratio.toFixed(2));
	}
	return out;
})()`

// faint lists the colours of graphics that have less contrast than 3 to the card.
const faint = `(() => {
	const probe = document.createElement("i"); document.body.append(probe);
	const rgb = (name) => { probe.style.color = "var(" + name + ")"; return getComputedStyle(probe).color.match(/[\d.]+/g).map(Number); };
	const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
	const out = [];
	for (const name of ["--ok", "--warn", "--bad", "--wait", "--calm", "--ink-2"]) {
		const [hi, lo] = [light(rgb(name)), light(rgb("--card"))].sort((a, b) => b - a);
		if ((hi + 0.05) / (lo + 0.05) < 3) out.push(name);
	}
	probe.remove();
	return out;
})()`

var (
	everything = map[string]bool{"fail": true, "hang": true, "flood": true, "leak": true, "database": true}
	dark       = map[string]string{"prefers-color-scheme": "dark"}
)

func TestTextsAreLegibleInLightAndDark(t *testing.T) {
	for name, s := range map[string]screen{"light": desk, "dark": {1440, 900, 1, false, dark}} {
		for _, faults := range []map[string]bool{{}, everything} {
			t.Run(fmt.Sprint(name, len(faults)), func(t *testing.T) {
				f := newFake(t)
				f.minute(faults, 30)
				p := newPage(t, f.server.URL, s).open()
				p.eventually("it is drawn", textHas("audit", "link.created"))
				require.Empty(t, eval[[]string](p, poor))
				require.Empty(t, eval[[]string](p, faint))
				// A page that is not dark has a light ground, and the other way round.
				bright := eval[float64](p, `getComputedStyle(document.body).backgroundColor.match(/\d+/g).reduce((a, b) => a + +b, 0) / 765`)
				require.Equal(t, name == "light", bright > 0.5, bright)
			})
		}
	}
}

func TestPhonesScrollInOneDirection(t *testing.T) {
	for _, width := range []int64{320, 390, 700, 1024} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			f := newFake(t)
			s := moment(9, everything)
			long := strings.Repeat("averylongwordwithoutabreak", 12)
			s["ratelimit"].(map[string]any)["users"] = []any{map[string]any{"user": long, "used": 1e9, "limit": 1e9, "refused": 1e9}}
			s["memory"].(map[string]any)["sites"] = []any{map[string]any{"site": long, "rate": 1e9}}
			s["pool"].(map[string]any)["last_error"] = long
			f.send("state", s)
			f.send("audit", map[string]any{"t": 1, "kind": "fault", "text": long})
			p := newPage(t, f.server.URL, screen{width, 700, 2, width < 500, nil}).open()
			p.eventually("it is drawn", textHas("audit", long)+" && "+textHas("pool-error", long))
			wide := eval[[]string](p, `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.closest("[id]").id + " " + e.tagName + " " + e.className).slice(-5)`)
			require.LessOrEqual(t, eval[float64](p, `document.documentElement.scrollWidth`), float64(width), "too wide: %v", wide)
			if width < 500 {
				small := eval[[]string](p, `[...document.querySelectorAll("button, input")].filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 28).map((e) => e.id)`)
				require.Empty(t, small, "too small for a thumb")
			}
		})
	}
}

func TestPlotsAreAsSharpAsTheScreen(t *testing.T) {
	for _, scale := range []float64{1, 2} {
		f := newFake(t)
		f.minute(nil, 0)
		p := newPage(t, f.server.URL, screen{1440, 900, scale, false, nil}).open()
		p.eventually("it is drawn", `document.getElementById("http-rps").textContent !== "–"`)
		require.True(t, eval[bool](p, fmt.Sprintf(`[...document.querySelectorAll("canvas")].every((c) => c.clientWidth > 100 && Math.abs(c.width - %v * c.clientWidth) <= 1 && Math.abs(c.height - %v * c.clientHeight) <= 1)`, scale, scale)))
		// Something is on each: pixels that are not transparent, in more than one colour.
		require.True(t, eval[bool](p, `[...document.querySelectorAll("canvas")].every((c) => new Set(new Uint32Array(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer)).size > 2)`))
		require.True(t, eval[bool](p, `[...document.querySelectorAll("canvas")].every((c) => c.getAttribute("aria-label").length > 20)`))
	}
}

func TestNothingMovesForWhoWantsNoMotion(t *testing.T) {
	f := newFake(t)
	f.send("state", moment(1, nil))
	p := newPage(t, f.server.URL, screen{1440, 900, 1, false, map[string]string{"prefers-reduced-motion": "reduce"}}).open()
	require.True(t, eval[bool](p, `[...document.querySelectorAll("*")].every((e) => [null, "::after", "::before"].every((q) => { const s = getComputedStyle(e, q); return s.transitionDuration === "0s" || s.transitionProperty === "none"; }) && getComputedStyle(e).animationName === "none")`))
}

func TestEveryControlHasANameAndEveryCardAHeading(t *testing.T) {
	f := newFake(t)
	f.send("state", moment(1, everything))
	p := newPage(t, f.server.URL, desk).open()
	require.Empty(t, eval[[]string](p, `[...document.querySelectorAll("button, input:not([hidden]), [role=meter], [role=progressbar], canvas")].filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.closest("label"))).map((e) => e.outerHTML)`))
	require.Empty(t, eval[[]string](p, `[...document.querySelectorAll(".card, aside section")].filter((e) => !document.getElementById(e.getAttribute("aria-labelledby"))?.textContent).map((e) => e.id)`))
	require.Empty(t, eval[[]string](p, `[...document.querySelectorAll("[role=meter], [role=progressbar]")].filter((e) => !(e.getAttribute("aria-valuenow") >= 0 && e.getAttribute("aria-valuenow") <= 100)).map((e) => e.id)`))
}
