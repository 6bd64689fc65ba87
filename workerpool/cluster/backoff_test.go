//go:build unix

package cluster

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var testRule = restartRule{min: 100 * time.Millisecond, max: time.Second, stable: 10 * time.Second, limit: 3, window: time.Minute}

// failures feeds failures at the given times, each of a process that lasted no
// time, and returns the delays, -1 for a crash loop.
func failures(rule restartRule, random float64, at ...time.Duration) []time.Duration {
	var r restarts
	var out []time.Duration
	for _, now := range at {
		d, ok := r.failed(rule, now, 0, random)
		if !ok {
			d = -1
		}
		out = append(out, d)
	}
	return out
}

func TestBackoffDoublesToTheBound(t *testing.T) {
	rule := testRule
	rule.limit = 100
	var at []time.Duration
	for i := range 8 {
		at = append(at, time.Duration(i)*time.Second)
	}
	ms := time.Millisecond
	require.Equal(t,
		[]time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1000 * ms, 1000 * ms, 1000 * ms, 1000 * ms},
		failures(rule, 0, at...))
}

func TestBackoffIsSpreadOverItsUpperHalf(t *testing.T) {
	require.Equal(t, []time.Duration{100 * time.Millisecond}, failures(testRule, 0, 0))
	require.Equal(t, []time.Duration{75 * time.Millisecond}, failures(testRule, 0.5, 0))
	got := failures(testRule, 0.999, 0)[0]
	require.Greater(t, got, 50*time.Millisecond)
	require.Less(t, got, 51*time.Millisecond)
}

func TestBackoffBeginsAnewAfterAStableTime(t *testing.T) {
	var r restarts
	rule := testRule
	rule.limit = 100
	for range 4 {
		_, ok := r.failed(rule, 0, 0, 0)
		require.True(t, ok)
	}
	d, _ := r.failed(rule, 0, rule.stable-1, 0)
	require.Equal(t, time.Second, d)
	d, _ = r.failed(rule, 0, rule.stable, 0)
	require.Equal(t, 100*time.Millisecond, d)
	d, _ = r.failed(rule, 0, 0, 0)
	require.Equal(t, 200*time.Millisecond, d)
}

func TestCrashLoopCountsTheWindowAlone(t *testing.T) {
	s := time.Second
	loop := failures(testRule, 0, 0, 1*s, 2*s, 3*s)
	require.Equal(t, time.Duration(-1), loop[3], "the fourth in a minute")
	// One failure a window, for ever, is no crash loop.
	var at []time.Duration
	for i := range 100 {
		at = append(at, time.Duration(i)*20*s)
	}
	require.NotContains(t, failures(testRule, 0, at...), time.Duration(-1))
	// At the edge: the failure exactly a window ago does not count any more.
	require.NotContains(t, failures(testRule, 0, 0, 1*s, 2*s, 60*s), time.Duration(-1))
	require.Contains(t, failures(testRule, 0, 0, 1*s, 2*s, 60*s-1), time.Duration(-1))
}

func TestBackoffOfHugeBoundsDoesNotOverflow(t *testing.T) {
	rule := restartRule{min: 1, max: never / 8, stable: time.Hour, limit: 1 << 20, window: 1}
	var r restarts
	last := time.Duration(0)
	for range 200 {
		d, ok := r.failed(rule, 0, 0, 0)
		require.True(t, ok)
		require.GreaterOrEqual(t, d, last)
		require.LessOrEqual(t, d, rule.max)
		last = d
	}
	require.Equal(t, rule.max, last)
}

// naive is restarts as its comment says it, without any economy.
type naive struct {
	times []time.Duration
	row   int
}

func (n *naive) failed(rule restartRule, now, lasted time.Duration, random float64) (time.Duration, bool) {
	if lasted >= rule.stable {
		n.row = 0
	}
	n.times = append(n.times, now)
	inWindow := 0
	for _, t := range n.times {
		if t > now-rule.window {
			inWindow++
		}
	}
	if inWindow > rule.limit {
		return 0, false
	}
	n.row++
	delay := float64(rule.min)
	for i := 1; i < n.row && delay < float64(rule.max); i++ {
		delay *= 2
	}
	whole := time.Duration(min(delay, float64(rule.max)))
	return whole - time.Duration(random*float64(whole/2)), true
}

func TestRestartsBehaveAsTheNaiveOnes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		rule := restartRule{
			min: 1 << rng.IntN(20), stable: time.Duration(rng.IntN(100)) * time.Millisecond,
			limit: rng.IntN(8), window: time.Duration(1+rng.IntN(1000)) * time.Millisecond,
		}
		rule.max = rule.min << rng.IntN(6)
		var r restarts
		var n naive
		now := time.Duration(0)
		for range 40 {
			now += time.Duration(rng.IntN(400)) * time.Millisecond
			lasted, random := time.Duration(rng.IntN(150))*time.Millisecond, rng.Float64()
			d, ok := r.failed(rule, now, lasted, random)
			want, wantOK := n.failed(rule, now, lasted, random)
			require.Equal(t, want, d)
			require.Equal(t, wantOK, ok)
			require.LessOrEqual(t, len(r.recent), len(n.times))
		}
	}
}

func TestRestartsHoldNoMoreThanTheWindow(t *testing.T) {
	var r restarts
	rule := testRule
	rule.limit = 1 << 20
	for i := range 10_000 {
		r.failed(rule, time.Duration(i)*time.Second, 0, 0)
		require.LessOrEqual(t, len(r.recent), 60)
	}
}
