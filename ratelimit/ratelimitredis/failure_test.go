package ratelimitredis_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimitredis"
)

// event is one admission: it happened between the two times.
type event struct{ asked, told time.Time }

// mostIn returns the most events that were in some window for certain.
func mostIn(events []event, window time.Duration) int {
	slices.SortFunc(events, func(a, b event) int { return a.asked.Compare(b.asked) })
	most := 0
	for i := range events {
		end, n := events[i].asked.Add(window), 0
		for _, e := range events[i:] {
			if !e.asked.Before(end) {
				break
			}
			if e.told.Before(end) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// load is what callers saw who took permits all the time.
type load struct {
	mu       sync.Mutex // guards the following
	events   []event
	longest  time.Duration
	degraded int
	calls    int
	errs     []error
}

// press has many callers take permits of a key until ctx is done.
func (l *load) press(ctx context.Context, s ratelimit.Store, key string, callers int) {
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				asked := time.Now()
				d, err := s.Take(context.Background(), key, 1)
				told := time.Now()
				l.mu.Lock()
				l.calls++
				l.longest = max(l.longest, told.Sub(asked))
				if err != nil {
					l.errs = append(l.errs, err)
				}
				if d.Degraded {
					l.degraded++
				}
				if d.Allowed {
					l.events = append(l.events, event{asked, told})
				}
				l.mu.Unlock()
				<-time.After(time.Millisecond)
			}
		})
	}
	wg.Wait()
}

// A server that is killed, stopped, and started again under load: no call waits
// beyond its timeout, and no more is admitted than the server and this process
// have to give.
func TestTroubleWithTheServerUnderLoad(t *testing.T) {
	t.Parallel()
	const (
		limit, instances = 60, 3
		window           = 3 * time.Second
		timeout          = 100 * time.Millisecond
		slack            = 150 * time.Millisecond // for a machine that does other things
		quarter          = 500 * time.Millisecond
	)
	durable := []string{"--appendonly", "yes", "--appendfsync", "always"}
	for name, c := range map[string]struct {
		client  redis.Options
		trouble func(s *server)
		cure    func(s *server)
	}{
		"killed":  {redis.Options{ContextTimeoutEnabled: true}, (*server).kill, (*server).begin},
		"stopped": {redis.Options{ContextTimeoutEnabled: true}, func(s *server) { s.signal(syscall.SIGSTOP) }, func(s *server) { s.signal(syscall.SIGCONT) }},
		"stopped, with a client that waits longer": {
			redis.Options{ReadTimeout: time.Second},
			func(s *server) { s.signal(syscall.SIGSTOP) }, func(s *server) { s.signal(syscall.SIGCONT) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, durable...)
			c.client.Addr = server.addr
			client := redis.NewClient(&c.client)
			defer func() { require.NoError(t, client.Close()) }()
			s := open(t, ratelimitredis.Config{
				Client: client, Limits: []ratelimit.Limit{ratelimit.Per(limit, window)},
				Timeout: timeout, Instances: instances, OpenFor: 100 * time.Millisecond,
				Denials: -1, // which would answer for the server most of the time
			})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var l load
			var wg sync.WaitGroup
			wg.Go(func() { l.press(ctx, s, "key", 8) })
			<-time.After(quarter)
			c.trouble(server)
			<-time.After(2 * quarter)
			c.cure(server)
			require.Eventually(t, func() bool {
				d, err := s.Take(context.Background(), "another", 0)
				return err == nil && !d.Degraded
			}, 10*time.Second, 20*time.Millisecond, "it finds the server again")
			<-time.After(quarter)
			cancel()
			wg.Wait()
			require.Empty(t, l.errs)
			require.Less(t, l.longest, timeout+slack, "no call waits beyond its timeout")
			require.Positive(t, l.degraded)
			require.GreaterOrEqual(t, len(l.events), limit)
			require.LessOrEqual(t, mostIn(l.events, window), limit+limit/instances)
		})
	}
}

