package ratelimit_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
)

// Allow has shorter ways than Take: with a refusal it notes how long it holds.
// Whatever brings permits back, its answers are those of the model.
func TestAllowAnswersAsTheModelWhateverComesBack(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(11, seed))
			limit := 1 + rng.IntN(12)
			window := time.Second
			o := &oracle{limit: limit, window: window}
			l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(limit, window)}})
			start := time.Now()
			for range 300 {
				time.Sleep([]time.Duration{0, 0, 0, 1, window / 50, window / 7, window - 1, window, 5 * window}[rng.IntN(9)])
				now := time.Since(start)
				switch op := rng.IntN(12); {
				case op == 0:
					n := rng.IntN(limit + 1)
					l.Refund("a", n)
					o.refund(n, now)
				case op == 1 && rng.IntN(4) == 0:
					l.Reset("a")
					o.log = nil
				case op == 2:
					r, err := l.Reserve("a", 1)
					if o.wait(1, now) == 0 {
						require.NoError(t, err)
						require.True(t, r.Cancel(), "nothing came after it")
					} else if err == nil {
						require.False(t, l.Allow("a"), "it is behind the reservation")
						require.True(t, r.Cancel())
					}
				default:
					want := o.wait(1, now) == 0
					require.Equal(t, want, l.Allow("a"))
					if want {
						o.add(1, now)
					}
				}
			}
		})
	}
}

// What has left the window may stay in the ring while there is room, and yet
// never so long that its stamp, 32 bits of a tick, could be taken for a younger
// one: after bursts that make the ring large, events come one by one for many
// laps of the stamps.
func TestWhatStaysInTheRingNeverCountsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, window = 100, time.Second // of 1 ns ticks, of which a stamp has 4.3 s
		rng := rand.New(rand.NewPCG(13, 1))
		o := &oracle{limit: limit, window: window}
		l := limiter(t, ratelimit.Per(limit, window))
		start := time.Now()
		allow := func() {
			now := time.Since(start)
			want := o.wait(1, now) == 0
			require.Equal(t, want, l.Allow("a"))
			if want {
				o.add(1, now)
			}
			require.Equal(t, limit-o.used(now), l.Peek("a").Remaining)
		}
		for range 100 {
			for range limit + 1 {
				allow()
			}
			for range rng.IntN(12) {
				time.Sleep(window - time.Duration(rng.IntN(3)*rng.IntN(int(window/2))))
				allow()
			}
			o.log = o.log[max(0, len(o.log)-3*limit):]
		}
	})
}

// Of a window in steps and of GCRA the model is Take.
func TestAllowAnswersAsTake(t *testing.T) {
	const limit = 300
	for name, limits := range map[string]ratelimit.Limit{
		"steps": ratelimit.Per(limit, time.Second), "gcra": ratelimit.Rate(limit, time.Second, limit), "gcra of one": ratelimit.Rate(limit, time.Second, 1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(12, 1))
				cfg := ratelimit.Config[string]{Limits: []ratelimit.Limit{limits}}
				a, b := ratelimit.MustNew(cfg), ratelimit.MustNew(cfg)
				for range 3000 {
					time.Sleep([]time.Duration{0, 1, time.Second / 255, time.Second / limit, time.Second / 9}[rng.IntN(5)])
					if n := rng.IntN(limit); rng.IntN(20) == 0 {
						a.Refund("k", n)
						b.Refund("k", n)
					}
					if n := rng.IntN(limit); rng.IntN(4) == 0 {
						require.Equal(t, a.Take("k", n), b.Take("k", n))
					}
					require.Equal(t, a.Take("k", 1).Allowed, b.Allow("k"))
				}
			})
		})
	}
}
