package memwatchhttp_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchhttp"
)

func handler(t *testing.T, cfg memwatchhttp.Config) *memwatchhttp.Handler {
	t.Helper()
	if cfg.Watcher == nil {
		cfg.Watcher = memwatch.MustNew(memwatch.Config{Name: "shop"})
	}
	h, err := memwatchhttp.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

// do asks a handler, with fields of a header in pairs.
func do(h http.Handler, method, target string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// The paths of a handler that answer at once, to GET.
var paths = []string{"", "page.css", "page.js", "chart.js", "icon.svg", "report.json", "report.txt", "samples.json", "profile/heap", "profile/allocs", "profile/goroutine"}

func TestNewRefusesWhatMakesNoSense(t *testing.T) {
	w := memwatch.MustNew(memwatch.Config{})
	for want, cfg := range map[string]memwatchhttp.Config{
		"memwatchhttp: Config.Watcher is nil, want a Watcher": {},
		"memwatchhttp: Config.Interval is -1s, want ≥ 0":      {Watcher: w, Interval: -time.Second},
		"memwatchhttp: Config.Interval is 1ms, want ≥ 10ms":   {Watcher: w, Interval: time.Millisecond},
		"memwatchhttp: Config.MaxStreams is -1, want ≥ 0":     {Watcher: w, MaxStreams: -1},
		"memwatchhttp: Config.WriteTimeout is -1ns, want ≥ 0": {Watcher: w, WriteTimeout: -1},
		"memwatchhttp: Config.Pace is -1m0s, want ≥ 0":        {Watcher: w, Pace: -time.Minute},
	} {
		_, err := memwatchhttp.New(cfg)
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { memwatchhttp.MustNew(cfg) })
	}
}

func TestPageIsServedUnderAnyMount(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	strip := http.StripPrefix("/m", h)
	for _, mount := range []struct {
		pattern, prefix string
		handler         http.Handler
	}{
		{"/", "/", h},
		{"/debug/memwatch/", "/debug/memwatch/", h},
		{"GET /m/", "/m/", h},
		{"example.com/m/", "/m/", h},
		{"/{tenant}/memory/", "/acme/memory/", h},
		{"/{tenant}/memory/{rest...}", "/acme/memory/", h},
		{"/m/", "/m/", strip},
		{"/m/", "/m/", http.StripPrefix("/m/", h)},
		{"/", "/m/", strip},
		{"/outer/", "/outer/m/", http.StripPrefix("/outer", strip)},
	} {
		t.Run(mount.pattern, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.Handle(mount.pattern, mount.handler)
			for _, name := range paths[:8] {
				require.Equal(t, http.StatusOK, do(mux, http.MethodGet, mount.prefix+name).Code, name)
			}
			require.Equal(t, http.StatusNotFound, do(mux, http.MethodGet, mount.prefix+"x/report.json").Code)
			require.Equal(t, http.StatusNotFound, do(mux, http.MethodGet, mount.prefix+"x/").Code)
		})
	}
	require.Equal(t, http.StatusOK, do(h, http.MethodGet, "/report.txt").Code, "without a mux")
}

// A page whose path does not end in a slash would look for its parts beside it.
func TestPageWithoutItsSlashIsRedirected(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	for prefix, mux := range map[string]http.Handler{
		"/m":       http.StripPrefix("/m", h),
		"/debug/m": http.StripPrefix("/debug/m", h),
		"/x/a%20b": http.StripPrefix("/x/a b", h),
	} {
		w := do(mux, http.MethodGet, prefix+"?x=1")
		require.Equal(t, http.StatusPermanentRedirect, w.Code)
		parts := strings.Split(prefix, "/")
		require.Equal(t, "./"+parts[len(parts)-1]+"/", w.Header().Get("Location"))
		require.Equal(t, http.StatusOK, do(mux, http.MethodGet, prefix+"/").Code)
	}
}

func TestEveryAnswerHasTheFieldsThatProtect(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	for _, path := range append([]string{"nothing", "stream", "confirm"}, paths...) {
		f := do(h, http.MethodGet, "/"+path).Header()
		policy := f.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"} {
			require.Contains(t, strings.Split(policy, "; "), part, path)
		}
		require.NotContains(t, policy, "unsafe")
		require.NotContains(t, policy, "*")
		require.Equal(t, "nosniff", f.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-referrer", f.Get("Referrer-Policy"), path)
		require.Equal(t, "same-origin", f.Get("Cross-Origin-Resource-Policy"), path)
		require.NotEmpty(t, f.Get("Cache-Control"), path)
		require.NotEmpty(t, f.Get("Content-Type"), path)
		require.Empty(t, f.Get("Access-Control-Allow-Origin"), path)
	}
}

