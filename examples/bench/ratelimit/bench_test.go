// Package ratelimitbench compares bedplate's rate limiter with its peers and
// with the least that Go can do, on the same work in one process.
package ratelimitbench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	failsafe "github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/go-chi/httprate"
	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/stretchr/testify/require"
	xtime "golang.org/x/time/rate"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimithttp"
)

// plenty is a limit in a window that nobody reaches here; the windows are so
// short that the state of a limiter stays small.
const (
	plenty = 1_000_000_000
	keys   = 100_000
)

// A single limits one thing: n at once, and then n per window.
type single struct {
	peer string
	make func(n int, window time.Duration) func() bool
}

var singles = []single{
	{"bedplate", func(n int, window time.Duration) func() bool {
		return ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{ratelimit.Per(n, window)}}).Allow
	}},
	{"bedplate-gcra", func(n int, window time.Duration) func() bool {
		return ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{ratelimit.Rate(n, window, n)}}).Allow
	}},
	{"bedplate-keyed", func(n int, window time.Duration) func() bool {
		l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(n, window)}})
		return func() bool { return l.Allow("key") }
	}},
	{"xtime", func(n int, window time.Duration) func() bool {
		return xtime.NewLimiter(xtime.Every(window/time.Duration(n)), n).Allow
	}},
	{"failsafe", func(n int, window time.Duration) func() bool {
		return failsafe.NewBursty[any](uint(n), window).TryAcquirePermit
	}},
	{"sethvargo", func(n int, window time.Duration) func() bool {
		store, err := memorystore.New(&memorystore.Config{Tokens: uint64(n), Interval: window})
		must(err)
		ctx := context.Background()
		return func() bool {
			_, _, _, ok, err := store.Take(ctx, "key")
			must(err)
			return ok
		}
	}},
}

// floors are what no limiter of the kind can do without.
var floors = []single{
	{"floor-clock", func(int, time.Duration) func() bool {
		base := time.Now()
		return func() bool { return time.Since(base) > 0 }
	}},
	{"floor-mutex", func(int, time.Duration) func() bool {
		var mu sync.Mutex
		n := 0
		return func() bool { mu.Lock(); n++; mu.Unlock(); return true }
	}},
	{"floor-atomic", func(int, time.Duration) func() bool {
		var n atomic.Int64
		return func() bool { return n.Add(1) > 0 }
	}},
}

// BenchmarkRatelimitOneKey takes a permit that is there.
func BenchmarkRatelimitOneKey(b *testing.B) {
	for _, s := range append(singles, floors...) {
		b.Run("peer="+s.peer, func(b *testing.B) {
			allow := s.make(200, 2*time.Microsecond) // one in ten nanoseconds: there is always one
			b.ReportAllocs()
			for b.Loop() {
				allow()
			}
		})
	}
}

// BenchmarkRatelimitOneKeyParallel does so from every processor at once.
func BenchmarkRatelimitOneKeyParallel(b *testing.B) {
	for _, s := range append(singles, floors...) {
		b.Run("peer="+s.peer, func(b *testing.B) {
			allow := s.make(200, 2*time.Microsecond)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					allow()
				}
			})
		})
	}
}

// BenchmarkRatelimitRefused asks for a permit that is not there.
func BenchmarkRatelimitRefused(b *testing.B) {
	for _, s := range singles {
		b.Run("peer="+s.peer, func(b *testing.B) {
			allow := s.make(100, time.Hour)
			for allow() {
			}
			b.ReportAllocs()
			for b.Loop() {
				if allow() {
					b.Fatal("admitted")
				}
			}
		})
	}
}

// A keyed limits each key apart.
var keyed = []struct {
	peer string
	make func(n int, window time.Duration) func(key string) bool
}{
	{"bedplate", func(n int, window time.Duration) func(string) bool {
		return ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(n, window)}}).Allow
	}},
	{"bedplate-gcra", func(n int, window time.Duration) func(string) bool {
		return ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Rate(n, window, n)}}).Allow
	}},
	{"sethvargo", func(n int, window time.Duration) func(string) bool {
		store, err := memorystore.New(&memorystore.Config{Tokens: uint64(n), Interval: window})
		must(err)
		ctx := context.Background()
		return func(key string) bool {
			_, _, _, ok, err := store.Take(ctx, key)
			must(err)
			return ok
		}
	}},
	{"xtime-syncmap", func(n int, window time.Duration) func(string) bool {
		var m sync.Map
		return func(key string) bool {
			l, ok := m.Load(key)
			if !ok {
				l, _ = m.LoadOrStore(key, xtime.NewLimiter(xtime.Every(window/time.Duration(n)), n))
			}
			return l.(*xtime.Limiter).Allow()
		}
	}},
}

