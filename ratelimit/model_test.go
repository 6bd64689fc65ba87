package ratelimit_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
)

// The model: a log of all events, of which none is ever forgotten.

type oracle struct {
	limit  int
	window time.Duration
	log    []time.Duration // in order
}

// at is where on the clock of the model a request at now stands: not before
// the last event.
func (o *oracle) at(now time.Duration) time.Duration {
	if len(o.log) > 0 {
		now = max(now, o.log[len(o.log)-1])
	}
	return now
}

// used counts the events in (now-window, now].
func (o *oracle) used(now time.Duration) int {
	gone, _ := slices.BinarySearch(o.log, now-o.window+1)
	return len(o.log) - gone
}

// wait returns in how long n permits are there, from now on.
func (o *oracle) wait(n int, now time.Duration) time.Duration {
	if n > o.limit {
		return ratelimit.Never
	}
	used := o.used(o.at(now))
	if used+n <= o.limit {
		return 0
	}
	live := o.log[len(o.log)-used:]
	return live[used+n-o.limit-1] + o.window - now // when so many have left
}

func (o *oracle) add(n int, now time.Duration) {
	at := o.at(now)
	for range n {
		o.log = append(o.log, at)
	}
}

// refund takes the n newest events back that still count.
func (o *oracle) refund(n int, now time.Duration) {
	for range min(n, o.used(o.at(now))) {
		o.log = o.log[:len(o.log)-1]
	}
}

// worst returns the most events that are in any window.
func worst(log []time.Duration, window time.Duration) int {
	most := 0
	for i, e := range log {
		n := 0
		for _, f := range log[:i+1] {
			if f > e-window {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

var year1970 = time.Unix(0, 0)

// moves are how far a step of a model test moves the clock: not at all, a
// little, to just before, at and behind the end of a window, far, and back.
func move(w time.Duration, op byte) time.Duration {
	return []time.Duration{
		0, 1, w / 7, w / 3, w/2 + 1, w - 1, w, w + 1, 3 * w, 40 * w, -1, -w / 5, -w, -3 * w, w / 50, w/10 + 3,
	}[op%16]
}

// compare runs the operations that data encodes on a Single of two exact rules
// and on the model, and requires the same of both after each.
func compare(t *testing.T, data []byte) {
	t.Helper()
	if len(data) < 2 {
		return
	}
	rules := []*oracle{
		{limit: int(data[0]%9) + 1, window: 1000},
		{limit: int(data[1]%30) + 1, window: 9000},
	}
	limits := []ratelimit.Limit{ratelimit.Per(rules[0].limit, 1000), ratelimit.Per(rules[1].limit, 9000)}
	if data[1]&0x80 != 0 {
		rules, limits = rules[:1], limits[:1]
	}
	l := ratelimit.MustNew(ratelimit.Config[int]{Limits: limits})
	start := time.Now()
	now := time.Duration(0)
	events := []*oracle{{}, {}} // what was admitted and not given back
	copy(events, rules)
	for step := 2; step+1 < len(data); step += 2 {
		now = max(now+move(1000, data[step]), 0)
		n := int(data[step+1] & 0xf)
		switch data[step+1] >> 4 {
		case 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11:
			n %= 5
			var want time.Duration
			for _, o := range rules {
				want = max(want, o.wait(n, now))
			}
			d := l.TakeAt(7, n, start.Add(now))
			require.Equal(t, want, d.RetryAfter, "step %d of %x: %d at %d, %+v", step, data, n, now, d)
			require.Equal(t, want == 0, d.Allowed)
			if d.Allowed {
				left := 1 << 30
				for _, o := range rules {
					o.add(n, now)
					left = min(left, o.limit-o.used(o.at(now)))
				}
				require.Equal(t, left, d.Remaining, "step %d of %x", step, data)
			}
		default:
			want := true
			for _, o := range rules {
				want = want && o.wait(1, now) == 0
			}
			require.Equal(t, want, l.AllowAt(7, start.Add(now)), "step %d of %x", step, data)
			if want {
				for _, o := range rules {
					o.add(1, now)
				}
			}
		}
	}
	for i, o := range events[:len(rules)] {
		require.LessOrEqual(t, worst(o.log, o.window), limits[i].N, "%x", data)
	}
}

func TestLimiterBehavesAsTheModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		data := make([]byte, 80)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		compare(t, data)
	}
}

// compareWide runs requests on a limiter that counts in steps, and requires
// that what it admits is never above the limit in any window, that its refusals
// are late by no more than a step, and that its RetryAfter suffices.
func compareWide(t *testing.T, data []byte) {
	t.Helper()
	const window = 1_000_000
	limit := 1000
	step := time.Duration(window+254) / 255
	o := &oracle{limit: limit, window: window}
	late := &oracle{limit: limit, window: window + step} // the most that it may hold back
	l := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{ratelimit.Per(limit, window)}})
	start := time.Now()
	now := time.Duration(0)
	for len(data) >= 3 {
		now = max(now+move(window, data[0])/4, 0)
		n := int(binary.LittleEndian.Uint16(data[1:])) % 1050
		data = data[3:]
		d := l.TakeAt(1, n, start.Add(now))
		if n > limit {
			require.Equal(t, ratelimit.Never, d.RetryAfter)
			continue
		}
		require.LessOrEqual(t, d.RetryAfter, late.wait(n, now))
		if !d.Allowed {
			again := start.Add(now + d.RetryAfter)
			require.False(t, l.TakeAt(1, n, again.Add(-1)).Allowed, "exact to the nanosecond")
			now += d.RetryAfter
			require.True(t, l.TakeAt(1, n, again).Allowed)
		}
		require.Zero(t, o.wait(n, now), "more than the limit in a window")
		o.add(n, now)
		late.add(n, now)
	}
}

