package ratelimittest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
)

// algorithms are limits of three at once that differ in all else.
func algorithms(window time.Duration) map[string]ratelimit.Limit {
	return map[string]ratelimit.Limit{
		"window": ratelimit.Per(3, window),
		"gcra":   ratelimit.Rate(3, window, 3),
	}
}

func admitsTheLimit(t *testing.T, s *Suite) {
	for name, limit := range algorithms(hour) {
		c := s.open(t, limit)
		for range 3 {
			c.allowed(name, 1, true)
		}
		for range 3 {
			c.allowed(name, 1, false)
		}
	}
}

func keysAreApart(t *testing.T, s *Suite) {
	c := s.open(t, ratelimit.Per(1, hour))
	for _, key := range []string{"a", "b", "", "{", "}", "{}", "}{", "a}b", "{a}", "a:0", "\x00", "\xff\xfe", "ä", " ", "a\r\nb", fmt.Sprintf("%01000d", 7), fmt.Sprintf("%01000d", 8)} {
		c.allowed(key, 1, true)
		c.allowed(key, 1, false)
	}
}

func allOrNothing(t *testing.T, s *Suite) {
	for name, limit := range algorithms(hour) {
		c := s.open(t, limit)
		c.equal("RetryAfter of more than the limit", c.allowed(name, 4, false).RetryAfter, ratelimit.Never)
		c.allowed(name, 2, true)
		c.allowed(name, 2, false)
		c.allowed(name, 0, true)
		c.allowed(name, 1, true)
		c.allowed(name, 0, true)
		c.equal("Remaining", c.allowed(name, 1, false).Remaining, 0)
	}
}

func decisionsHaveFigures(t *testing.T, s *Suite) {
	c := s.open(t, ratelimit.Limit{Name: "burst", N: 3, Window: hour})
	before := time.Now()
	for i := range 4 {
		d := c.take("a", 1)
		c.equal("Allowed", d.Allowed, i < 3)
		c.equal("Rule", d.Rule, "burst")
		c.equal("Index", d.Index, 0)
		c.equal("Limit", d.Limit, 3)
		c.equal("Window", d.Window, hour)
		c.equal("Remaining", d.Remaining, max(2-i, 0))
		c.equal("Unlimited", d.Unlimited, false)
		c.within("ResetAfter", d.ResetAfter, hour-time.Since(before)-time.Second, hour+time.Second)
		if i == 3 {
			c.within("RetryAfter", d.RetryAfter, hour-time.Since(before)-time.Second, hour+time.Second)
		}
	}
}

func retryAfterSuffices(t *testing.T, s *Suite) {
	for name, limit := range algorithms(s.Window) {
		c := s.open(t, limit)
		for range 6 {
			d := c.take(name, 2)
			if !d.Allowed {
				c.within("RetryAfter", d.RetryAfter, 1, s.Window+s.Window/8)
				s.Sleep(d.RetryAfter)
				c.allowed(name, 2, true)
			}
		}
	}
}

// neverMoreInAnyWindow asks all the time, and looks at the times at which it
// was admitted: between the answer to one and the question for the third after
// it there must be less than a window nowhere.
func neverMoreInAnyWindow(t *testing.T, s *Suite) {
	const limit = 3
	c := s.open(t, ratelimit.Per(limit, s.Window))
	start, slept := time.Now(), time.Duration(0)
	now := func() time.Duration {
		if s.virtual {
			return slept
		}
		return time.Since(start)
	}
	var asked, told []time.Duration
	for now() < 4*s.Window {
		before := now()
		if c.take("a", 1).Allowed {
			asked, told = append(asked, before), append(told, now())
			if k := len(told) - 1 - limit; k >= 0 && told[k+limit]-asked[k] < s.Window {
				t.Fatalf("%d events within %v, want %d in %v at most", limit+1, told[k+limit]-asked[k], limit, s.Window)
			}
		}
		step := s.Window / 37
		s.Sleep(step)
		slept += step
	}
	if len(told) < 2*limit {
		t.Fatalf("%d events in four windows, want at least %d", len(told), 2*limit)
	}
}

