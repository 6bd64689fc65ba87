package ratelimit_test

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
)

// What went wrong elsewhere, and must not here.

func TestAShortWindowRefillsCompletely(t *testing.T) {
	const limit = 65_535
	l := limiter(t, ratelimit.Per(limit, 100*time.Millisecond))
	start := time.Now()
	for i := range 5 {
		at := start.Add(time.Duration(i) * 101 * time.Millisecond)
		require.True(t, l.TakeAt("a", limit, at).Allowed, "window %d", i)
		require.False(t, l.AllowAt("a", at))
	}
}

func TestMillionsAnHourDoNotOverflow(t *testing.T) {
	for _, limit := range []ratelimit.Limit{
		ratelimit.Per(5_000_000, time.Hour), ratelimit.Per(math.MaxInt32, time.Hour),
		ratelimit.Rate(5_000_000, time.Hour, 5_000_000), ratelimit.Per(math.MaxInt32, 10*365*24*time.Hour),
	} {
		l := limiter(t, limit)
		start := time.Now()
		require.True(t, l.TakeAt("a", limit.N, start).Allowed)
		d := l.TakeAt("a", 1, start)
		require.False(t, d.Allowed)
		require.Positive(t, d.RetryAfter)
		require.LessOrEqual(t, d.RetryAfter, limit.Window+limit.Window/200)
		require.True(t, l.AllowAt("a", start.Add(d.RetryAfter)))
	}
}

// A limit of 17 per 30 s must not let 32 through, as a bucket with that burst
// does.
func TestAWindowIsNotABucket(t *testing.T) {
	l := limiter(t, ratelimit.Per(17, 30*time.Second))
	start := time.Now()
	admitted := 0
	for at := time.Duration(0); at < 30*time.Second; at += 10 * time.Millisecond {
		if l.AllowAt("a", start.Add(at)) {
			admitted++
		}
	}
	require.Equal(t, 17, admitted)
}

// The first window of a limiter is as strict as any other.
func TestTheFirstWindowIsStrict(t *testing.T) {
	s := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{ratelimit.Per(10, time.Hour)}})
	admitted := 0
	for range 100 {
		if s.Allow() {
			admitted++
		}
	}
	require.Equal(t, 10, admitted)
}

// Calls that swap their times back and forth got 200 permits of at most 20.
func TestAlternatingTimesMakeNoPermits(t *testing.T) {
	for name, limit := range map[string]ratelimit.Limit{
		"window": ratelimit.Per(10, time.Second), "gcra": ratelimit.Rate(10, time.Second, 10),
	} {
		t.Run(name, func(t *testing.T) {
			l := limiter(t, limit)
			now, past := time.Now(), time.Now().Add(-10*time.Second)
			admitted := 0
			for range 100 {
				for _, at := range []time.Time{now, past} {
					if l.AllowAt("a", at) {
						admitted++
					}
				}
			}
			require.Equal(t, 10, admitted)
		})
	}
}

// Losing races is not an error: with any number of callers all permits are
// handed out, by lock-free and locked calls mixed.
func TestContentionIsNotARefusal(t *testing.T) {
	const limit = 4000
	s := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{ratelimit.Rate(limit, time.Hour, limit)}})
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for range 200 {
				ok := false
				switch i % 4 {
				case 0:
					ok = s.Allow()
				case 1:
					ok = s.Take(1).Allowed
				case 2:
					n, _ := s.TakeAtMost(1) // by the lock
					ok = n == 1
				case 3:
					s.Peek()
					ok = s.Allow()
				}
				if ok {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, limit, admitted.Load())
	require.EqualValues(t, 4000, s.Stats().Limited)
}

// Many keys with long common parts, whose short hashes collide: each has its
// own budget.
func TestKeysNeverShareABudget(t *testing.T) {
	l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(1, time.Hour)}})
	prefix := strings.Repeat("x", 100)
	for i := range 100_000 {
		require.True(t, l.Allow(prefix+strconv.Itoa(i)))
	}
	require.Equal(t, 100_000, l.Stats().Keys)
	for i := range 1000 {
		require.False(t, l.Allow(prefix+strconv.Itoa(i*97)))
	}
}

// A key that reaches its limit at a boundary while many others hammer it.
func TestTheBoundaryUnderContention(t *testing.T) {
	const limit = 100
	for _, l := range []ratelimit.Limit{ratelimit.Per(limit, 20*time.Millisecond), ratelimit.Per(300, 20*time.Millisecond)} {
		s := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{l}})
		k := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{l}})
		start := time.Now()
		var admitted [2]atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for time.Since(start) < 100*time.Millisecond {
					if s.Allow() {
						admitted[0].Add(1)
					}
					if k.Allow(1) {
						admitted[1].Add(1)
					}
				}
			})
		}
		wg.Wait()
		windows := int64(time.Since(start)/l.Window) + 1
		for i := range admitted {
			require.LessOrEqual(t, admitted[i].Load(), windows*int64(l.N))
		}
	}
}

// No key is kept for ten years: state goes with its window, memory with it.
func TestMemoryComesBackAfterAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(100, time.Second)}})
		before := heap()
		for i := range 50_000 {
			l.Take(fmt.Sprint("flood-", i), 3)
		}
		full := heap() - before
		time.Sleep(2 * time.Second)
		for rounds := 0; l.Stats().Keys > 64; rounds++ {
			require.Less(t, rounds, 50)
			for i := range 100_000 {
				l.Allow(strconv.Itoa(i % 64)) // on every shard, on some more often
			}
		}
		require.Less(t, heap()-before, full/10+1<<16)
		runtime.KeepAlive(l)
	})
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The bytes of a key, as the Performance section has them.
func TestBytesOfAKey(t *testing.T) {
	if strconv.IntSize != 64 {
		t.Skip("sizes are those of 64 bits")
	}
	const keys = 100_000
	names := make([]string, keys)
	for i := range names {
		names[i] = fmt.Sprintf("user-%010d", i) // 15 bytes, of which the limiter has a copy
	}
	for _, c := range []struct {
		what   string
		limit  ratelimit.Limit
		events int
		most   float64
	}{
		{"one event", ratelimit.Per(100, time.Hour), 1, 80},
		{"two events", ratelimit.Per(100, time.Hour), 2, 80},
		{"fifty events", ratelimit.Per(100, time.Hour), 50, 420},
		{"fifty of a million", ratelimit.Per(1_000_000, time.Hour), 50, 80},
		{"gcra", ratelimit.Rate(100, time.Hour, 100), 50, 80},
	} {
		t.Run(c.what, func(t *testing.T) {
			before := heap()
			l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{c.limit}})
			for _, name := range names {
				l.Take(name, c.events)
			}
			bytes := float64(heap()-before) / keys
			t.Logf("%s: %.1f bytes a key", c.what, bytes)
			require.Less(t, bytes, c.most)
			runtime.KeepAlive(l)
			runtime.KeepAlive(names)
		})
	}
}
