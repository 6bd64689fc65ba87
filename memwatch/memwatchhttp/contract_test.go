package memwatchhttp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchhttp"
)

var errCause = errors.New("cause")

// runFor runs w for some time of the bubble.
func runFor(t *testing.T, w *memwatch.Watcher, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	require.ErrorIs(t, w.Run(ctx), context.DeadlineExceeded)
}

// stalled is a connection whose reader does not read, until the deadline.
type stalled struct {
	http.ResponseWriter
	deadline time.Time
}

func (s *stalled) Write([]byte) (int, error) {
	<-time.After(time.Until(s.deadline))
	return 0, os.ErrDeadlineExceeded
}

func (s *stalled) SetWriteDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

// stuck opens a stream whose reader does not read.
func stuck(t *testing.T, h *memwatchhttp.Handler) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(&stalled{ResponseWriter: httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/stream", nil))
	}()
	t.Cleanup(func() { <-done })
	synctest.Wait()
	require.Equal(t, 1, h.Stats().Streams)
}

// A request that is over before it begins does nothing.
func TestContractDoneBeforeCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := handler(t, memwatchhttp.Config{})
	for method, path := range map[string]string{http.MethodGet: "/profile/heap", http.MethodPost: "/confirm"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil).WithContext(ctx))
		require.Zero(t, w.Body.Len())
	}
	require.Equal(t, memwatchhttp.Stats{}, h.Stats())
}

// A stream that waits for the next point ends at once when its request does.
func TestContractDoneWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{Interval: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan time.Time, 1)
		go func() {
			w := &broken{httptest.NewRecorder(), 1000}
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/stream", nil).WithContext(ctx))
			done <- time.Now()
		}()
		synctest.Wait()
		require.Equal(t, 1, h.Stats().Streams)
		time.Sleep(time.Second)
		cancel()
		require.Equal(t, time.Now(), <-done)
		require.Zero(t, h.Stats().Streams)
	})
}

// The error of Drain matches ctx.Err() and context.Cause(ctx).
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{WriteTimeout: time.Hour})
		stuck(t, h)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errCause)
		err := h.Drain(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errCause)
		late, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		err = h.Drain(late)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// There is no function of the user; what a request does is under its context,
// and so under that of the server.
func TestContractFnContextDerives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{})
		base, cancel := context.WithCancelCause(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := httptest.NewRequest(http.MethodGet, "/stream", nil).WithContext(context.WithValue(base, &errCause, 1))
			h.ServeHTTP(&broken{httptest.NewRecorder(), 1000}, r)
		}()
		synctest.Wait()
		cancel(errCause)
		<-done
	})
}

// One stream that ends leaves the others alone, also the one whose turn it was.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := serve(t, handler(t, memwatchhttp.Config{}), nil)
		first, second := site.open(t), site.open(t)
		first.until(t, "sample")
		second.until(t, "sample")
		first.cancel()
		synctest.Wait()
		for seq := uint64(2); seq < 30; seq++ {
			require.Equal(t, seq, second.until(t, "sample").seq)
		}
	})
}

// What Drain returns at its deadline is a *DrainError that says what was left.
func TestContractFnErrorUnwrapped(t *testing.T) {
	err := error(&memwatchhttp.DrainError{Left: []string{"confirm", "stream"}, Err: errCause})
	require.Equal(t, errCause, errors.Unwrap(err))
	require.EqualError(t, err, "memwatchhttp: drain left 2 requests (confirm, stream): cause")
}

// explosive is a ResponseWriter that panics, or ends its goroutine.
type explosive struct {
	broken
	goexit bool
}

func (e *explosive) Write([]byte) (int, error) {
	if e.goexit {
		runtime.Goexit()
	}
	panic(errCause)
}

