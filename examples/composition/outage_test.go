package composition_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/retry"
)

// An outage of three hours: the breaker opens, callers wait for as long as it
// says, its probes find the dependency down or well, and all callers are served
// in the end, with nothing but probes having been sent meanwhile.
func TestOutageIsRiddenOutByRetriesThatObeyTheBreaker(t *testing.T) {
	const outage, openFor, callers = 3 * time.Hour, time.Minute, 40
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		since := func() time.Duration { return time.Since(start) }
		var path []breaker.State
		br := breaker.MustNew(breaker.Config{
			Name: "db", ConsecutiveFailures: 3, OpenFor: openFor, NoJitter: true, SuccessThreshold: 2,
			Hooks: breaker.Hooks{OnStateChange: func(e breaker.StateChange) { path = append(path, e.To) }},
		})
		bh := bulkhead.MustNew(bulkhead.Config{Limit: 2})
		conns := pool.MustNew(pool.Config[int]{Max: 1, Create: func(context.Context) (int, error) { return 1, nil }})
		refusals := 0
		events := make(chan retry.RetryEvent, 1)
		go func() {
			for e := range events {
				if errors.Is(e.Err, breaker.ErrOpen) {
					refusals++
				}
			}
		}()
		re := retry.MustNew(retry.Config{
			MaxAttempts: retry.Unlimited, BaseDelay: time.Second, MaxDelay: 10 * time.Second, MaxRetryAfter: 2 * openFor,
			Hooks: retry.Hooks{OnRetry: func(e retry.RetryEvent) {
				if after := retryAfter(e.Err); after > e.Delay {
					t.Errorf("waits for %v, and was told %v", e.Delay, after)
				}
				events <- e
			}},
		})
		var sent []time.Duration
		get := retry.Wrap(re, breaker.Wrap(br, bulkhead.Wrap(bh, func(ctx context.Context) (time.Duration, error) {
			return pool.Use(ctx, conns, func(context.Context, int) (time.Duration, error) { // one at a time
				now := since()
				sent = append(sent, now)
				time.Sleep(10 * time.Millisecond)
				if now < outage {
					return 0, errors.New("down")
				}
				return now, nil
			})
		})))
		served := make(chan time.Duration, callers)
		for range callers {
			go func() {
				at, err := get(t.Context())
				if err != nil {
					t.Errorf("a caller is told %v", err)
				}
				served <- at
			}()
		}
		for range callers {
			at := <-served
			require.GreaterOrEqual(t, at, outage)
			require.Less(t, at, outage+3*openFor)
		}
		close(events)
		synctest.Wait()

		require.Equal(t, breaker.Closed, br.State())
		probes := int(outage / openFor)
		tooMany := 0
		for _, at := range sent {
			if at < outage {
				tooMany++
			}
		}
		require.LessOrEqual(t, tooMany, callers+probes, "but for those that came at first, one probe each time that the breaker was open for a minute")
		require.Greater(t, tooMany, probes/2)
		for i, to := range path[:len(path)-1] {
			switch to {
			case breaker.Open:
				require.Equal(t, breaker.HalfOpen, path[i+1])
			case breaker.HalfOpen:
				require.NotEqual(t, breaker.HalfOpen, path[i+1])
			default:
				t.Errorf("the breaker has closed before the end: %v", path)
			}
		}
		st := br.Stats()
		require.EqualValues(t, tooMany, st.Failures+st.Ignored)
		require.GreaterOrEqual(t, st.Refused, uint64(refusals))
		require.EqualValues(t, callers, re.Stats().Recovered)
		require.Zero(t, re.Stats().GaveUp)
		require.Equal(t, uint64(tooMany)+st.Refused, re.Stats().Retries, "each failure and each refusal was tried again")
		require.Zero(t, bh.Stats().InUse)
		require.NoError(t, conns.Close())
		require.NoError(t, bh.Close())
	})
}
