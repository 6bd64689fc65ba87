package hedge_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry/hedge"
)

// outcome is what one attempt does: it takes a while, then succeeds or fails.
type outcome struct {
	takes time.Duration
	ok    bool
}

// scenario is one call. The durations of attempts differ in their nanoseconds
// from each other, from the delay's multiples and from the deadline, so that no
// two things happen at the same instant.
type scenario struct {
	delay    time.Duration
	allowed  int // extra attempts, by the budget
	detached bool
	deadline time.Duration // of the caller
	attempts []outcome     // as many as Config.MaxAttempts
}

// result is what can be seen of a call from outside.
type result struct {
	winner  int // 0 if there is none
	elapsed time.Duration
	started int
	cut     bool // the error matches the end of the caller's context
	failed  bool // the error is or wraps that of the first attempt
}

// expect is the reference. It looks at all attempts from outside of time.
func (s scenario) expect() (want result) {
	end := func(i int) time.Duration { // of attempt i, started at i·delay
		return time.Duration(i)*s.delay + s.attempts[i].takes
	}
	// Attempts start until one has succeeded or the first has failed.
	closes := min(end(0), s.deadline)
	first := time.Duration(1 << 62) // success
	for i := range s.attempts {
		if i > s.allowed || time.Duration(i)*s.delay > min(closes, first) {
			break
		}
		want.started++
		if s.attempts[i].ok && end(i) < min(first, s.deadline) {
			first, want.winner = end(i), i+1
		}
	}
	if want.winner > 0 {
		want.elapsed = first
		return want
	}
	for i := range want.started {
		want.elapsed = max(want.elapsed, end(i))
	}
	want.cut = want.elapsed > s.deadline
	want.elapsed = min(want.elapsed, s.deadline)
	want.failed = end(0) < s.deadline
	return want
}

// observe plays the scenario. Attempts of a detached call are deaf to their
// context.
func (s scenario) observe(t *testing.T) (got result) {
	h := hedge.MustNew(hedge.Config{Delay: s.delay, MaxAttempts: len(s.attempts), Detached: s.detached,
		Budget: &fakeBudget{allow: s.allowed}})
	ctx, cancel := context.WithTimeout(t.Context(), s.deadline)
	defer cancel()
	begin := time.Now()
	var started, successes atomic.Int32
	winner, err := hedge.DoValue(ctx, h, func(ctx context.Context) (int, error) {
		i := int(started.Add(1))
		o := s.attempts[i-1]
		if s.detached {
			pause(o.takes)
		} else if err := sleep(ctx, o.takes); err != nil {
			return 0, err
		}
		if !o.ok {
			return 0, errTry
		}
		successes.Add(1)
		return i, nil
	})
	got.elapsed = time.Since(begin)
	got.winner = winner
	got.cut = errors.Is(err, context.DeadlineExceeded)
	got.failed = errors.Is(err, errTry)
	require.Equal(t, err == nil, winner > 0)
	pause(time.Hour)
	got.started = int(started.Load())
	stats := h.Stats()
	require.EqualValues(t, got.started-1, stats.Hedges)
	require.Equal(t, winner > 1, stats.Wins == 1)
	require.Zero(t, stats.Abandoned)
	if winner > 0 {
		successes.Add(-1)
	}
	require.EqualValues(t, successes.Load(), stats.Discarded, "each success was returned or discarded")
	return got
}

// decode makes a scenario of any bytes.
func decode(data []byte) scenario {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	s := scenario{
		delay:    time.Duration(1+next()%8) * time.Millisecond,
		allowed:  next() % 5,
		detached: next()&1 != 0,
		deadline: time.Duration(1+next()%48)*time.Millisecond + 100,
	}
	n := 1 + next()%5
	for i := range n {
		b := next()
		s.attempts = append(s.attempts, outcome{
			takes: time.Duration(b>>1)*time.Millisecond/4 + time.Duration(i+1),
			ok:    b&1 != 0,
		})
	}
	return s
}

func checkModel(t *testing.T, data []byte) {
	s := decode(data)
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, s.expect(), s.observe(t), "scenario: %+v", s)
	})
}

func TestModelAgreesOnRandomScenarios(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	winners := make(map[int]bool)
	// Until each attempt has won once, and none: the last one seldom does.
	for n := 0; n < 3000 || len(winners) < 6 && n < 100_000; n++ {
		data := make([]byte, 10)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		checkModel(t, data)
		winners[decode(data).expect().winner] = true
	}
	require.Len(t, winners, 6, "every attempt has won, and none: %v", winners)
}
