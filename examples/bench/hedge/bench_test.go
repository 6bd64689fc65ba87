// Package hedgebench compares package hedge with its peers on the usual call,
// the one that is answered in time and needs no extra attempt. What an extra
// attempt costs is little beside the delay before it.
package hedgebench

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cristalhq/hedgedhttp"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry/hedge"
)

// late is a delay that no call of the benchmarks reaches.
const late = time.Hour

var bg = context.Background()

// work is answered at once. calls counts it; it is nil while time is measured.
type work struct{ calls *atomic.Int32 }

//go:noinline
func (w work) do() (int, error) {
	if w.calls != nil {
		w.calls.Add(1)
	}
	return 1, nil
}

// row makes calls that are hedged after delay; its users share what it makes.
type row struct {
	peer string
	new  func(delay time.Duration) func(work) (call func() (int, error))
}

func bedplate(cfg hedge.Config) func(time.Duration) func(work) func() (int, error) {
	return func(delay time.Duration) func(work) func() (int, error) {
		cfg.Delay = delay
		h := hedge.MustNew(cfg)
		return func(w work) func() (int, error) {
			fn := func(context.Context) (int, error) { return w.do() }
			return func() (int, error) { return hedge.DoValue(bg, h, fn) }
		}
	}
}

func failsafeRow(policy func(time.Duration) hedgepolicy.HedgePolicy[int]) func(time.Duration) func(work) func() (int, error) {
	return func(delay time.Duration) func(work) func() (int, error) {
		ex := failsafe.With[int](policy(delay))
		return func(w work) func() (int, error) {
			fn := func(failsafe.Execution[int]) (int, error) { return w.do() }
			return func() (int, error) { return ex.WithContext(bg).GetWithExecution(fn) }
		}
	}
}

func failsafeFixed(delay time.Duration) hedgepolicy.HedgePolicy[int] {
	return hedgepolicy.NewWithDelay[int](delay)
}

var fixed = []row{
	{"bedplate", bedplate(hedge.Config{})},
	{"failsafe", failsafeRow(failsafeFixed)},
	{"floor-timer", func(delay time.Duration) func(work) func() (int, error) {
		return func(w work) func() (int, error) {
			return func() (int, error) {
				_, cancel := context.WithCancel(bg)
				defer cancel()
				timer := time.AfterFunc(delay, cancel)
				defer timer.Stop()
				return w.do()
			}
		}
	}},
}

// detached rows make the first attempt in a goroutine of its own. failsafe has
// no other form.
var detached = []row{
	{"bedplate", bedplate(hedge.Config{Detached: true})},
	{"failsafe", failsafeRow(failsafeFixed)},
	{"floor-goroutine", func(delay time.Duration) func(work) func() (int, error) {
		return func(w work) func() (int, error) {
			return func() (int, error) {
				type result struct {
					v   int
					err error
				}
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				results := make(chan result, 2)
				go func() { v, err := w.do(); results <- result{v, err} }()
				timer := time.NewTimer(delay)
				defer timer.Stop()
				select {
				case r := <-results:
					return r.v, r.err
				case <-timer.C:
				case <-ctx.Done():
				}
				return 0, context.DeadlineExceeded
			}
		}
	}},
}

var quantile = []row{
	{"bedplate", bedplate(hedge.Config{Quantile: 0.95, MinDelay: late})},
	{"failsafe", failsafeRow(func(time.Duration) hedgepolicy.HedgePolicy[int] {
		// It hedges from the first call on that is slower than the quantile.
		return hedgepolicy.NewWithDelayQuantile[int](0.95, 1000, 1<<30)
	})},
}

// transport answers requests at once.
type transport struct{ w work }

var answer = &http.Response{StatusCode: 200, Body: http.NoBody}

func (t transport) RoundTrip(*http.Request) (*http.Response, error) {
	v, err := t.w.do()
	_ = v
	return answer, err
}

func request() *http.Request {
	req, err := http.NewRequest("GET", "http://example.com/", nil)
	if err != nil {
		panic(err)
	}
	return req
}

// requests hedges HTTP requests: our row wraps a transport by hand, since there
// is no satellite for it.
var requests = []row{
	{"bedplate", func(delay time.Duration) func(work) func() (int, error) {
		h := hedge.MustNew(hedge.Config{Delay: delay})
		return func(w work) func() (int, error) {
			req, base := request(), transport{w}
			fn := func(ctx context.Context) (*http.Response, error) { return base.RoundTrip(req.WithContext(ctx)) }
			return func() (int, error) { return status(hedge.DoValue(bg, h, fn)) }
		}
	}},
	{"hedgedhttp", func(delay time.Duration) func(work) func() (int, error) {
		return func(w work) func() (int, error) {
			rt, err := hedgedhttp.NewRoundTripper(delay, 2, transport{w})
			if err != nil {
				panic(err)
			}
			req := request()
			return func() (int, error) { return status(rt.RoundTrip(req)) }
		}
	}},
}

func status(resp *http.Response, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	return 1, resp.Body.Close()
}

func serial(b *testing.B, rows []row) {
	for _, row := range rows {
		b.Run("peer="+row.peer, func(b *testing.B) {
			call := row.new(late)(work{})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func parallel(b *testing.B, rows []row) {
	for _, row := range rows {
		b.Run("peer="+row.peer, func(b *testing.B) {
			shared := row.new(late)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				call := shared(work{})
				for pb.Next() {
					if _, err := call(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkHedgeUsual(b *testing.B)            { serial(b, fixed) }
func BenchmarkHedgeUsualParallel(b *testing.B)    { parallel(b, fixed) }
func BenchmarkHedgeDetached(b *testing.B)         { serial(b, detached) }
func BenchmarkHedgeDetachedParallel(b *testing.B) { parallel(b, detached) }
func BenchmarkHedgeQuantile(b *testing.B)         { serial(b, quantile) }
func BenchmarkHedgeQuantileParallel(b *testing.B) { parallel(b, quantile) }
func BenchmarkHedgeHTTP(b *testing.B)             { serial(b, requests) }
func BenchmarkHedgeHTTPParallel(b *testing.B)     { parallel(b, requests) }

func TestRowsDoTheSameWork(t *testing.T) {
	for name, rows := range map[string][]row{"fixed": fixed, "detached": detached, "quantile": quantile, "http": requests} {
		for _, row := range rows {
			t.Run(name+"/"+row.peer, func(t *testing.T) {
				var calls atomic.Int32
				call := row.new(late)(work{&calls})
				for n := range int32(5) {
					v, err := call()
					require.NoError(t, err)
					require.Equal(t, 1, v)
					require.Equal(t, n+1, calls.Load())
				}
			})
		}
	}
}