// names are the keys, and zipf an order in which some come often.
func names() ([]string, []int) {
	out := make([]string, keys)
	for i := range out {
		out[i] = fmt.Sprintf("user-%010d", i)
	}
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, keys-1)
	order := make([]int, 1<<20)
	for i := range order {
		order[i] = int(zipf.Uint64())
	}
	return out, order
}

// BenchmarkRatelimitZipf asks for a hundred thousand keys, some of which come
// often: those are at their limit.
func BenchmarkRatelimitZipf(b *testing.B) {
	names, order := names()
	for _, k := range keyed {
		b.Run("peer="+k.peer, func(b *testing.B) {
			allow := k.make(100, time.Minute)
			for _, name := range names {
				allow(name)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				allow(names[order[i&(len(order)-1)]])
				i++
			}
		})
	}
}

// BenchmarkRatelimitZipfParallel does so from every processor at once.
func BenchmarkRatelimitZipfParallel(b *testing.B) {
	names, order := names()
	for _, k := range keyed {
		b.Run("peer="+k.peer, func(b *testing.B) {
			allow := k.make(100, time.Minute)
			for _, name := range names {
				allow(name)
			}
			b.ReportAllocs()
			var start atomic.Int64
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := int(start.Add(int64(len(order) / 7)))
				for pb.Next() {
					allow(names[order[i&(len(order)-1)]])
					i++
				}
			})
		})
	}
}

// middlewares limit by the address of the connection.
var middlewares = []struct {
	peer string
	make func(n int, window time.Duration, next http.Handler) http.Handler
}{
	{"bedplate", func(n int, window time.Duration, next http.Handler) http.Handler {
		return ratelimithttp.MustNew(ratelimithttp.Config{Limits: []ratelimit.Limit{ratelimit.Per(n, window)}}).Handler(next)
	}},
	{"httprate", func(n int, window time.Duration, next http.Handler) http.Handler {
		return httprate.LimitBy(n, window, byRemoteAddr)(next)
	}},
}

// byRemoteAddr is a key function as httprate's documentation wants it.
func byRemoteAddr(r *http.Request) (string, error) {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	return httprate.CanonicalizeIP(ip), err
}

// discard is a ResponseWriter that costs nothing.
type discard struct {
	h      http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

func nothing(http.ResponseWriter, *http.Request) {}

// BenchmarkRatelimitMiddleware serves a request within the limit.
func BenchmarkRatelimitMiddleware(b *testing.B) {
	for _, m := range middlewares {
		b.Run("peer="+m.peer, func(b *testing.B) {
			h := m.make(plenty, time.Minute, http.HandlerFunc(nothing))
			w, r := &discard{h: http.Header{}}, httptest.NewRequest(http.MethodGet, "/", nil)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkRatelimitMiddlewareRefused answers one over the limit.
func BenchmarkRatelimitMiddlewareRefused(b *testing.B) {
	for _, m := range middlewares {
		b.Run("peer="+m.peer, func(b *testing.B) {
			h := m.make(1, time.Hour, http.HandlerFunc(nothing))
			w, r := &discard{h: http.Header{}}, httptest.NewRequest(http.MethodGet, "/", nil)
			h.ServeHTTP(w, r)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkRatelimitBytes reports the bytes of a key with one event, beside
// the time to make a hundred thousand of them.
func BenchmarkRatelimitBytes(b *testing.B) {
	names, _ := names()
	for _, k := range keyed {
		b.Run("peer="+k.peer, func(b *testing.B) {
			var bytes uint64
			for b.Loop() {
				before := heap()
				allow := k.make(100, time.Hour)
				for _, name := range names {
					allow(name)
				}
				bytes = heap() - before
				runtime.KeepAlive(allow)
			}
			b.ReportMetric(float64(bytes)/keys, "B/key")
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TestRowsDoTheSameWork: each row admits the limit and refuses the rest, for
// each key apart.
func TestRowsDoTheSameWork(t *testing.T) {
	const limit = 50
	for _, s := range singles {
		t.Run("single="+s.peer, func(t *testing.T) {
			allow := s.make(limit, time.Hour)
			for i := range 3 * limit {
				require.Equal(t, i < limit, allow())
			}
			fast := s.make(200, 2*time.Microsecond)
			for range 10 {
				require.True(t, fast())
			}
		})
	}
	for _, k := range keyed {
		t.Run("keyed="+k.peer, func(t *testing.T) {
			allow := k.make(limit, time.Hour)
			for i := range 3 * limit {
				require.Equal(t, i < limit, allow("a"))
				require.Equal(t, i < limit, allow("b"))
			}
		})
	}
	for _, m := range middlewares {
		t.Run("middleware="+m.peer, func(t *testing.T) {
			served := 0
			h := m.make(limit, time.Hour, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
			for i := range 3 * limit {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
				require.Equal(t, i >= limit, w.Code == http.StatusTooManyRequests)
			}
			require.Equal(t, limit, served)
		})
	}
}