func refusalsDoNotConsume(t *testing.T, s *Suite) {
	for name, limit := range algorithms(s.Window) {
		c := s.open(t, limit)
		c.allowed(name, 3, true)
		for range 50 {
			c.take(name, 3)
			s.Sleep(s.Window / 50 * 4 / 5)
		}
		s.Sleep(s.Window)
		c.allowed(name, 3, true)
	}
}

func manyRules(t *testing.T, s *Suite) {
	c := s.open(t,
		ratelimit.Limit{Name: "short", N: 2, Window: s.Window},
		ratelimit.Limit{Name: "long", N: 3, Window: hour},
		ratelimit.Limit{Name: "even", N: 100, Window: hour, Algorithm: ratelimit.GCRA, Burst: 50},
	)
	c.equal("the rule that binds", c.allowed("a", 2, true).Rule, "short")
	for range 10 {
		if d := c.take("a", 2); d.Allowed || d.Rule != "long" {
			t.Fatalf("%+v, want a refusal of long", d)
		}
	}
	s.Sleep(s.Window + s.Window/8)
	d := c.allowed("a", 1, true)
	c.equal("the rule that binds", d.Rule, "long")
	c.equal("its index", d.Index, 1)
	c.equal("Remaining: what one refused has counted nowhere", d.Remaining, 0)
	d = c.allowed("a", 1, false)
	c.equal("the rule that binds", d.Rule, "long")
	c.within("RetryAfter", d.RetryAfter, hour/2, hour+time.Second)
}

func shadows(t *testing.T, s *Suite) {
	c := s.open(t, ratelimit.Per(4, hour), ratelimit.Limit{Name: "new", N: 2, Window: hour, Shadow: true})
	for i := range 4 {
		d := c.allowed("a", 1, true)
		c.equal("Shadowed", d.Shadowed, i >= 2)
		c.equal("Remaining", d.Remaining, 3-i)
		if d.Shadowed {
			c.equal("ShadowRule", d.ShadowRule, "new")
		}
	}
	c.allowed("a", 1, false)

	c = s.open(t, ratelimit.Limit{N: 1, Window: hour, Shadow: true})
	for i := range 3 {
		d := c.allowed("b", 1, true)
		c.equal("Unlimited", d.Unlimited, true)
		c.equal("Shadowed", d.Shadowed, i >= 1)
	}
}

func limitOfZero(t *testing.T, s *Suite) {
	c := s.open(t, ratelimit.Per(5, hour), ratelimit.Limit{Name: "none", Window: hour})
	for range 3 {
		d := c.allowed("a", 1, false)
		c.equal("Rule", d.Rule, "none")
		c.equal("RetryAfter", d.RetryAfter, ratelimit.Never)
	}
}

// largeLimits are those of which a store may not remember each event.
func largeLimits(t *testing.T, s *Suite) {
	for _, n := range []int{300, 10_000, 100_000, math.MaxInt32} {
		c := s.open(t, ratelimit.Per(n, hour))
		key := strconv.Itoa(n)
		c.equal("Remaining", c.allowed(key, n/3, true).Remaining, n-n/3)
		c.equal("Remaining", c.allowed(key, n/3, true).Remaining, n-2*(n/3))
		rest := n - 2*(n/3)
		c.allowed(key, rest+1, false)
		c.equal("Remaining", c.allowed(key, rest, true).Remaining, 0)
		d := c.allowed(key, 1, false)
		c.within("RetryAfter", d.RetryAfter, hour/2, hour+hour/200)
	}
	c := s.open(t, ratelimit.Per(2000, s.Window))
	c.allowed("w", 2000, true)
	d := c.take("w", 1)
	if !d.Allowed {
		c.within("RetryAfter", d.RetryAfter, 1, s.Window+s.Window/100+time.Millisecond)
		s.Sleep(d.RetryAfter)
		c.allowed("w", 1, true)
	}
}

