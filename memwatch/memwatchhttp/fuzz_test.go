package memwatchhttp

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
)

func FuzzModel(f *testing.F) {
	f.Add([]byte{10, 200, 201, 199, 200, 150, 201, 202, 250})
	f.Add([]byte{199, 199, 199, 199, 199, 199, 200, 200, 200, 0, 201})
	f.Fuzz(func(t *testing.T, script []byte) { runModel(t, script[:min(len(script), 60)]) })
}

// What is accepted is what url.Values has, and its value is the one meant.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "debug=1", "debug=0&debug=1", "since=2026-11-27T12:00:00Z", "since=%32", "a=b;c", "after=x-1", "%", "=", "&"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		alone := func(name string) bool {
			return err == nil && len(query) <= maxQuery && (len(values) == 0 || len(values) == 1 && len(values[name]) == 1)
		}
		debug, ok := parseDebug(query)
		if ok {
			require.True(t, alone("debug"))
			if text := values.Get("debug"); text != "" {
				require.Equal(t, text, strconv.Itoa(debug))
			}
			require.Contains(t, []int{0, 1}, debug)
		}
		since, ok := parseSince(query)
		if ok {
			require.True(t, alone("since"))
			if text := values.Get("since"); text != "" {
				want, err := time.Parse(time.RFC3339, text)
				require.NoError(t, err)
				require.True(t, want.Equal(since))
			} else {
				require.True(t, since.IsZero())
			}
		}
		if after, ok := only(query, "after"); ok {
			require.Equal(t, values.Get("after"), after)
		}
	})
}

func FuzzID(f *testing.F) {
	for _, seed := range []string{"", "-", "1", "-1", "-18446744073709551615", "-18446744073709551616", "-+1", "-0x1", "-01", "- 1", "-1\n"} {
		f.Add(seed)
	}
	feed := newFeed(memwatch.MustNew(memwatch.Config{}), time.Second)
	f.Fuzz(func(t *testing.T, id string) {
		if !strings.HasPrefix(id, feed.instance) {
			require.Zero(t, feed.parseID(id))
		}
		seq := feed.parseID(feed.instance + id)
		if seq > 0 {
			require.Equal(t, "-"+strconv.FormatUint(seq, 10), "-"+strings.TrimLeft(id[1:], "0"))
		}
	})
}

// Whatever the path is, it leads to an endpoint or to nothing, and what is found
// is the end of the path itself.
func FuzzPath(f *testing.F) {
	h := MustNew(Config{Watcher: memwatch.MustNew(memwatch.Config{}), ReadOnly: true})
	for _, seed := range []string{"/", "/m/", "/m/page.js", "/m/../page.js", "/m//page.js", "/%2e%2e/", "/m/x/{y}", "/m/{$}"} {
		f.Add(seed, "/m/")
		f.Add(seed, "GET /{a}/{b...}")
	}
	f.Fuzz(func(t *testing.T, path, pattern string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path, r.Pattern = path, pattern
		rest := within(r)
		require.True(t, strings.HasSuffix(path, rest))
		w := httptest.NewRecorder()
		if rest == "stream" {
			return
		}
		h.ServeHTTP(w, r)
		_, found := h.endpoints[rest]
		require.Equal(t, found, w.Code == http.StatusOK, "%q", rest)
	})
}
