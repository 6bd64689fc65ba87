package breaker_test

import (
	"math"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
)

func keys(g *breaker.Group[int]) []int {
	var ks []int
	for k := range g.All() {
		ks = append(ks, k)
	}
	return ks
}

func TestGroupKeepsOneBreakerForEachKey(t *testing.T) {
	g := breaker.MustNewGroup[string](breaker.GroupConfig{Breaker: breaker.Config{Name: "api", ConsecutiveFailures: 1}})
	_ = g.Get("a").Do(bg, fail)
	require.Equal(t, breaker.Open, g.Get("a").State())
	require.Equal(t, breaker.Closed, g.Get("b").State())
	require.Same(t, g.Get("a"), g.Get("a"))
	require.Equal(t, "api/a", g.Get("a").Name())
	require.ErrorContains(t, g.Get("a").Do(bg, succeed), "breaker: api/a: open, ")
	require.Equal(t, breaker.GroupStats{Breakers: 2, Created: 2}, g.Stats())

	unnamed := breaker.MustNewGroup[int](breaker.GroupConfig{})
	require.Equal(t, "7", unnamed.Get(7).Name())
}

func TestGroupNeverHoldsMoreThanItsBound(t *testing.T) {
	g := breaker.MustNewGroup[int](breaker.GroupConfig{MaxBreakers: 3})
	for i := range 100 {
		g.Get(0) // in use
		g.Get(i)
		require.LessOrEqual(t, g.Stats().Breakers, 3)
	}
	require.Equal(t, []int{99, 0, 98}, keys(g))
	require.EqualValues(t, 97, g.Stats().Evicted)
}

func TestGroupEvictsAClosedBreakerBeforeAnOpenOne(t *testing.T) {
	g := breaker.MustNewGroup[int](breaker.GroupConfig{MaxBreakers: 3, Breaker: breaker.Config{ConsecutiveFailures: 1}})
	_ = g.Get(1).Do(bg, fail)
	g.Get(2)
	g.Get(3)
	g.Get(4)
	require.ElementsMatch(t, []int{1, 3, 4}, keys(g))
	for i := range 4 {
		_ = g.Get(i).Do(bg, fail)
	}
	g.Get(9)
	require.Len(t, keys(g), 3, "the bound holds when all are open")
}

func TestGroupForgetsIdleBreakersButNotWhatTheyProtect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := breaker.MustNewGroup[int](breaker.GroupConfig{IdleFor: time.Minute,
			Breaker: breaker.Config{ConsecutiveFailures: 1, OpenFor: time.Hour, NoJitter: true}})
		open, forced := g.Get(1), g.Get(2)
		_ = open.Do(bg, fail)
		forced.SetMode(breaker.ForceClosed)
		g.Get(3)
		g.Get(4)
		for range 10 {
			time.Sleep(20 * time.Second)
			g.Get(4)
		}
		require.ElementsMatch(t, []int{1, 2, 4}, keys(g))
		require.Same(t, open, g.Get(1))
		time.Sleep(time.Hour)
		for range 3 {
			g.Get(4)
		}
		require.ElementsMatch(t, []int{2, 4}, keys(g), "its open time is over")
	})
}

func TestGroupReconfiguresAllItsBreakers(t *testing.T) {
	g := breaker.MustNewGroup[int](breaker.GroupConfig{Breaker: breaker.Config{Name: "x"}})
	early := g.Get(1)
	require.NoError(t, g.Reconfigure(breaker.Config{Name: "x", ConsecutiveFailures: 1}))
	for _, b := range []*breaker.Breaker{early, g.Get(2)} {
		_ = b.Do(bg, fail)
		require.Equal(t, breaker.Open, b.State())
	}
	require.EqualError(t, g.Reconfigure(breaker.Config{}), `breaker: Config.Name is "", want "x", as it was`)
	require.EqualError(t, g.Reconfigure(breaker.Config{Name: "x", Probes: -1}), "breaker: Config.Probes is -1, want ≥ 0")
}

func TestGroupAllMayStopAndUseTheGroup(t *testing.T) {
	g := breaker.MustNewGroup[int](breaker.GroupConfig{})
	for i := range 5 {
		g.Get(i)
	}
	seen := 0
	for k, b := range g.All() {
		require.Same(t, b, g.Get(k))
		g.Get(k + 100)
		if seen++; seen == 3 {
			break
		}
	}
	require.Equal(t, 3, seen)
	require.Equal(t, 8, g.Stats().Breakers)
}

func TestGroupRefusesBadValuesAndNamesThem(t *testing.T) {
	for want, cfg := range map[string]breaker.GroupConfig{
		"breaker: GroupConfig.MaxBreakers is -1, want ≥ 0": {MaxBreakers: -1},
		"breaker: GroupConfig.IdleFor is -1ns, want ≥ 0":   {IdleFor: -1},
		"breaker: Config.Probes is -1, want ≥ 0":           {Breaker: breaker.Config{Probes: -1}},
	} {
		g, err := breaker.NewGroup[int](cfg)
		require.EqualError(t, err, want)
		require.Nil(t, g)
		require.PanicsWithValue(t, want, func() { breaker.MustNewGroup[int](cfg) })
	}
}

func TestGroupGivesConcurrentCallersTheSameBreaker(t *testing.T) {
	g := breaker.MustNewGroup[string](breaker.GroupConfig{MaxBreakers: 50})
	var got [8]*breaker.Breaker
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			got[i] = g.Get("same")
			for j := range 500 {
				g.Get(strconv.Itoa(j % 70))
				g.Get("same")
			}
		})
	}
	wg.Wait()
	for _, b := range got {
		require.Same(t, got[0], b)
	}
	require.LessOrEqual(t, g.Stats().Breakers, 50)
}

func TestGroupKeepsNoBreakerForAKeyThatDiffersFromItself(t *testing.T) {
	g := breaker.MustNewGroup[float64](breaker.GroupConfig{MaxBreakers: 2, Breaker: breaker.Config{Name: "g"}})
	for range 10 {
		require.Equal(t, "g/NaN", g.Get(math.NaN()).Name())
	}
	require.Equal(t, breaker.GroupStats{}, g.Stats())
	for key := range 10 {
		g.Get(float64(key))
	}
	require.Equal(t, 2, g.Stats().Breakers)
}

func TestGroupIsUsableAfterAKeyThatCannotBeCompared(t *testing.T) {
	g := breaker.MustNewGroup[any](breaker.GroupConfig{})
	require.Panics(t, func() { g.Get([]int{1}) })
	require.Same(t, g.Get("a"), g.Get("a"), "no lock is left behind")
}
