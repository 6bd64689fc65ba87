package browsertest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// One browser serves all tests, each with a tab and a process of its own.
func TestPage(t *testing.T) {
	chromium := browser(t)
	for name, test := range map[string]func(context.Context, *testing.T){
		"NamesTheLineThatLeaks":           namesTheLine,
		"NamesWhereGoroutinesWait":        namesGoroutines,
		"SaysThatNothingLeaks":            saysNothing,
		"ComesBackByItself":               comesBack,
		"IsUsedByKeyboardAlone":           keyboard,
		"FitsAPhoneAndFollowsTheDarkness": phone,
	} {
		t.Run(name, func(t *testing.T) { test(chromium, t) })
	}
}

// byID is an expression for the text of an element.
func byID(id string) string { return "document.getElementById('" + id + "').textContent" }

const verdict = `document.getElementById('verdict').dataset.verdict`

// namesTheLine is about a heap that leaks: the line is on the page, and all
// that is drawn moves.
func namesTheLine(chromium context.Context, t *testing.T) {
	s := start(t, "heap", "")
	p := open(chromium, t, s.addr, nil)
	p.do(chromedp.EmulateViewport(1200, 900), chromedp.Navigate(s.url()))
	p.within(`document.querySelector('#heap path.live').getAttribute('d')?.length > 100`)
	line := value[string](p, `document.querySelector('#heap path.live').getAttribute('d')`)
	p.within(fmt.Sprintf(`document.querySelector('#heap path.live').getAttribute('d') !== %q`, line))
	for _, chart := range []string{"goroutines", "resident", "pauses"} {
		p.within(`document.querySelector('#` + chart + ` path').getAttribute('d').length > 20`)
	}
	require.Regexp(t, `^\d+:\d\d:\d\d$`, value[string](p, byID("clock")))
	require.Regexp(t, `\d (B|KiB|MiB)`, value[string](p, `document.querySelector('#heap svg').textContent`), "an axis with units")

	p.within(verdict + ` === 'leak' && ` + byID("sites") + `.includes('forgetBasket')`)
	at := s.lineOf(t, "forgetBasket")
	require.Equal(t, "Leak: heap", value[string](p, byID("word")))
	require.Contains(t, value[string](p, byID("why")), "browsertest.forgetBasket at browsertest/"+at)
	sites := value[string](p, byID("sites"))
	require.Contains(t, sites, at)
	require.Regexp(t, `\+[\d.]+ MiB.* to .*\+[\d.]+ GiB/h.*z = \d`, sites)
	facts := value[string](p, byID("facts"))
	require.Regexp(t, `Confidence.*9 %`, facts)
	require.Regexp(t, `Limit reached in\d+ (s|min)`, facts)
	require.Regexp(t, `Pressure(normal|low|medium|critical)`, facts)
	require.Contains(t, value[string](p, "document.title"), "shop: leak")
	require.Contains(t, value[string](p, byID("log")), "Leak: heap.")

	// Confirm does not free it, and says so.
	p.do(chromedp.Click(chromedp.CSS("#confirm")))
	p.within(byID("confirmed") + `.includes('two collections freed')`)
	p.within(byID("log") + `.includes('Confirmed: ')`)

	p.shoot("leak-light")
	p.media("prefers-color-scheme", "dark")
	p.shoot("leak-dark")
}

func namesGoroutines(chromium context.Context, t *testing.T) {
	s := start(t, "goroutines", "")
	p := open(chromium, t, s.addr, nil)
	p.do(chromedp.EmulateViewport(1200, 900), chromedp.Navigate(s.url()))
	p.within(`['suspect', 'leak'].includes(` + verdict + `) && ` + byID("groups") + `.includes('waitForParcel')`)
	require.Regexp(t, `goroutines$`, value[string](p, byID("word")))
	require.Contains(t, value[string](p, byID("why")), "browsertest.waitForParcel at browsertest/process_test.go:")
	p.shoot("goroutines")
}

func saysNothing(chromium context.Context, t *testing.T) {
	s := start(t, "healthy", "")
	p := open(chromium, t, s.addr, nil)
	p.do(chromedp.EmulateViewport(1200, 900), chromedp.Navigate(s.url()))
	p.within(`['none', 'watch'].includes(` + verdict + `)`)
	require.Contains(t, value[string](p, byID("sites")), "None.")
	require.True(t, value[bool](p, `document.getElementById('groups-box').hidden`))
	p.shoot("healthy")
}

// comesBack is about a process that dies and one that takes its place.
func comesBack(chromium context.Context, t *testing.T) {
	s := start(t, "healthy", "")
	p := open(chromium, t, s.addr, func(message string) bool {
		return strings.Contains(message, "net::ERR_") // nobody was there
	})
	p.do(chromedp.EmulateViewport(1200, 900), chromedp.Navigate(s.url()))
	p.within(byID("state") + ` === 'live'`)
	s.kill()
	p.within(byID("state") + `.startsWith('away since ')`)
	require.Equal(t, "away", value[string](p, `document.getElementById('link').dataset.state`))
	time.Sleep(2500 * time.Millisecond) // so that it asks in vain at least once
	start(t, "healthy", s.addr)
	p.within(byID("state") + `.startsWith('live, was away for ')`)
	require.Contains(t, value[string](p, byID("state")), "the process has restarted")
	require.Contains(t, value[string](p, byID("log")), "The connection was lost.")
	p.within(`document.querySelectorAll('#heap .cut').length === 1`)
	line := value[string](p, `document.querySelector('#heap path.live').getAttribute('d')`)
	require.GreaterOrEqual(t, strings.Count(line, "M"), 2, "the line is broken where nothing was seen")
	p.within(fmt.Sprintf(`document.querySelector('#heap path.live').getAttribute('d') !== %q`, line))
	p.shoot("back")
}