// A panic or Goexit passes through, and what the request held is released.
func TestContractPanicAndGoexit(t *testing.T) {
	h := handler(t, memwatchhttp.Config{MaxStreams: 1})
	for _, path := range []string{"/stream", "/profile/heap", "/report.json", "/stream"} {
		for _, goexit := range []bool{false, true} {
			var recovered any
			var wg sync.WaitGroup
			wg.Go(func() {
				defer func() { recovered = recover() }()
				h.ServeHTTP(&explosive{broken{httptest.NewRecorder(), 0}, goexit}, httptest.NewRequest(http.MethodGet, path, nil))
			})
			wg.Wait()
			if !goexit {
				require.Equal(t, errCause, recovered, path)
			}
		}
	}
	require.Zero(t, h.Stats().Streams)
	require.Equal(t, uint64(2), h.Stats().Profiles, "the first did not keep the second out")
	require.NoError(t, h.Drain(t.Context()), "nobody is inside")
}

func TestContractCloseIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{})
		ended := serve(t, h, nil).open(t).discard()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := h.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.NoError(t, <-ended)
		require.NoError(t, h.Close())
		require.NoError(t, h.Drain(t.Context()), "after Close")
	})
}

func TestContractClosedRefuses(t *testing.T) {
	for name, end := range map[string]func(*memwatchhttp.Handler) error{
		"Close": (*memwatchhttp.Handler).Close,
		"Drain": func(h *memwatchhttp.Handler) error { return h.Drain(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			h := handler(t, memwatchhttp.Config{})
			require.NoError(t, end(h))
			for _, path := range append([]string{"stream"}, paths...) {
				w := do(h, http.MethodGet, "/"+path)
				require.Equal(t, http.StatusServiceUnavailable, w.Code, path)
				require.Equal(t, "2", w.Header().Get("Retry-After"))
			}
			require.Equal(t, http.StatusServiceUnavailable, do(h, http.MethodPost, "/confirm").Code)
			require.Equal(t, memwatchhttp.Stats{}, h.Stats())
		})
	}
}

func TestContractDrainDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{WriteTimeout: 3 * time.Second})
		stuck(t, h)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		err := h.Drain(ctx)
		require.Equal(t, time.Second, time.Since(begin))
		var left *memwatchhttp.DrainError
		require.ErrorAs(t, err, &left)
		require.Equal(t, []string{"stream"}, left.Left)

		// The write's own deadline ends it, and a Drain that waits so long is
		// told, as is another at the same time.
		other := make(chan error, 1)
		go func() { other <- h.Drain(context.Background()) }()
		require.NoError(t, h.Drain(t.Context()))
		require.NoError(t, <-other)
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.Zero(t, h.Stats().Streams)
		require.Equal(t, uint64(1), h.Stats().Dropped)
	})
}

// All at once, with streams that come and go.
func TestStormOfReadersAndCancellations(t *testing.T) {
	h := handler(t, memwatchhttp.Config{Interval: 10 * time.Millisecond, MaxStreams: 4, Pace: time.Millisecond})
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(10+5*i)*time.Millisecond)
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/stream", nil)
				if err != nil {
					t.Error(err)
				}
				if resp, err := http.DefaultClient.Do(r); err == nil {
					s := &stream{Response: resp, lines: newReader(resp)}
					var last uint64
					for e, err := s.next(); err == nil; e, err = s.next() {
						if e.name == "sample" && e.seq <= last {
							t.Errorf("%d after %d", e.seq, last)
						} else if e.name == "sample" {
							last = e.seq
						}
					}
					resp.Body.Close()
				}
				cancel()
			}
		})
		wg.Go(func() {
			for range 5 {
				do(h, http.MethodGet, "/report.json")
				do(h, http.MethodGet, "/profile/heap")
				do(h, http.MethodPost, "/confirm")
				h.Stats()
			}
		})
	}
	wg.Wait()
	require.NoError(t, h.Drain(t.Context()))
	require.Zero(t, h.Stats().Streams)
	http.DefaultClient.CloseIdleConnections()
}