func TestLimiterInStepsNeverAdmitsMoreAndIsLateByOneStep(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		data := make([]byte, 150)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		compareWide(t, data)
	}
}

// compareGCRA runs requests on a GCRA rule and on its definition.
func compareGCRA(t *testing.T, data []byte) {
	t.Helper()
	const interval, burst = 100, 5
	one := ratelimit.Rate(10, 1000, burst)
	l := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{one}})
	s := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{one}})
	start := time.Now()
	now, last, tat := time.Duration(0), time.Duration(0), time.Duration(0)
	for _, op := range data {
		now += max(move(interval, op), 0)
		n := time.Duration(op>>4) % 6
		want := max(max(tat, now)+n*interval-burst*interval-now, 0)
		d := l.TakeAt(1, int(n), start.Add(now))
		require.Equal(t, want, d.RetryAfter)
		e := s.TakeAt(int(n), start.Add(now))
		e.ResetAfter, d.ResetAfter = 0, 0 // apart by the time between the two clocks
		require.Equal(t, d.Allowed, e.Allowed)
		require.Equal(t, d.Remaining, e.Remaining)
		if want == 0 && n > 0 {
			tat = max(tat, now) + n*interval
			last = now
			require.Equal(t, int((burst*interval-(tat-now))/interval), d.Remaining)
		}
	}
	require.LessOrEqual(t, last, now)
}

func TestGCRAFollowsItsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		data := make([]byte, 100)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		compareGCRA(t, data)
	}
}

// Refunds against the model: what is given back is the newest that counts.
func TestRefundGivesBackTheNewest(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		bubble(t, func(t *testing.T, sleep func(time.Duration)) {
			o := &oracle{limit: 6, window: time.Second}
			l := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{ratelimit.Per(6, time.Second)}})
			now := time.Duration(0)
			for range 40 {
				pause := time.Duration(rng.IntN(400)) * time.Millisecond
				sleep(pause)
				now += pause
				n := rng.IntN(4)
				if rng.IntN(3) == 0 {
					l.Refund(n)
					o.refund(n, now)
					continue
				}
				want := o.wait(n, now)
				require.Equal(t, want, l.Take(n).RetryAfter)
				if want == 0 {
					o.add(n, now)
				}
			}
		})
	}
}

// The stamps are 32 bits of a tick: events across each wrap of them.
func TestStampsSurviveEveryWrap(t *testing.T) {
	for _, window := range []time.Duration{1, 1000, 1 << 31, 1<<32 + 1, time.Minute, 24 * time.Hour, 5 * 365 * 24 * time.Hour} {
		rng := rand.New(rand.NewPCG(9, uint64(window)))
		l := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{ratelimit.Per(3, window)}})
		grain := max(window>>29, 1)
		var log []time.Duration
		now := time.Duration(0)
		for range 3000 {
			now += time.Duration(rng.Int64N(int64(window))) / 2
			if now > 60*365*24*time.Hour {
				break
			}
			d := l.TakeAt(1, 1, year1970.Add(now))
			if d.Allowed {
				log = append(log, now)
				continue
			}
			third := log[len(log)-3]
			require.Positive(t, d.RetryAfter)
			require.GreaterOrEqual(t, now+d.RetryAfter, third+window)
			require.LessOrEqual(t, now+d.RetryAfter, third+window+grain)
		}
		require.LessOrEqual(t, worst(log[:min(len(log), 500)], window), 3)
		require.True(t, slices.IsSorted(log))
	}
}
