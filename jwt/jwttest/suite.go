package jwttest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bedplate/bedplate/jwt"
)

// Suite tests an implementation of jwt.RefreshStore.
type Suite struct {
	// Open returns a store without sessions, to be used for the duration of t. It
	// is required.
	Open func(t *testing.T) jwt.RefreshStore

	// Another returns a second store that shares the sessions of the one that
	// Open returned last, as another process would have it. Nil means that
	// sessions are not shared, and leaves out the test of that.
	Another func(t *testing.T) jwt.RefreshStore

	// Sleep lets that much time pass on the store's clock. Nil means to wait.
	Sleep func(time.Duration)
}

// Run runs all tests, each as a subtest of t. They never want something to happen
// before a time, only not before it, so a slow machine fails none of them.
func (s Suite) Run(t *testing.T) {
	if s.Sleep == nil {
		s.Sleep = func(d time.Duration) { <-time.After(d) }
	}
	for _, c := range []struct {
		name string
		test func(*testing.T, *Suite)
	}{
		{"BeginsOnce", beginsOnce},
		{"RotatesTheNewest", rotatesTheNewest},
		{"ReplaysWithinGrace", replaysWithinGrace},
		{"ReuseEndsTheSession", reuseEndsTheSession},
		{"AnOlderTokenIsReuse", olderIsReuse},
		{"UnknownSessionsAreGone", unknownIsGone},
		{"SessionsExpire", sessionsExpire},
		{"RotatingProlongs", rotatingProlongs},
		{"RevokesOneOrAll", revokes},
		{"NamesAreApart", namesAreApart},
		{"SuccessorsAreBytes", successorsAreBytes},
		{"ContextDone", contextDone},
		{"OneRotatesOfManyAtOnce", oneRotates},
		{"SharesSessions", shares},
	} {
		if c.name == "SharesSessions" && s.Another == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) { c.test(t, &s) })
	}
}

// client is a store without its errors, for one test.
type client struct {
	t     *testing.T
	store jwt.RefreshStore
}

func (s *Suite) open(t *testing.T) client {
	t.Helper()
	store := s.Open(t)
	if store == nil {
		t.Fatal("Open returned no store")
	}
	return client{t, store}
}

// step rotates from one token to another and wants an outcome.
func (c client) step(subject, session, from, to string, want jwt.Outcome) jwt.RefreshResult {
	c.t.Helper()
	return c.rotate(jwt.RefreshStep{
		Subject: subject, Session: session, From: from, To: to, Live: time.Hour, Grace: time.Minute, Successor: []byte("after " + from),
	}, want)
}

func (c client) rotate(step jwt.RefreshStep, want jwt.Outcome) jwt.RefreshResult {
	c.t.Helper()
	res, err := c.store.Rotate(context.Background(), step)
	if err != nil {
		c.t.Fatalf("Rotate(%q from %q): %v", step.Session, step.From, err)
	}
	if res.Outcome != want {
		c.t.Fatalf("Rotate(%q from %q) is %v, want %v", step.Session, step.From, res.Outcome, want)
	}
	if want == jwt.Replayed && string(res.Successor) != "after "+step.From {
		c.t.Fatalf("Rotate(%q from %q) replays %q", step.Session, step.From, res.Successor)
	}
	return res
}

func (c client) alive(subject, session string, want bool) {
	c.t.Helper()
	got, err := c.store.Alive(context.Background(), subject, session)
	if err != nil || got != want {
		c.t.Fatalf("Alive(%q, %q) is %v, %v, want %v", subject, session, got, err, want)
	}
}

func (c client) revoke(subject, session string) {
	c.t.Helper()
	if err := c.store.Revoke(context.Background(), subject, session); err != nil {
		c.t.Fatalf("Revoke(%q, %q): %v", subject, session, err)
	}
}

func beginsOnce(t *testing.T, s *Suite) {
	c := s.open(t)
	c.alive("u", "s", false)
	c.step("u", "s", "", "1", jwt.Rotated)
	c.alive("u", "s", true)
	c.step("u", "s", "", "x", jwt.Gone)
	c.step("u", "s", "1", "2", jwt.Rotated)
}

