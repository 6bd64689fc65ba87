package memwatchhttp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

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

func do(h http.Handler, method, target string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPageIsServedUnderAnyMount(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	for pattern, prefix := range map[string]string{
		"/":                          "/",
		"/debug/memwatch/":           "/debug/memwatch/",
		"GET /m/":                    "/m/",
		"example.com/m/":             "/m/",
		"/{tenant}/memory/":          "/acme/memory/",
		"/{tenant}/memory/{rest...}": "/acme/memory/",
	} {
		t.Run(pattern, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.Handle(pattern, h)
			for _, name := range []string{"", "page.js", "report.json"} {
				require.Equal(t, http.StatusOK, do(mux, http.MethodGet, prefix+name).Code, name)
			}
			require.Equal(t, http.StatusNotFound, do(mux, http.MethodGet, prefix+"x/report.json").Code)
		})
	}
}
