package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
)

// All methods on a few keys at once, with limits of every kind, while keys
// come and go: nothing races, hangs or is left.
func TestEverythingAtOnce(t *testing.T) {
	for name, limits := range map[string][]ratelimit.Limit{
		"window":  {ratelimit.Per(50, 3*time.Millisecond)},
		"stepped": {ratelimit.Per(300, 3*time.Millisecond)},
		"gcra":    {ratelimit.Rate(50, 3*time.Millisecond, 20)},
		"mixed": {
			ratelimit.Per(50, 3*time.Millisecond), ratelimit.Rate(500, 20*time.Millisecond, 100),
			{N: 10, Window: time.Millisecond, Shadow: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			gold := ratelimit.MustNewPlan(ratelimit.Per(1000, time.Millisecond))
			k := ratelimit.MustNew(ratelimit.Config[int]{
				Limits: limits, MaxKeys: 40, MaxWaiting: 4, MaxWait: time.Millisecond,
				PlanFor: func(key int) *ratelimit.Plan {
					switch key % 10 {
					case 7:
						return gold
					case 8:
						return ratelimit.Unlimited()
					}
					return nil
				},
				Hooks: ratelimit.Hooks{OnLimited: func(e ratelimit.Limited) { runtime.Gosched() }},
			})
			s := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: limits, MaxWaiting: 4, MaxWait: time.Millisecond})
			ctx, cancel := context.WithCancel(context.Background())
			var sweeper sync.WaitGroup
			sweeper.Go(func() { _ = k.Run(ctx) })
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(g), 1))
					for range 400 {
						oneCall(ctx, t, rng, k, s)
					}
				})
			}
			wg.Wait()
			cancel()
			sweeper.Wait()
			require.Zero(t, k.Stats().Waiting)
			require.Zero(t, s.Stats().Waiting)
			require.LessOrEqual(t, k.Stats().Keys, 40)
		})
	}
}

// oneCall calls some method of both.
func oneCall(ctx context.Context, t *testing.T, rng *rand.Rand, k *ratelimit.Limiter[int], s *ratelimit.Single) {
	t.Helper()
	key, n := rng.IntN(60), rng.IntN(4)
	short, stop := context.WithTimeout(ctx, time.Duration(rng.IntN(500))*time.Microsecond)
	defer stop()
	if rng.IntN(3) == 0 {
		go stop()
	}
	check := func(err error) {
		if err != nil && !errors.Is(err, ratelimit.ErrLimited) && short.Err() == nil {
			t.Errorf("unexpected: %v", err)
		}
	}
	switch rng.IntN(14) {
	case 0, 1:
		k.Allow(key)
		s.Allow()
	case 2:
		k.Take(key, n)
		s.Take(n)
	case 3:
		k.TakeAtMost(key, n)
		s.TakeAtMost(n)
	case 4:
		k.Peek(key)
		s.Peek()
	case 5:
		k.Refund(key, n)
		s.Refund(n)
	case 6:
		if rng.IntN(10) == 0 {
			k.Reset(key)
			s.Reset()
		}
	case 7, 8:
		check(k.WaitN(short, key, n))
		check(s.WaitN(short, n))
	case 9:
		check(k.Do(short, key, nothing))
		check(s.Do(short, nothing))
	case 10, 11:
		r, err := k.Reserve(key, n)
		check(err)
		u, err := s.Reserve(n)
		check(err)
		runtime.Gosched()
		r.Cancel()
		u.Cancel()
	case 12:
		at := time.Now().Add(-time.Duration(rng.IntN(1e6)))
		k.AllowAt(key, at)
		s.AllowAt(at)
	case 13:
		k.Stats()
		s.Stats()
	}
}