func rotatesTheNewest(t *testing.T, s *Suite) {
	c := s.open(t)
	c.step("u", "s", "", "0", jwt.Rotated)
	for n := range 20 {
		c.step("u", "s", strconv.Itoa(n), strconv.Itoa(n+1), jwt.Rotated)
	}
	c.alive("u", "s", true)
}

func replaysWithinGrace(t *testing.T, s *Suite) {
	c := s.open(t)
	c.step("u", "s", "", "1", jwt.Rotated)
	c.step("u", "s", "1", "2", jwt.Rotated)
	for range 3 {
		c.step("u", "s", "1", "other", jwt.Replayed)
	}
	c.step("u", "s", "2", "3", jwt.Rotated)
	c.step("u", "s", "2", "other", jwt.Replayed)
}

func reuseEndsTheSession(t *testing.T, s *Suite) {
	c := s.open(t)
	c.step("u", "s", "", "1", jwt.Rotated)
	c.step("u", "other", "", "1", jwt.Rotated)
	c.step("u", "s", "1", "2", jwt.Rotated)
	s.Sleep(300 * time.Millisecond)
	c.rotate(jwt.RefreshStep{Subject: "u", Session: "s", From: "1", To: "x", Live: time.Hour, Grace: 100 * time.Millisecond}, jwt.Reused)
	c.alive("u", "s", false)
	c.step("u", "s", "2", "3", jwt.Gone)
	c.step("u", "s", "1", "3", jwt.Gone)
	c.alive("u", "other", true)
}

func olderIsReuse(t *testing.T, s *Suite) {
	c := s.open(t)
	c.step("u", "s", "", "1", jwt.Rotated)
	c.step("u", "s", "1", "2", jwt.Rotated)
	c.step("u", "s", "2", "3", jwt.Rotated)
	c.step("u", "s", "1", "x", jwt.Reused)
	c.step("u", "s", "3", "4", jwt.Gone)
	c.step("u", "t", "", "1", jwt.Rotated)
	c.step("u", "t", "never", "x", jwt.Reused)
	c.alive("u", "t", false)
}

func unknownIsGone(t *testing.T, s *Suite) {
	c := s.open(t)
	c.step("u", "s", "1", "2", jwt.Gone)
	c.alive("u", "s", false)
	c.revoke("u", "s")
	c.revoke("u", "")
}

func sessionsExpire(t *testing.T, s *Suite) {
	c := s.open(t)
	c.rotate(jwt.RefreshStep{Subject: "u", Session: "s", To: "1", Live: 200 * time.Millisecond}, jwt.Rotated)
	c.step("u", "long", "", "1", jwt.Rotated)
	s.Sleep(400 * time.Millisecond)
	c.alive("u", "s", false)
	c.step("u", "s", "1", "2", jwt.Gone)
	c.alive("u", "long", true)
	c.step("u", "s", "", "1", jwt.Rotated)
}

func rotatingProlongs(t *testing.T, s *Suite) {
	c := s.open(t)
	c.rotate(jwt.RefreshStep{Subject: "u", Session: "s", To: "1", Live: 30 * time.Second}, jwt.Rotated)
	c.rotate(jwt.RefreshStep{Subject: "u", Session: "s", From: "1", To: "2", Live: time.Hour}, jwt.Rotated)
	c.alive("u", "s", true)
	c.rotate(jwt.RefreshStep{Subject: "u", Session: "s", From: "2", To: "3", Live: 200 * time.Millisecond}, jwt.Rotated)
	s.Sleep(400 * time.Millisecond)
	c.alive("u", "s", false)
}

func revokes(t *testing.T, s *Suite) {
	c := s.open(t)
	for _, session := range []string{"a", "b", "c"} {
		c.step("u", session, "", "1", jwt.Rotated)
		c.step("v", session, "", "1", jwt.Rotated)
	}
	c.revoke("u", "a")
	c.alive("u", "a", false)
	c.alive("u", "b", true)
	c.step("u", "a", "1", "2", jwt.Gone)
	c.revoke("u", "")
	c.alive("u", "b", false)
	c.step("u", "c", "1", "2", jwt.Gone)
	for _, session := range []string{"a", "b", "c"} {
		c.alive("v", session, true)
	}
}

