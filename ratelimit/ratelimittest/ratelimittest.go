// Package ratelimittest tests implementations of ratelimit.Store: what any of
// them must do, wherever it keeps its events.
//
//	func TestStore(t *testing.T) {
//		ratelimittest.Suite{
//			Open: func(t *testing.T, limits ...ratelimit.Limit) ratelimit.Store {
//				return ratelimit.Memory{Limiter: ratelimit.MustNew(ratelimit.Config[string]{Limits: limits})}
//			},
//		}.Run(t)
//	}
//
// The tests use windows of an hour where time must not matter and of
// Suite.Window where it does. They never want something to happen before a
// time, only not before it, so a slow machine fails none of them.
package ratelimittest

import (
	"context"
	"testing"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
)

// Suite says how to get at the Store to be tested.
type Suite struct {
	// Open returns a store with these limits and without events, to be used
	// for the duration of t. It is required.
	Open func(t *testing.T, limits ...ratelimit.Limit) ratelimit.Store

	// Another returns a second store that shares the events of the one that
	// Open returned last, with the same limits, as another process would
	// have it. Nil means that events are not shared, and leaves out the
	// tests of that.
	Another func(t *testing.T) ratelimit.Store

	// Sleep lets that much time pass on the store's clock. Nil means to wait.
	Sleep func(time.Duration)

	// Window is that of the limits in the tests that let it pass. Zero means
	// 200ms.
	Window time.Duration

	virtual bool // time passes by Sleep
}

// Run runs all tests, each as a subtest of t.
func (s Suite) Run(t *testing.T) {
	s.virtual = s.Sleep != nil
	if !s.virtual {
		s.Sleep = func(d time.Duration) { <-time.After(d) }
	}
	if s.Window == 0 {
		s.Window = 200 * time.Millisecond
	}
	for _, c := range []struct {
		name string
		test func(*testing.T, *Suite)
	}{
		{"AdmitsTheLimitAndRefusesTheNext", admitsTheLimit},
		{"KeysAreApart", keysAreApart},
		{"AllOrNothing", allOrNothing},
		{"DecisionsHaveFigures", decisionsHaveFigures},
		{"RetryAfterSuffices", retryAfterSuffices},
		{"NeverMoreInAnyWindow", neverMoreInAnyWindow},
		{"RefusalsDoNotConsume", refusalsDoNotConsume},
		{"ManyRulesAllOrNothing", manyRules},
		{"ShadowsRefuseNothing", shadows},
		{"ALimitOfZeroDenies", limitOfZero},
		{"LargeLimitsAreStrict", largeLimits},
		{"RefundGivesBackTheNewest", refund},
		{"ResetForgets", reset},
		{"ContextDoneBefore", contextDone},
		{"NegativePermitsPanic", negative},
		{"ConservesPermitsUnderContention", contention},
		{"SharesOneBudget", sharesOneBudget},
	} {
		if c.name == "SharesOneBudget" && s.Another == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) { c.test(t, &s) })
	}
}

const hour = time.Hour

// client is a Store without its errors, for one test.
type client struct {
	t     *testing.T
	store ratelimit.Store
}

func (s *Suite) open(t *testing.T, limits ...ratelimit.Limit) client {
	t.Helper()
	store := s.Open(t, limits...)
	if store == nil {
		t.Fatal("Open returned no store")
	}
	return client{t, store}
}

// take requires an answer.
func (c client) take(key string, n int) ratelimit.Decision {
	c.t.Helper()
	d, err := c.store.Take(context.Background(), key, n)
	if err != nil {
		c.t.Fatalf("Take(%q, %d): %v", key, n, err)
	}
	if d.Degraded {
		c.t.Fatalf("Take(%q, %d) is degraded", key, n)
	}
	return d
}

// allowed requires that answer.
func (c client) allowed(key string, n int, want bool) ratelimit.Decision {
	c.t.Helper()
	d := c.take(key, n)
	if d.Allowed != want {
		c.t.Fatalf("Take(%q, %d) is %+v, want Allowed %v", key, n, d, want)
	}
	if d.Allowed != (d.RetryAfter == 0) {
		c.t.Fatalf("Take(%q, %d) is %+v, want RetryAfter 0 if and only if it is Allowed", key, n, d)
	}
	return d
}

func (c client) refund(key string, n int) {
	c.t.Helper()
	if err := c.store.Refund(context.Background(), key, n); err != nil {
		c.t.Fatalf("Refund(%q, %d): %v", key, n, err)
	}
}

// within requires low ≤ got ≤ high.
func (c client) within(what string, got, low, high time.Duration) {
	c.t.Helper()
	if got < low || got > high {
		c.t.Fatalf("%s is %v, want %v to %v", what, got, low, high)
	}
}

func (c client) equal(what string, got, want any) {
	c.t.Helper()
	if got != want {
		c.t.Fatalf("%s is %v, want %v", what, got, want)
	}
}
