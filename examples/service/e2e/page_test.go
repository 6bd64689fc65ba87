package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// patience is how long an effect may take on a machine that is busy otherwise.
// Nothing waits that long that comes sooner.
const patience = 20 * time.Second

// page is a tab with a profile of its own. At the end of its test it must have
// seen no error, no breach of the policy and no request to elsewhere.
type page struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu       sync.Mutex // guards what the browser's events write
	problems []string
	network  []string // requests that failed, which is wanted in some tests
	outside  []string
	tolerant bool
}

// screen is what a page is looked at with.
type screen struct {
	width, height int64
	scale         float64
	mobile        bool
	features      map[string]string // media features: prefers-color-scheme …
}

var desk = screen{width: 1440, height: 900, scale: 1}

// step is a command of the protocol as one step of many.
func step[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, command, params)
		return err
	})
}

func newPage(t *testing.T, base string, s screen) *page {
	t.Helper()
	if browser == nil {
		t.Skip("there is no Chromium on PATH")
	}
	p := &page{t: t, base: base}
	host := ""
	if u, err := url.Parse(base); err == nil {
		host = u.Host
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(func(e any) { p.event(e, host) }))
	p.ctx = ctx
	var features []*emulation.MediaFeature
	for name, value := range s.features {
		features = append(features, &emulation.MediaFeature{Name: name, Value: value})
	}
	require.NoError(t, chromedp.Do(ctx,
		step(network.Enable, network.EnableParams{}),
		step(log.Enable, cdp.Empty{}),
		step(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: s.height, DeviceScaleFactor: s.scale, Mobile: s.mobile}),
		step(emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: s.mobile}),
		step(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}),
	))
	t.Cleanup(func() {
		p.mu.Lock()
		problems, outside, failed := p.problems, p.outside, p.network
		tolerant := p.tolerant
		p.mu.Unlock()
		cancel()
		if len(problems) > 0 {
			t.Errorf("the browser reports:\n%s", strings.Join(problems, "\n"))
		}
		if len(outside) > 0 {
			t.Errorf("requests to elsewhere:\n%s", strings.Join(outside, "\n"))
		}
		if len(failed) > 0 && !tolerant {
			t.Errorf("requests that failed:\n%s", strings.Join(failed, "\n"))
		}
	})
	return p
}

// tolerate says that in this test requests fail for good reason: the service is
// killed, or refuses. Errors of scripts and of the policy count all the same.
func (p *page) tolerate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tolerant = true
}

func (p *page) event(e any, host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := e.(type) {
	case *runtime.EventExceptionThrown:
		p.problems = append(p.problems, exception(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, a := range e.Args {
				words = append(words, string(a.Value)+a.Description)
			}
			p.problems = append(p.problems, "console: "+strings.Join(words, " "))
		}
	case *log.EventEntryAdded:
		switch {
		case e.Entry.Source == log.EntrySourceNetwork:
			p.network = append(p.network, e.Entry.URL+": "+e.Entry.Text)
		case e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning:
			p.problems = append(p.problems, string(e.Entry.Source)+": "+e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || (u.Host != host && u.Scheme != "data" && u.Scheme != "blob") {
			p.outside = append(p.outside, e.Request.URL)
		}
	}
}

// open loads the page and waits until it is live.
func (p *page) open() *page {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.Navigate(p.base+"/")))
	p.eventually("the page is live", `document.documentElement.dataset.connection === "live"`)
	return p
}

// eval returns what an expression gives, or the promise that it is.
func eval[T any](p *page, expression string) T {
	p.t.Helper()
	v, err := try[T](p, expression)
	require.NoError(p.t, err, expression)
	return v
}

func try[T any](p *page, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// eventually waits until an expression is true, and fails with what the page
// shows if that takes too long.
func (p *page) eventually(what, expression string) {
	p.t.Helper()
	_ = p.within(patience, what, expression)
}

func (p *page) within(limit time.Duration, what, expression string) time.Duration {
	p.t.Helper()
	start := time.Now()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	var last error
	for time.Since(start) < limit {
		var ok bool
		if ok, last = try[bool](p, "!!("+expression+")"); last == nil && ok {
			return time.Since(start)
		}
		<-tick.C
	}
	seen, _ := try[string](p, `document.body.innerText.replace(/\s+/g, " ").slice(0, 4000)`)
	p.t.Fatalf("within %v it is not so that %s: %s (%v)\nthe page shows: %s", limit, what, expression, last, seen)
	return 0
}

func (p *page) click(id string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, chromedp.ScrollIntoView(chromedp.CSS("#"+id)), chromedp.Click(chromedp.CSS("#"+id))), id)
}

// write empties a field and types into it, key by key.
func (p *page) write(id, words string) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf(`document.getElementById(%q).value = ""; true`, id))
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx,
		chromedp.SendKeys(chromedp.CSS("#"+id), words)), id)
}

func (p *page) press(keys string) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.KeyEvent(keys)))
}

// tabTo presses Tab until an element has the focus, as people without a mouse do.
func (p *page) tabTo(id string) {
	p.t.Helper()
	for range 80 {
		p.press(kb.Tab)
		if eval[string](p, `document.activeElement.id`) == id {
			return
		}
	}
	p.t.Fatalf("80 tabs do not lead to #%s", id)
}

func (p *page) text(id string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf(`document.getElementById(%q).textContent`, id))
}

// js writes a value as JavaScript has it.
func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// textIs is the expression that an element says something.
func textIs(id, words string) string {
	return fmt.Sprintf(`document.getElementById(%q).textContent === %s`, id, js(words))
}

func textHas(id, words string) string {
	return fmt.Sprintf(`document.getElementById(%q).textContent.includes(%s)`, id, js(words))
}

// number is the expression for the number that an element shows.
func number(id string) string {
	return fmt.Sprintf(`parseFloat(document.getElementById(%q).textContent.replace(/\u2009/g, ""))`, id)
}

// picture takes a picture of the window, or of the whole page.
func (p *page) picture(whole bool) []byte {
	p.t.Helper()
	shot := chromedp.CaptureScreenshot()
	if whole {
		shot = chromedp.FullScreenshot(100)
	}
	png, err := chromedp.Run(p.ctx, shot)
	require.NoError(p.t, err)
	return png
}

// exception is what a script threw, in words.
func exception(d *runtime.ExceptionDetails) string {
	words := d.Text
	if d.Exception != nil {
		words += " " + d.Exception.Description
	}
	return fmt.Sprintf("%s at %s:%d", words, d.URL, d.LineNumber+1)
}
