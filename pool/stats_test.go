package pool_test

import (
	"context"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

func TestStatsBounds(t *testing.T) {
	var h pool.Histogram
	require.Equal(t, time.Microsecond, h.Bound(0))
	require.Equal(t, time.Microsecond, h.Bound(-1))
	require.Equal(t, 2*time.Microsecond, h.Bound(1))
	require.Equal(t, 67108864*time.Microsecond, h.Bound(pool.Buckets-2))
	require.Equal(t, time.Duration(math.MaxInt64), h.Bound(pool.Buckets-1))
	require.Equal(t, time.Duration(math.MaxInt64), h.Bound(1000))
}

// Each wait, creation and check is in the bucket that its bound says.
func TestStatsHistograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Name: "db", Max: 1, CheckAfter: time.Millisecond, AcquireTimeout: time.Hour})
		w.createTime, w.checkTime = 3*time.Millisecond, 5*time.Microsecond
		l := mustAcquire(t, p)
		var (
			waits []time.Duration
			h     pool.Histogram
		)
		for i := range pool.Buckets - 1 {
			for _, d := range []time.Duration{h.Bound(i), h.Bound(i) + 1} {
				c := call(t, p)
				time.Sleep(d)
				require.NoError(t, l.Release())
				synctest.Wait()
				require.NoError(t, c.err())
				l = c.lease()
				waits = append(waits, d)
			}
		}
		require.NoError(t, l.Release())
		time.Sleep(time.Second)
		require.NoError(t, mustAcquire(t, p).Release())

		s := p.Stats()
		sum := 3*time.Millisecond + 5*time.Microsecond
		for _, d := range waits {
			sum += d
		}
		require.Equal(t, sum, s.Waits.Sum)
		require.EqualValues(t, len(waits)+2, s.Waits.Count)
		require.EqualValues(t, 1, s.Waits.Buckets[0])
		for i := 1; i < pool.Buckets-1; i++ {
			want := 2
			if i == 3 || i == 12 { // the first caller waited for a check, or creation, of 5 µs and 3 ms
				want = 3
			}
			require.EqualValues(t, want, s.Waits.Buckets[i], "bucket %d", i)
		}
		require.EqualValues(t, 1, s.Waits.Buckets[pool.Buckets-1])
		require.Equal(t, pool.Histogram{Count: 1, Sum: 3 * time.Millisecond, Buckets: [pool.Buckets]uint64{12: 1}}, s.Creates)
		require.Equal(t, pool.Histogram{Count: 1, Sum: 5 * time.Microsecond, Buckets: [pool.Buckets]uint64{3: 1}}, s.Checks)

		text, err := json.Marshal(s)
		require.NoError(t, err)
		var back pool.Stats
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, s, back)
		require.Contains(t, string(text), `"in_use":0`)
	})
}

func TestStatsCountWhatCallersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 1, MaxWaiting: 1, AcquireTimeout: time.Minute})
		l := mustAcquire(t, p)
		c := call(t, p)
		_, full := p.Acquire(t.Context())
		require.ErrorIs(t, full, pool.ErrFull)
		require.EqualError(t, full, "pool: too many waiting: waited 0s, 1 of 1 in use, 1 waiting, oldest held 0s")
		c.cancel()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Acquire(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = p.Acquire(t.Context())
		require.ErrorIs(t, err, pool.ErrTimeout)
		w.set(func(w *world) { w.createErr = errDown })
		require.NoError(t, l.Discard())
		_, err = p.Acquire(t.Context())
		require.ErrorIs(t, err, pool.ErrDown)
		s := p.Stats()
		require.Equal(t, []uint64{1, 1, 2, 2}, []uint64{s.Acquired, s.Canceled, s.TimedOut, s.Refused})
		require.Equal(t, []uint64{1, 1}, []uint64{s.Created, s.CreateFailed})
	})
}

func TestReasonsHaveNames(t *testing.T) {
	for r, want := range map[pool.Reason]string{
		pool.Idle: "idle", pool.Expired: "expired", pool.Broken: "broken", pool.Discarded: "discarded", pool.Evicted: "evicted",
		pool.Outdated: "outdated", pool.Surplus: "surplus", pool.Reclaimed: "reclaimed", pool.Closed: "closed",
		pool.Closed + 1: "unknown", -1: "unknown",
	} {
		require.Equal(t, want, r.String())
	}
	for r := pool.Idle; r <= pool.Closed; r++ {
		_, ok := reflect.TypeFor[pool.Stats]().FieldByNameFunc(func(name string) bool {
			return strings.EqualFold(name, "Destroyed"+r.String())
		})
		require.True(t, ok, "Stats counts those destroyed as %v", r)
	}
}

// Everything an AcquireError knows stands in its one line.
func TestAcquireErrorSaysEverything(t *testing.T) {
	e := &pool.AcquireError{
		Name: "db", Err: pool.ErrTimeout, Waited: 10 * time.Second, InUse: 9, Creating: 1, Closing: 2, Max: 12, Waiting: 34,
		OldestHold: 42123456789, OldestHolder: "main.report (report.go:17)", CreateErr: errDown,
	}
	require.EqualError(t, e, "pool: db: acquire timed out: waited 10s, 9 of 12 in use, 1 being created, 2 closing, 34 waiting, "+
		"oldest held 42.12s by main.report (report.go:17); last create: connection refused")
	require.ErrorIs(t, e, pool.ErrTimeout)
	require.NotErrorIs(t, e, errDown, "which is not why")
	e.Err, e.Retry = pool.ErrDown, time.Second
	require.ErrorIs(t, e, errDown)
	require.Equal(t, time.Second, e.RetryAfter())
	require.NotErrorIs(t, e, pool.ErrTimeout)
}
