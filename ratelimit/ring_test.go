package ratelimit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// events are the stamps of a ring, one for each event, oldest first.
func (g *ring) events() []uint64 {
	var out []uint64
	for i := range int(g.c.n) {
		for range g.count(i) {
			out = append(out, g.tick(i))
		}
	}
	return out
}

func newRing(l Limit) *ring {
	r := l.compile()
	return &ring{r: &r, c: &cell{}, w: make([]uint32, inline)}
}

// A ring against a plain list of stamps, across growth and wraps.
func TestRingBehavesAsAList(t *testing.T) {
	for name, limit := range map[string]Limit{
		"exact": Per(256, time.Second), "forced": {N: 700, Window: time.Second, Exact: true},
		"stepped": Per(5000, time.Second), "one": Per(1, time.Second), "three": Per(3, time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			g := newRing(limit)
			g.ref = 1<<32 - 300 // the stamps wrap on the way
			var list []uint64
			for range 5000 {
				switch rng.IntN(5) {
				case 0, 1, 2:
					n := rng.IntN(min(limit.N, 20)) + 1
					if len(list)+n > limit.N {
						continue
					}
					g.ref += uint64(rng.IntN(3))
					if g.r.wide && int(g.c.n) == 256 && g.tick(255) != g.ref {
						continue // a full ring is never that, but for its last step
					}
					room := int(g.c.n) + n
					if g.r.wide {
						room = int(g.c.n) + 1
					}
					if room > g.slots() {
						g.move(make([]uint32, g.size(room)))
					}
					g.put(n)
					for range n {
						list = append(list, g.ref)
					}
				case 3:
					entries := rng.IntN(int(g.c.n) + 1)
					events := 0
					for i := range entries {
						events += g.count(i)
					}
					g.drop(entries, events)
					list = list[events:]
				case 4:
					n := rng.IntN(15)
					took := g.take(n)
					require.Equal(t, min(n, len(list)), took)
					list = list[:len(list)-took]
				}
				if !slices.Equal(list, g.events()) {
					require.Equal(t, list, g.events())
				}
			}
		})
	}
}

// gone against a walk through all entries, at each instant that matters.
func TestGoneFindsWhereTheWindowBegins(t *testing.T) {
	for name, limit := range map[string]Limit{"exact": Per(100, 1000), "stepped": Per(5000, 100_000)} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			for range 200 {
				g := newRing(limit)
				at := int64(epoch)
				for range rng.IntN(90) {
					at += int64(rng.IntN(40))
					g.ref = g.r.tick(at)
					if int(g.c.n) == g.slots() {
						g.move(make([]uint32, g.size(int(g.c.n)+1)))
					}
					g.put(1)
				}
				for i := -1; i < int(g.c.n); i++ {
					for late := int64(-1); late <= 1; late++ {
						now := at + late
						if i >= 0 {
							now = g.leaves(i) + late
						}
						entries, events := 0, 0
						for entries < int(g.c.n) && g.leaves(entries) <= now {
							events += g.count(entries)
							entries++
						}
						e, v := g.gone(now)
						require.Equal(t, [2]int{entries, events}, [2]int{e, v})
					}
				}
			}
		})
	}
}

func TestTicksRoundUpAndLeaveLate(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, limit := range []Limit{
		Per(5, 1), Per(5, 1<<31-1), Per(5, 1<<31), Per(5, 1<<40+1), Per(5, maxWindow),
		Per(1000, 1), Per(1000, 254), Per(1000, time.Minute), Per(maxLimit, maxWindow),
	} {
		t.Run(fmt.Sprintf("%d per %d", limit.N, limit.Window), func(t *testing.T) {
			r := limit.compile()
			if !r.wide {
				require.Less(t, r.window>>r.shift, int64(1<<30), "a window fits a quarter of the range of a stamp")
			}
			for range 1000 {
				at := rng.Int64N(1 << 62)
				leaves := r.leaves(r.tick(at))
				require.GreaterOrEqual(t, leaves, at+r.window)
				require.Less(t, leaves, at+r.window+r.unit)
			}
			require.EqualValues(t, 0, r.tick(0))
			require.LessOrEqual(t, r.unit, max(r.window/wideSteps+1, 1))
		})
	}
}

func TestAWideRingNeedsNoMoreThan256Entries(t *testing.T) {
	for _, window := range []time.Duration{1, 254, 255, 256, 257, 1000, 99_999, time.Second, time.Minute} {
		plan := MustNewPlan(Per(maxLimit, window))
		var s state
		rng := rand.New(rand.NewPCG(7, uint64(window)))
		now, most := int64(epoch), 0
		for range 3000 {
			now += rng.Int64N(int64(window)/100 + 2)
			require.True(t, s.take(plan, 1000, now).Allowed)
			most = max(most, int(s.c.n))
		}
		require.LessOrEqual(t, most, 256, "%v", window)
		if s.more != nil {
			require.LessOrEqual(t, len(s.more.ring), 512, "%v", window)
		}
	}
}