// Permits that are taken and given back at the same time from everywhere: in
// the end all that were not given back are gone, and no other.
func TestRefundsBalanceUnderContention(t *testing.T) {
	for name, limit := range map[string]ratelimit.Limit{
		"window": ratelimit.Per(200, time.Hour), "stepped": ratelimit.Per(1000, time.Hour), "gcra": ratelimit.Rate(200, 10_000*time.Hour, 200),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(0, limit)
			var kept [2]atomic.Int64
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(g), 2))
					for range 500 {
						n := rng.IntN(3) + 1
						keep := rng.IntN(20) == 0
						if p.keyed.Take("k", n).Allowed {
							if keep {
								kept[0].Add(int64(n))
							} else {
								p.keyed.Refund("k", n)
							}
						}
						if p.single.Take(n).Allowed {
							if keep {
								kept[1].Add(int64(n))
							} else {
								p.single.Refund(n)
							}
						}
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, int64(limit.N)-kept[0].Load(), p.keyed.Peek("k").Remaining)
			require.EqualValues(t, int64(limit.N)-kept[1].Load(), p.single.Peek().Remaining)
		})
	}
}

// Keys are independent, whichever shard they share: each gets exactly its own.
func TestKeysAreApartUnderContention(t *testing.T) {
	const keys, limit = 50, 20
	l := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{ratelimit.Per(limit, time.Hour)}})
	var admitted [keys]atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 3))
			for range 4000 {
				key := rng.IntN(keys)
				if l.Allow(key) {
					admitted[key].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for key := range admitted {
		require.EqualValues(t, limit, admitted[key].Load(), "key %d", key)
	}
	s := l.Stats()
	require.EqualValues(t, keys*limit, s.Allowed)
	require.EqualValues(t, 8*4000-keys*limit, s.Limited)
}

// With all places taken and more keys than places, from everywhere at once.
func TestOverflowIsOneBudgetUnderContention(t *testing.T) {
	l := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{ratelimit.Per(10, time.Hour)}, MaxKeys: 16})
	var admitted, outside atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				d := l.Take(i*8+g, 1)
				if d.Allowed {
					admitted.Add(1)
				}
				if d.Allowed && d.Overflow {
					outside.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 16+10, admitted.Load())
	require.EqualValues(t, 10, outside.Load())
	require.Equal(t, 16, l.Stats().Keys)
}

// A Single and a Limiter with one key are the same thing: every answer to the
// same requests at the same times is the same.
func TestSingleAnswersAsALimiterWithOneKey(t *testing.T) {
	plans := map[string][]ratelimit.Limit{
		"window":  {ratelimit.Per(5, time.Second)},
		"stepped": {ratelimit.Per(400, time.Second)},
		"gcra":    {ratelimit.Rate(5, time.Second, 3)},
		"both":    {ratelimit.Per(5, time.Second), ratelimit.Rate(20, 3*time.Second, 8)},
		"shadow":  {ratelimit.Per(5, time.Second), {Name: "dark", N: 2, Window: time.Second, Shadow: true}},
	}
	for name, limits := range plans {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, sleep func(time.Duration)) {
				rng := rand.New(rand.NewPCG(21, 22))
				p := newPair(0, limits...)
				for step := range 3000 {
					at := fmt.Sprintf("step %d", step)
					n := rng.IntN(4)
					switch rng.IntN(8) {
					case 0, 1:
						require.Equal(t, p.keyed.Take("k", n), p.single.Take(n), at)
					case 2:
						require.Equal(t, p.keyed.Allow("k"), p.single.Allow(), at)
					case 3:
						got, d := p.keyed.TakeAtMost("k", n)
						got2, d2 := p.single.TakeAtMost(n)
						require.Equal(t, got, got2, at)
						require.Equal(t, d, d2, at)
					case 4:
						require.Equal(t, p.keyed.Peek("k"), p.single.Peek(), at)
					case 5:
						if rng.IntN(3) == 0 {
							p.keyed.Refund("k", n)
							p.single.Refund(n)
						}
					case 6:
						now := time.Now().Add(-time.Duration(rng.IntN(3)) * time.Second)
						if len(limits) == 1 && limits[0].Algorithm == ratelimit.GCRA {
							now = time.Now() // without a lock it keeps no time of the last event
						}
						require.Equal(t, p.keyed.AllowAt("k", now), p.single.AllowAt(now), at)
					case 7:
						sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
					}
				}
			})
		})
	}
}