func namesAreApart(t *testing.T, s *Suite) {
	c := s.open(t)
	names := []string{"a", "a:b", "b", "a b", "{a}", "a}", "é", "a\x00b", "*", `"`}
	for _, subject := range names {
		for _, session := range []string{"s", "b:s", "s}", "a"} {
			c.step(subject, session, "", subject+session, jwt.Rotated)
		}
	}
	for _, subject := range names {
		for _, session := range []string{"s", "b:s", "s}", "a"} {
			c.step(subject, session, subject+session, "2", jwt.Rotated)
		}
		c.revoke(subject, "")
		c.alive(subject, "s", false)
	}
}

func successorsAreBytes(t *testing.T, s *Suite) {
	c := s.open(t)
	all := make([]byte, 2048)
	for i := range all {
		all[i] = byte(i)
	}
	step := jwt.RefreshStep{Subject: "u", Session: "s", From: "1", To: "2", Live: time.Hour, Grace: time.Minute, Successor: all}
	c.step("u", "s", "", "1", jwt.Rotated)
	c.rotate(step, jwt.Rotated)
	step.Successor = []byte("another")
	for range 2 {
		res, err := c.store.Rotate(context.Background(), step)
		if err != nil || res.Outcome != jwt.Replayed || string(res.Successor) != string(all) {
			t.Fatalf("the successor is %x, %v", res.Successor, err)
		}
		clear(res.Successor) // it is the caller's
	}
}

func contextDone(t *testing.T, s *Suite) {
	c := s.open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.store.Rotate(ctx, jwt.RefreshStep{Subject: "u", Session: "s", To: "1", Live: time.Hour}); err == nil {
		t.Fatal("Rotate with a done ctx is no error")
	}
	if err := c.store.Revoke(ctx, "u", "s"); err == nil {
		t.Fatal("Revoke with a done ctx is no error")
	}
	if _, err := c.store.Alive(ctx, "u", "s"); err == nil {
		t.Fatal("Alive with a done ctx is no error")
	}
	c.alive("u", "s", false)
}

func oneRotates(t *testing.T, s *Suite) {
	c := s.open(t)
	manyAtOnce(t, c.store, c.store)
}

func shares(t *testing.T, s *Suite) {
	c := s.open(t)
	other := client{t, s.Another(t)}
	c.step("u", "s", "", "1", jwt.Rotated)
	other.step("u", "s", "1", "2", jwt.Rotated)
	c.step("u", "s", "1", "x", jwt.Replayed)
	other.revoke("u", "s")
	c.alive("u", "s", false)
	manyAtOnce(t, c.store, other.store)
}

// manyAtOnce uses each token of a session many times at once: one use rotates,
// the others get what that one left for them.
func manyAtOnce(t *testing.T, stores ...jwt.RefreshStore) {
	t.Helper()
	c := client{t, stores[0]}
	c.step("many", "s", "", "0", jwt.Rotated)
	token := "0"
	for n := range 10 {
		var rotated atomic.Pointer[string]
		var successors [8]string
		var wg sync.WaitGroup
		for w := range successors {
			wg.Go(func() {
				to := fmt.Sprintf("%d-%d", n, w)
				res, err := stores[w%len(stores)].Rotate(context.Background(), jwt.RefreshStep{
					Subject: "many", Session: "s", From: token, To: to, Live: time.Hour, Grace: time.Hour, Successor: []byte(to),
				})
				switch {
				case err != nil:
					t.Errorf("Rotate: %v", err)
				case res.Outcome == jwt.Rotated:
					if !rotated.CompareAndSwap(nil, &to) {
						t.Errorf("two of one token have rotated")
					}
					successors[w] = to
				case res.Outcome == jwt.Replayed:
					successors[w] = string(res.Successor)
				default:
					t.Errorf("Rotate is %v", res.Outcome)
				}
			})
		}
		wg.Wait()
		if rotated.Load() == nil {
			t.Fatal("none has rotated")
		}
		token = *rotated.Load()
		for _, got := range successors {
			if got != token {
				t.Fatalf("one got %q, the one that rotated is %q", got, token)
			}
		}
	}
}