// hang is a server that takes connections and never answers.
func hang(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var conns []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

// gone is an address where no server is.
func gone(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestOnErrorDecides(t *testing.T) {
	t.Parallel()
	for way, c := range map[ratelimitredis.OnError]struct{ admitted, errs int }{
		ratelimitredis.FallbackLocal: {admitted: 4}, // of 10 for three
		ratelimitredis.FailOpen:      {admitted: 20},
		ratelimitredis.FailClosed:    {errs: 20},
	} {
		t.Run(way.String(), func(t *testing.T) {
			var failures []error
			s := open(t, ratelimitredis.Config{
				Client: connect(t, gone(t)), Limits: []ratelimit.Limit{ratelimit.Per(10, time.Hour)}, OnError: way, Instances: 3,
				OnFailure: func(err error) { failures = append(failures, err) }, FailuresToOpen: 3, OpenFor: time.Hour,
			})
			admitted, errs := 0, 0
			for i := range 20 {
				d, err := s.Take(t.Context(), "a", 1)
				require.True(t, d.Degraded)
				if d.Allowed {
					admitted++
				}
				if err == nil {
					continue
				}
				errs++
				require.ErrorIs(t, err, ratelimit.ErrStore)
				var e *ratelimitredis.StoreError
				require.ErrorAs(t, err, &e)
				if i >= 3 {
					require.ErrorIs(t, err, breaker.ErrOpen)
					require.Greater(t, e.RetryAfter(), 50*time.Minute)
				}
			}
			require.Equal(t, c.admitted, admitted)
			require.Equal(t, c.errs, errs)
			require.Len(t, failures, 3, "then the server is left alone")
			require.ErrorIs(t, failures[0], ratelimit.ErrStore)
			st := s.Stats()
			require.Equal(t, "open", st.Circuit)
			require.EqualValues(t, 3, st.Failed)
			require.EqualValues(t, 20, st.Degraded)
			require.EqualValues(t, admitted, st.Allowed)
		})
	}
}

func TestCallersDoNotEachWaitForAServerThatHangs(t *testing.T) {
	t.Parallel()
	s := open(t, ratelimitredis.Config{
		Client: connect(t, hang(t)), Timeout: 50 * time.Millisecond, FailuresToOpen: 2, OpenFor: time.Hour,
	})
	for i := range 1000 {
		start := time.Now()
		d, err := s.Take(t.Context(), "a", 1)
		require.NoError(t, err)
		require.True(t, d.Degraded)
		if i >= 2 {
			require.Less(t, time.Since(start), 40*time.Millisecond)
		}
	}
	require.EqualValues(t, 2, s.Stats().Failed)
}

func TestACallerThatLeavesDoesNotWaitNorCount(t *testing.T) {
	t.Parallel()
	s := open(t, ratelimitredis.Config{Client: connect(t, hang(t)), Timeout: time.Second, OnError: ratelimitredis.FailClosed})
	cause := errors.New("hung up")
	ctx, cancel := context.WithCancelCause(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := s.Take(context.Background(), "a", 1)
		first <- err
	}()
	time.AfterFunc(30*time.Millisecond, func() { cancel(cause) })
	start := time.Now()
	_, err := s.Take(ctx, "a", 1)
	require.Less(t, time.Since(start), 500*time.Millisecond)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, ratelimit.ErrStore)
	require.ErrorIs(t, <-first, ratelimitredis.ErrTimeout, "another's end is its own")
	require.EqualValues(t, 1, s.Stats().Failed)
}

func TestARefundWithoutTheServerIsGivenToThisProcess(t *testing.T) {
	t.Parallel()
	s := open(t, ratelimitredis.Config{Client: connect(t, gone(t)), Limits: []ratelimit.Limit{ratelimit.Per(2, time.Hour)}})
	take := func() bool {
		d, err := s.Take(t.Context(), "a", 1)
		require.NoError(t, err)
		return d.Allowed
	}
	require.True(t, take())
	require.True(t, take())
	require.False(t, take())
	require.ErrorIs(t, s.Refund(t.Context(), "a", 1), ratelimit.ErrStore)
	require.True(t, take())
	require.False(t, take())
	require.ErrorIs(t, s.Reset(t.Context(), "a"), ratelimit.ErrStore)
	require.True(t, take())
}

func TestCloseRefusesAndWaits(t *testing.T) {
	t.Parallel()
	m := startMini(t)
	s := open(t, ratelimitredis.Config{Client: connect(t, m.Addr())})
	_, err := s.Take(t.Context(), "a", 1)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.NoError(t, s.Drain(t.Context()))
	_, err = s.Take(t.Context(), "a", 1)
	require.ErrorIs(t, err, ratelimitredis.ErrClosed)
	require.ErrorIs(t, s.Refund(t.Context(), "a", 1), ratelimitredis.ErrClosed)
	require.ErrorIs(t, s.Reset(t.Context(), "a"), ratelimitredis.ErrClosed)

	s = open(t, ratelimitredis.Config{Client: connect(t, hang(t)), Timeout: 300 * time.Millisecond})
	done := make(chan struct{})
	go func() { defer close(done); _, _ = s.Take(context.Background(), "a", 1) }()
	<-time.After(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Drain(ctx), context.DeadlineExceeded, "it waits for the call under way")
	require.NoError(t, s.Close(), "which ends")
	<-done
}

// All at once, with the race detector: callers that cancel, refund, reset.
func TestStorm(t *testing.T) {
	t.Parallel()
	m := startMini(t)
	s := open(t, ratelimitredis.Config{
		Client: connect(t, m.Addr()), Limits: []ratelimit.Limit{ratelimit.Per(50, time.Hour), ratelimit.Rate(80, time.Hour, 80)},
		Timeout: 10 * time.Second, Lease: ratelimitredis.Lease{Permits: 3, For: time.Hour},
	})
	var wg sync.WaitGroup
	var calls atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			for j := range 60 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(j%7)*time.Millisecond)
				key := string(rune('a' + (i+j)%3))
				switch (i + j) % 6 {
				case 0:
					_ = s.Refund(ctx, key, 1)
				case 1:
					if j%10 == 0 {
						_ = s.Reset(ctx, key)
					}
				default:
					d, err := s.Take(ctx, key, 1+j%2)
					if err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v", err)
					}
					if d.Degraded {
						t.Error("degraded")
					}
				}
				calls.Add(1)
				cancel()
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 480, calls.Load())
	d, err := s.Take(t.Context(), "a", 0)
	require.NoError(t, err)
	require.LessOrEqual(t, d.Remaining, 50)
}