// focused says what has the focus.
const focused = `(e => e.id || e.getAttribute('aria-label') || e.textContent.trim() || e.value)(document.activeElement)`

// keyboard walks the page by Tab, and uses all that it meets.
func keyboard(chromium context.Context, t *testing.T) {
	s := start(t, "heap", "")
	p := open(chromium, t, s.addr, nil)
	p.do(chromedp.EmulateViewport(1200, 900), chromedp.Navigate(s.url()))
	p.within(byID("sites") + `.includes('forgetBasket') && document.querySelectorAll('#profiles a').length >= 3`)
	press := func(key string) string {
		p.do(chromedp.KeyEvent(key))
		return value[string](p, focused)
	}
	require.Equal(t, "Skip to what grows", press(kb.Tab))
	require.Contains(t, press(kb.Tab), "300000", "the range")
	press(kb.ArrowRight)
	require.Equal(t, "1800000", value[string](p, `document.querySelector('#range input:checked').value`))

	require.Contains(t, press(kb.Tab), "Live heap over time")
	press(kb.ArrowLeft)
	require.Regexp(t, `at \d\d:\d\d:\d\d`, press(kb.ArrowLeft), "the chart reads its values out")
	require.Equal(t, 4.0, value[float64](p, `document.querySelectorAll('.hair').length`), "all charts point at that time")
	press(kb.Escape)
	require.Equal(t, 0.0, value[float64](p, `document.querySelectorAll('.hair').length`))
	require.Contains(t, press(kb.Tab), "Goroutines over time")
	require.Contains(t, press(kb.Tab), "Resident memory over time")
	require.Contains(t, press(kb.Tab), "Longest pause")

	require.Contains(t, press(kb.Tab), "forgetBasket")
	press(kb.Enter)
	require.True(t, value[bool](p, `document.querySelector('#sites details').open`))
	// The next reports leave it open, and the focus where it is.
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#sites details').dataset.old = 1, undefined`))
	require.NotEqual(t, "0px", value[string](p, `getComputedStyle(document.activeElement).outlineWidth`), "the focus is seen")

	require.Equal(t, "heap", press(kb.Tab))
	require.Equal(t, "allocs", press(kb.Tab))
	require.Equal(t, "goroutine", press(kb.Tab))
	require.Equal(t, "confirm", press(kb.Tab))
	press(kb.Enter)
	p.within(byID("confirmed") + `.includes('freed')`)
	require.Equal(t, "confirm", value[string](p, focused), "the focus stays")
	p.within(`!document.querySelector('#sites details').dataset.old`)
	require.True(t, value[bool](p, `document.querySelector('#sites details').open`), "a new report leaves it open")

	// More than is allowed is said on the page.
	for range 5 {
		press(kb.Enter)
		time.Sleep(150 * time.Millisecond)
	}
	p.within(byID("told") + `.startsWith('Not so fast: again in ')`)
	p.drop("429")
}

// phone is a narrow touch screen, in the dark.
func phone(chromium context.Context, t *testing.T) {
	s := start(t, "heap", "")
	p := open(chromium, t, s.addr, nil)
	p.media("prefers-color-scheme", "dark")
	p.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2)), chromedp.Navigate(s.url()))
	p.within(byID("sites") + `.includes('forgetBasket')`)
	require.LessOrEqual(t, value[float64](p, `document.documentElement.scrollWidth`), 360.0, "nothing to scroll sideways")
	require.Empty(t, value[[]string](p, `[...document.querySelectorAll('body *')].filter(e => !e.closest('svg, .skip, .hide') && e.getBoundingClientRect().right > 361).map(e => e.tagName + '#' + e.id + '.' + e.className)`))
	dark := value[string](p, `getComputedStyle(document.body).backgroundColor`)
	p.shoot("phone-dark")
	p.media("prefers-color-scheme", "light")
	light := value[string](p, `getComputedStyle(document.body).backgroundColor`)
	require.NotEqual(t, light, dark)
	p.shoot("phone-light")
	p.media("prefers-reduced-motion", "reduce")
	require.Equal(t, "0s", value[string](p, `getComputedStyle(document.getElementById('word')).transitionDuration`))
}

// The profiles of the buttons are those that a request by hand gets.
func TestProfilesOfALeakNameItsFunction(t *testing.T) {
	s := start(t, "heap", "")
	resp, err := http.Get(s.url() + "profile/goroutine?debug=1")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), "browsertest.child")
	http.DefaultClient.CloseIdleConnections()
}

// media emulates a media feature.
func (p *tab) media(name, value string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: name, Value: value}},
	})
	require.NoError(p.t, err)
}

// shoot keeps a screenshot of the whole page, to be looked at, where it is asked
// for by -artifacts.
func (p *tab) shoot(name string) {
	p.t.Helper()
	if !artifacts() {
		return
	}
	p.do(chromedp.Sleep(300 * time.Millisecond)) // charts follow the viewport
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	require.NoError(p.t, err)
	require.NoError(p.t, os.WriteFile(filepath.Join(p.t.ArtifactDir(), name+".png"), png, 0o600))
}
