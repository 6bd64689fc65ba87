//go:build unix

package cluster

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCountersCountFromManyGoroutines(t *testing.T) {
	var c counters
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				c.get("a").Add(1)
				c.get("b").Add(2)
			}
		})
	}
	wg.Wait()
	require.Equal(t, map[string]uint64{"a": 8000, "b": 16000}, c.values())
	require.Same(t, c.get("a"), c.get("a"))
}

func TestCountersBeyondTheBoundGoToOther(t *testing.T) {
	var c counters
	for i := range 2 * maxCounters {
		c.get(fmt.Sprint(i)).Add(1)
	}
	c.get(strings.Repeat("n", maxCounterName+1)).Add(1)
	values := c.values()
	require.Len(t, values, maxCounters+1)
	require.EqualValues(t, maxCounters+1, values[otherCounter])
	require.NoError(t, checkCounters(values), "what a worker reports is what a master takes")
}

func TestTotalsSurviveTheirProcesses(t *testing.T) {
	var all totals
	require.Empty(t, all.sum())
	all.report(1, map[string]uint64{"a": 5})
	all.report(1, map[string]uint64{"a": 7, "b": 1})
	require.Equal(t, map[string]uint64{"a": 7, "b": 1}, all.sum())
	all.report(2, map[string]uint64{"a": 1}) // its replacement, beside it
	require.Equal(t, map[string]uint64{"a": 8, "b": 1}, all.sum())
	all.ended(1)
	require.Equal(t, map[string]uint64{"a": 8, "b": 1}, all.sum())
	all.report(2, map[string]uint64{"a": 4})
	all.ended(2)
	all.ended(2)
	all.ended(3) // never reported
	require.Equal(t, map[string]uint64{"a": 11, "b": 1}, all.sum())
	all.add(map[string]uint64{"a": 100}) // from the master before
	require.Equal(t, map[string]uint64{"a": 111, "b": 1}, all.sum())
	require.Empty(t, all.live)
}

func TestAReportThatFallsDoesNotLowerATotal(t *testing.T) {
	var all totals
	all.report(1, map[string]uint64{"a": 10})
	all.report(1, map[string]uint64{"a": 3})
	require.EqualValues(t, 10, all.sum()["a"])
}

// Whatever processes report, the names stay bounded and no sum falls.
func TestTotalsNeverFallAndStayBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var all totals
	last := make(map[string]uint64)
	for step := range 1000 {
		id := procID(rng.IntN(4))
		if rng.IntN(10) == 0 {
			all.ended(id)
		} else {
			values := make(map[string]uint64)
			for range rng.IntN(5) {
				values[fmt.Sprint(rng.IntN(2*maxCounters))] = rng.Uint64N(1000)
			}
			all.report(id, values)
		}
		now := all.sum()
		require.LessOrEqual(t, len(now), maxCounters+1)
		for name, n := range last {
			require.GreaterOrEqual(t, now[name], n, "%s at step %d", name, step)
		}
		last = now
	}
	require.Positive(t, last[otherCounter])
}
