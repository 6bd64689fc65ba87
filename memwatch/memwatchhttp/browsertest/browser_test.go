package browsertest

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience is how long the page may take to show something.
const patience = 25 * time.Second

// browser starts a Chromium with a profile of its own, and skips the test where
// there is none.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium on the PATH: the page is not tested in a browser here")
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-background-timer-throttling", true),
	)
	ctx, cancel := chromedp.NewContext(allocator)
	require.NoError(t, chromedp.Do(ctx))
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx)
		cancel()
		stop()
	})
	return ctx
}

// tab is one page, and what the browser says about it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex // guards all below
	messages []string   // of the console and of the browser itself
	requests []string
}

// open makes a tab of the browser's and listens to it. At the end of the test
// nothing must have been said that is an error, and nothing asked for that is
// not host's, unless allow holds for the message.
func open(browser context.Context, t *testing.T, host string, allow func(string) bool) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	p := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Do(ctx))
	require.NoError(t, chromedp.Listen(ctx, p.hear))
	t.Cleanup(func() {
		stop()
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, m := range p.messages {
			if allow == nil || !allow(m) {
				t.Errorf("the browser says: %s", m)
			}
		}
		for _, r := range p.requests {
			u, err := url.Parse(r)
			if err != nil || u.Scheme != "blob" && u.Host != host {
				t.Errorf("the page asked for %s", r)
			}
		}
		if len(p.requests) == 0 {
			t.Error("no request was seen")
		}
	})
	return p
}

// hear takes note of an event. It runs on a goroutine of chromedp.
func (p *tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		switch e.Type {
		case runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert:
			var text []string
			for _, arg := range e.Args {
				text = append(text, string(arg.Value), arg.Description)
			}
			p.messages = append(p.messages, fmt.Sprintf("console.%s: %s", e.Type, strings.Join(text, " ")))
		}
	case *runtime.EventExceptionThrown:
		p.messages = append(p.messages, "exception: "+e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			p.messages = append(p.messages, fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	}
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, actions...))
}

// value is what an expression gives on the page.
func value[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	require.NoError(p.t, err, "%s", expression)
	return v
}

// within waits until an expression holds on the page.
func (p *tab) within(expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if value[bool](p, expression) {
			return
		}
		if time.Now().After(deadline) {
			require.Fail(p.t, "it never held", "%s\nthe page is:\n%s", expression, value[string](p, "document.body.innerText"))
		}
	}
}

// drop takes back messages that a test has provoked, by a part of their text.
func (p *tab) drop(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = slices.DeleteFunc(p.messages, func(m string) bool { return strings.Contains(m, part) })
}

// artifacts reports whether the screenshots are kept.
func artifacts() bool {
	f := flag.Lookup("test.artifacts")
	return f != nil && f.Value.String() == "true"
}