// Take, TakeAtMost and Peek agree with each other.
func TestAnswersAgree(t *testing.T) {
	for name, limit := range map[string]ratelimit.Limit{
		"window": ratelimit.Per(9, time.Second), "stepped": ratelimit.Per(700, time.Second), "gcra": ratelimit.Rate(9, time.Second, 7),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, sleep func(time.Duration)) {
				rng := rand.New(rand.NewPCG(31, 32))
				l := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{limit}})
				for range 2000 {
					before := l.Peek(1)
					n := rng.IntN(limit.N/3 + 1)
					require.Equal(t, before.Remaining > 0, before.Allowed)
					require.Equal(t, before.Allowed, before.RetryAfter == 0)
					require.LessOrEqual(t, before.RetryAfter, before.ResetAfter)
					if rng.IntN(2) == 0 {
						d := l.Take(1, n)
						require.Equal(t, n <= before.Remaining, d.Allowed)
						if d.Allowed {
							require.Equal(t, before.Remaining-n, d.Remaining)
						} else {
							require.Equal(t, before.Remaining, d.Remaining)
							require.Positive(t, d.RetryAfter)
						}
					} else {
						got, d := l.TakeAtMost(1, n)
						require.Equal(t, min(n, before.Remaining), got)
						if got > 0 {
							require.Equal(t, before.Remaining-got, d.Remaining)
						}
					}
					require.LessOrEqual(t, l.Stats().Keys, 1)
					sleep(time.Duration(rng.IntN(150)) * time.Millisecond)
				}
			})
		})
	}
}

// After ResetAfter everything is as if nothing had been.
func TestResetAfterIsWhenAllIsForgotten(t *testing.T) {
	for name, limit := range algorithms {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, sleep func(time.Duration)) {
				p := newPair(0, limit)
				for range 20 {
					p.keyed.Allow("k")
					p.single.Allow()
					sleep(333 * time.Millisecond)
				}
				p.exhaust()
				d, e := p.keyed.Peek("k"), p.single.Peek()
				require.Equal(t, d, e)
				require.Positive(t, d.ResetAfter)
				sleep(d.ResetAfter - 1)
				require.Less(t, p.keyed.Peek("k").Remaining, 2)
				require.Less(t, p.single.Peek().Remaining, 2)
				sleep(1)
				require.Equal(t, 2, p.keyed.Peek("k").Remaining)
				require.Equal(t, 2, p.single.Peek().Remaining)
				require.Zero(t, p.keyed.Peek("k").ResetAfter)
			})
		})
	}
}

// Keys of every kind that can be compared.
func TestKeysOfEveryKind(t *testing.T) {
	type point struct {
		name string
		x, y int
	}
	pointer := new(int)
	testKey(t, "string", "", "other")
	testKey(t, "int", 0, -1)
	testKey(t, "bool", true, false)
	testKey(t, "float", 1.5, -1.5)
	testKey(t, "array", [3]byte{1, 2, 3}, [3]byte{1, 2, 4})
	testKey(t, "struct", point{"a", 1, 2}, point{"a", 1, 3})
	testKey(t, "pointer", pointer, new(int))
	testKey[any](t, "interface", 1, "1")
	testKey[error](t, "error", errCause, errors.New("cause"))
	testKey(t, "channel", make(chan int), make(chan int))
}

func testKey[K comparable](t *testing.T, name string, a, b K) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		l := ratelimit.MustNew(ratelimit.Config[K]{Limits: []ratelimit.Limit{ratelimit.Per(3, time.Hour)}})
		for i := range 5 {
			require.Equal(t, i < 3, l.Allow(a))
		}
		require.Equal(t, 3, l.Peek(b).Remaining)
		require.True(t, l.Take(b, 3).Allowed)
		require.Equal(t, 2, l.Stats().Keys)
		l.Reset(a)
		require.Equal(t, 1, l.Stats().Keys)
		require.True(t, l.Allow(a))
		require.False(t, l.Allow(b))
		r, err := l.Reserve(b, 1)
		require.NoError(t, err)
		require.Positive(t, r.Delay())
		require.True(t, r.Cancel())
		require.Zero(t, l.Stats().Waiting)
	})
}