func refund(t *testing.T, s *Suite) {
	limits := algorithms(hour)
	limits["large"] = ratelimit.Per(100_000, hour)
	for name, limit := range limits {
		c := s.open(t, limit)
		c.refund(name, 2)
		c.allowed(name, limit.N-1, true)
		c.allowed(name, 1, true)
		c.refund(name, 2)
		c.equal("Remaining", c.allowed(name, 0, true).Remaining, 2)
		c.allowed(name, 2, true)
		c.allowed(name, 1, false)
		c.refund(name, limit.N+5)
		c.equal("Remaining: no more than was taken", c.allowed(name, 0, true).Remaining, limit.N)
		c.allowed(name, limit.N, true)
		c.refund(name, 0)
		c.allowed(name, 1, false)
	}
}

func reset(t *testing.T, s *Suite) {
	c := s.open(t, ratelimit.Per(3, hour), ratelimit.Rate(3, hour, 3))
	c.allowed("a", 3, true)
	c.allowed("b", 3, true)
	c.allowed("a", 1, false)
	if err := c.store.Reset(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	c.allowed("a", 3, true)
	c.allowed("b", 1, false)
	if err := c.store.Reset(context.Background(), "unknown"); err != nil {
		t.Fatal(err)
	}
}

func contextDone(t *testing.T, s *Suite) {
	c := s.open(t, ratelimit.Per(2, hour))
	c.allowed("a", 1, true)
	cause := errors.New("ratelimittest: left")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	_, err := c.store.Take(ctx, "a", 1)
	for _, err := range []error{err, c.store.Refund(ctx, "a", 1), c.store.Reset(ctx, "a")} {
		if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
			t.Fatalf("error is %v, want the error of ctx and its cause", err)
		}
	}
	c.equal("Remaining: nothing was done", c.take("a", 0).Remaining, 1)
}

func negative(t *testing.T, s *Suite) {
	c := s.open(t, ratelimit.Per(2, hour))
	for _, f := range []func(){
		func() { _, _ = c.store.Take(context.Background(), "a", -1) },
		func() { _ = c.store.Refund(context.Background(), "a", -1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		}()
	}
}

// contention has many callers want more than there is, of several rules.
func contention(t *testing.T, s *Suite) {
	const limit = 200
	c := s.open(t, ratelimit.Per(limit, hour), ratelimit.Rate(2*limit, hour, 2*limit))
	got := s.storm(t, []ratelimit.Store{c.store}, limit)
	c.equal("permits got", got, limit)
}

func sharesOneBudget(t *testing.T, s *Suite) {
	const limit = 200
	c := s.open(t, ratelimit.Per(limit, hour))
	stores := []ratelimit.Store{c.store, s.Another(t), s.Another(t)}
	got := s.storm(t, stores, limit)
	c.equal("permits got", got, limit)
	for i := range stores {
		c.store = stores[i]
		c.allowed("hot", 1, false)
	}
	c.refund("hot", 3)
	c.store = stores[0]
	c.equal("Remaining", c.take("hot", 0).Remaining, 3)
}

// storm takes twice limit permits of one key through all stores at once, and
// returns how many it got.
func (s *Suite) storm(t *testing.T, stores []ratelimit.Store, limit int) int {
	var got atomic.Int64
	var wg sync.WaitGroup
	const callers = 16
	for i := range callers {
		store := stores[i%len(stores)]
		wg.Go(func() {
			for range 2 * limit / callers {
				d, err := store.Take(context.Background(), "hot", 1)
				if err != nil || d.Degraded {
					t.Errorf("Take: %+v, %v", d, err)
					return
				}
				if d.Allowed {
					got.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(got.Load())
}