// What an exact ring may need: 15 comparisons for the largest there is.
func TestARingOfManyEventsIsSearchedNotWalked(t *testing.T) {
	plan := MustNewPlan(Limit{N: maxExact, Window: time.Second, Exact: true})
	var s state
	require.True(t, s.take(plan, maxExact/2, epoch).Allowed)
	require.True(t, s.take(plan, maxExact/2, epoch+int64(time.Second)/2).Allowed)
	require.False(t, s.take(plan, 1, epoch+int64(time.Second)-1).Allowed)
	d := s.take(plan, maxExact/2, epoch+int64(time.Second))
	require.True(t, d.Allowed)
	require.Zero(t, d.Remaining)
	require.Len(t, s.more.ring, maxExact)
}

// Copies between plans: of what one rule counted, the other knows at least as
// much, unless its own limit is lower.
func TestCopyFromKeepsWhatWasTaken(t *testing.T) {
	plans := map[string]*Plan{
		"small":   MustNewPlan(Per(3, time.Second)),
		"large":   MustNewPlan(Per(200, time.Second)),
		"stepped": MustNewPlan(Per(2000, time.Second)),
		"gcra":    MustNewPlan(Rate(200, time.Second, 200)),
		"two":     MustNewPlan(Per(50, time.Second), Per(100, time.Minute)),
		"shadow":  MustNewPlan(Per(300, time.Second), Limit{N: 5, Window: time.Second, Shadow: true}),
	}
	for fromName, from := range plans {
		for toName, to := range plans {
			t.Run(fromName+" to "+toName, func(t *testing.T) {
				var a, b state
				a.equip(from, from)
				b.equip(to, to)
				now, taken := int64(epoch), 0
				for range 60 {
					now += int64(5 * time.Millisecond)
					if a.take(from, 1, now).Allowed {
						taken++
					}
				}
				b.copyFrom(to, &a, from, now)
				for i := range to.rules {
					g := b.ring(to, i)
					m := g.read(0, max(now, b.newest))
					least := taken
					if from.rules[0].gcra || to.rules[i].gcra {
						least = 0 // what has drained is not known any more
					}
					require.GreaterOrEqual(t, to.rules[i].limit-m.left, min(least, to.rules[i].limit)-1)
				}
				// And it can go on from there.
				later := now + int64(2*time.Minute)
				require.True(t, b.take(to, 1, later).Allowed)
			})
		}
	}
}

func TestLikeFindsTheRuleThatKnowsMost(t *testing.T) {
	p := MustNewPlan(Per(1, time.Second), Per(1, time.Minute), Per(1, time.Hour))
	for window, want := range map[time.Duration]int{
		time.Millisecond: 0, time.Second: 0, 2 * time.Second: 1, time.Minute: 1, time.Hour: 2, 24 * time.Hour: 2,
	} {
		r := Per(1, window).compile()
		require.Equal(t, want, p.like(&r), "%v", window)
	}
}

// The short way through gives the answers of the long one, after pauses of
// every length, times that go back, and refunds.
func TestTheShortWayIsTheLongWay(t *testing.T) {
	for _, window := range []time.Duration{1, 7, 1000, time.Second, 1<<30 + 1, time.Minute, 24 * time.Hour, maxWindow} {
		for _, n := range []int{1, 2, 3, 9, 100, 256, 300, 5000} {
			t.Run(fmt.Sprintf("%d per %v", n, window), func(t *testing.T) {
				plan := MustNewPlan(Per(n, window))
				require.True(t, plan.simple)
				rng := rand.New(rand.NewPCG(uint64(n), uint64(window)))
				var short, long state
				now := int64(epoch)
				for step := range 3000 {
					switch rng.IntN(40) {
					case 0:
						now += int64(window) * int64(rng.IntN(3))
					case 1:
						now += int64(window) - 1
					case 2:
						now -= rng.Int64N(int64(window)/10 + 1)
					case 3:
						short.refund(plan, 2, now)
						long.refund(plan, 2, now)
					case 4:
						if window < time.Hour {
							now += int64(window)*4 + rng.Int64N(1<<34)
						}
					default:
						now += rng.Int64N(int64(window)/int64(n) + 1)
					}
					if now > 1<<62 {
						break
					}
					require.Equal(t, long.take(plan, 1, now).Allowed, short.allowOne(plan, now), "step %d", step)
					require.Equal(t, long.newest, short.newest)
					if step%50 == 0 {
						require.Equal(t, long.peek(plan, 1, now), short.peek(plan, 1, now))
					}
				}
			})
		}
	}
}