func TestPageIsSmallAndLoadsNothingFromElsewhere(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	total := 0
	remote := regexp.MustCompile(`https?:|\burl\(|@import|["'(]//`)
	for _, path := range paths[:5] {
		text := do(h, http.MethodGet, "/"+path).Body.String()
		total += len(text)
		for _, found := range remote.FindAllStringIndex(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", ""), -1) {
			t.Errorf("%s: %s", path, text[found[0]:min(len(text), found[1]+40)])
		}
	}
	require.Less(t, total, 30_000, "bytes of the page")
	t.Logf("%d bytes", total)

	html := do(h, http.MethodGet, "/").Body.String()
	require.NotRegexp(t, `(?i)<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]|javascript:`, html, "inline")
	for _, ref := range regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(html, -1) {
		require.Equal(t, http.StatusOK, do(h, http.MethodGet, "/"+ref[1]).Code, ref[1])
		require.NotRegexp(t, `^/|\.\.`, ref[1], "relative to the page")
	}
	script := do(h, http.MethodGet, "/page.js").Body.String() + do(h, http.MethodGet, "/chart.js").Body.String()
	require.NotRegexp(t, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function`, script, "text of the process is never parsed")
	require.Contains(t, html, `name="viewport"`)
	require.Contains(t, html, `aria-live="polite"`)
	style := do(h, http.MethodGet, "/page.css").Body.String()
	require.Contains(t, style, "prefers-reduced-motion")
	require.Contains(t, style, "light-dark(")
}

func TestPartsOfThePageAreAskedForAgainByTheirTag(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	for _, path := range paths[:5] {
		w := do(h, http.MethodGet, "/"+path)
		tag := w.Header().Get("ETag")
		require.NotEmpty(t, tag)
		require.Equal(t, "no-cache", w.Header().Get("Cache-Control"))
		w = do(h, http.MethodGet, "/"+path, "If-None-Match", tag)
		require.Equal(t, http.StatusNotModified, w.Code)
		require.Zero(t, w.Body.Len())
		require.Equal(t, http.StatusOK, do(h, http.MethodGet, "/"+path, "If-None-Match", `"other"`).Code)
	}
}

func TestUnknownPathsAreNotFound(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	for _, path := range []string{
		"/x", "/index.html", "/page/index.html", "/../page.js", "/./page.js", "//page.js", "/page.js/", "/profile", "/profile/",
		"/profile/heap/", "/profile/cmdline", "/profile/threadcreate", "/profile/../report.json", "/..%2fpage.js", "/%2e%2e/%2e%2e/etc/passwd",
		"/profile/..%2f..%2fgo.mod", "/memwatchhttp.go", "/page.js%00", "/report.json.bak", "/REPORT.JSON",
	} {
		w := do(h, http.MethodGet, path)
		require.Equal(t, http.StatusNotFound, w.Code, path)
		require.Equal(t, "not found\n", w.Body.String(), "nothing of the request is echoed")
	}
}

func TestMethodsThatAPathDoesNotHaveAreRefused(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	for _, path := range append([]string{"stream"}, paths...) {
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "BREW"} {
			w := do(h, method, "/"+path)
			require.Equal(t, http.StatusMethodNotAllowed, w.Code, "%s %s", method, path)
			require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		}
	}
	for _, method := range []string{"GET", "HEAD", "PUT"} {
		w := do(h, method, "/confirm")
		require.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
		require.Equal(t, "POST", w.Header().Get("Allow"))
	}
}

func TestHeadIsGetWithoutItsBody(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	for _, path := range paths {
		get, head := do(h, http.MethodGet, "/"+path), do(h, http.MethodHead, "/"+path)
		if get.Code == http.StatusTooManyRequests {
			continue
		}
		require.Equal(t, http.StatusOK, head.Code, path)
		require.Zero(t, head.Body.Len(), path)
		require.Equal(t, get.Header().Get("Content-Type"), head.Header().Get("Content-Type"), path)
		if !strings.HasPrefix(path, "profile/") && path != "report.json" { // what changes with time
			require.Equal(t, get.Header().Get("Content-Length"), head.Header().Get("Content-Length"), path)
		}
	}
	require.LessOrEqual(t, h.Stats().Profiles, uint64(3), "HEAD makes no profile")
}

func TestReportIsThatOfTheWatcher(t *testing.T) {
	h := handler(t, memwatchhttp.Config{Watcher: memwatch.MustNew(memwatch.Config{Name: "shop"})})
	w := do(h, http.MethodGet, "/report.json")
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	r := decode[memwatch.Report](t, w.Body.String())
	require.Equal(t, "shop", r.Name)
	require.Equal(t, memwatch.Insufficient, r.Verdict)
	require.NotZero(t, r.Last.Live)

	w = do(h, http.MethodGet, "/report.txt")
	require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
	require.Equal(t, r.String(), w.Body.String())
}

// An analysis costs, so one a second is made however many ask.
func TestReportIsMadeOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{})
		at := func() time.Time {
			return decode[memwatch.Report](t, do(h, http.MethodGet, "/report.json").Body.String()).Time
		}
		first := at()
		time.Sleep(999 * time.Millisecond)
		require.Equal(t, first, at())
		time.Sleep(time.Millisecond)
		require.Equal(t, first.Add(time.Second), at())
	})
}

func TestSamplesAreThoseOfRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memwatch.MustNew(memwatch.Config{})
		h := handler(t, memwatchhttp.Config{Watcher: w})
		get := func(query string) []memwatch.Sample {
			got := do(h, http.MethodGet, "/samples.json"+query)
			require.Equal(t, http.StatusOK, got.Code, got.Body.String())
			return decode[[]memwatch.Sample](t, got.Body.String())
		}
		require.Equal(t, "[]\n", do(h, http.MethodGet, "/samples.json").Body.String())
		runFor(t, w, 45*time.Second)
		all := get("")
		require.Len(t, all, 5)
		require.Equal(t, 10*time.Second, all[1].Time.Sub(all[0].Time))
		since := all[2].Time.Format(time.RFC3339Nano)
		require.Equal(t, all[3:], get("?since="+since))
		require.Empty(t, get("?since=2100-01-01T00:00:00Z"))
		require.Equal(t, all, get("?since="))
		for _, bad := range []string{"?since=now", "?since=1", "?x=1", "?since=" + since + "&since=" + since, "?since=%zz", "?since=" + strings.Repeat("1", 300)} {
			got := do(h, http.MethodGet, "/samples.json"+bad)
			require.Equal(t, http.StatusBadRequest, got.Code, bad)
		}
	})
}

func TestProfileIsOneThatPprofReads(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	for _, name := range []string{"heap", "allocs", "goroutine"} {
		w := do(h, http.MethodGet, "/profile/"+name)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "application/octet-stream", w.Header().Get("Content-Type"))
		require.Regexp(t, `^attachment; filename="`+name+`-\d{8}-\d{6}\.pb\.gz"$`, w.Header().Get("Content-Disposition"))
		require.Equal(t, strconv.Itoa(w.Body.Len()), w.Header().Get("Content-Length"))
		z, err := gzip.NewReader(w.Body)
		require.NoError(t, err)
		text, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Contains(t, string(text), "memwatchhttp_test.go")
	}
	w := do(h, http.MethodGet, "/profile/goroutine?debug=1")
	require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
	require.Empty(t, w.Header().Get("Content-Disposition"))
	require.Contains(t, w.Body.String(), "goroutine profile: total ")
	require.Equal(t, uint64(4), h.Stats().Profiles)
}

func TestProfileRefusesOtherParameters(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	for _, bad := range []string{"?debug=2", "?debug=-1", "?debug=x", "?seconds=30", "?gc=1", "?debug=1&debug=1", "?debug=%"} {
		require.Equal(t, http.StatusBadRequest, do(h, http.MethodGet, "/profile/heap"+bad).Code, bad)
	}
	require.Zero(t, h.Stats().Profiles)
}

func TestCostlyRequestsAreRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{Pace: 10 * time.Second})
		ask := func() *httptest.ResponseRecorder { return do(h, http.MethodGet, "/profile/heap") }
		for range 3 {
			require.Equal(t, http.StatusOK, ask().Code)
		}
		require.Equal(t, http.StatusOK, do(h, http.MethodPost, "/confirm").Code)
		time.Sleep(2500 * time.Millisecond)
		for _, w := range []*httptest.ResponseRecorder{ask(), do(h, http.MethodPost, "/confirm")} {
			require.Equal(t, http.StatusTooManyRequests, w.Code)
			require.Equal(t, "8", w.Header().Get("Retry-After"))
			require.Empty(t, w.Header().Get("Content-Disposition"), "an error is no file")
		}
		time.Sleep(7500 * time.Millisecond)
		require.Equal(t, http.StatusOK, ask().Code)
		require.Equal(t, http.StatusTooManyRequests, ask().Code)
		require.Equal(t, uint64(3), h.Stats().Refused)
		time.Sleep(time.Hour)
		for range 4 {
			require.Equal(t, http.StatusOK, ask().Code)
		}
		require.Equal(t, http.StatusTooManyRequests, ask().Code, "idle time saves no more than four")
	})
}

var ballast []byte

func TestConfirmForcesCollectionsAndTellsAllPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{})
		s := serve(t, h, nil).open(t)
		s.until(t, "report")
		ballast = make([]byte, 32<<20)
		runtime.GC()
		ballast = nil
		w := do(h, http.MethodPost, "/confirm")
		require.Equal(t, http.StatusOK, w.Code)
		r := decode[memwatch.Report](t, w.Body.String())
		require.NotNil(t, r.Forced)
		require.GreaterOrEqual(t, r.Forced.Freed(), uint64(30<<20))
		require.Equal(t, uint64(1), h.Stats().Confirms)

		told := decode[struct{ Report memwatch.Report }](t, s.until(t, "report").data).Report
		require.Equal(t, r.Forced, told.Forced)
	})
}

func TestRequestsOfOtherSitesAreRefusedWhereTheyCost(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	for _, c := range []struct{ method, path string }{{"GET", "/profile/heap"}, {"GET", "/stream"}, {"POST", "/confirm"}, {"HEAD", "/profile/heap"}} {
		for _, fields := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Origin", "https://evil.example"},
			{"Origin", "null"},
		} {
			require.Equal(t, http.StatusForbidden, do(h, c.method, c.path, fields...).Code, "%v %v", c, fields)
		}
	}
	require.Equal(t, memwatchhttp.Stats{}, h.Stats(), "nothing was done")
	for _, fields := range [][]string{{}, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, {"Origin", "http://example.com"}} {
		require.Equal(t, http.StatusOK, do(h, http.MethodGet, "/profile/heap", fields...).Code, fields)
	}
	require.Equal(t, http.StatusOK, do(h, http.MethodGet, "/report.txt", "Sec-Fetch-Site", "cross-site").Code, "it may be linked to")

	protection := http.NewCrossOriginProtection()
	require.NoError(t, protection.AddTrustedOrigin("https://ops.example"))
	h = handler(t, memwatchhttp.Config{CSRF: protection})
	require.Equal(t, http.StatusOK, do(h, http.MethodPost, "/confirm", "Sec-Fetch-Site", "cross-site", "Origin", "https://ops.example").Code)
	require.Equal(t, http.StatusForbidden, do(h, http.MethodPost, "/confirm", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example").Code)
}

func TestReadOnlyLeavesOutWhatCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{ReadOnly: true})
		require.Equal(t, http.StatusNotFound, do(h, http.MethodGet, "/profile/heap").Code)
		require.Equal(t, http.StatusNotFound, do(h, http.MethodPost, "/confirm").Code)
		require.Equal(t, http.StatusOK, do(h, http.MethodGet, "/report.json").Code)
		hello := decode[map[string]any](t, serve(t, h, nil).open(t).until(t, "hello").data)
		require.Equal(t, []any{}, hello["profiles"])
		require.Equal(t, false, hello["confirm"])
	})
}

func TestStatsHaveJSON(t *testing.T) {
	text, err := json.Marshal(memwatchhttp.Stats{Streams: 1, Points: 2, Refused: 3, Dropped: 4, Profiles: 5, Confirms: 6})
	require.NoError(t, err)
	require.JSONEq(t, `{"streams":1,"points":2,"refused":3,"dropped":4,"profiles":5,"confirms":6}`, string(text))
}
