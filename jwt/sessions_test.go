package jwt_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// house is a service with sessions.
type house struct {
	t        *testing.T
	keys     *jwt.KeySet
	store    jwt.RefreshStore
	sessions *jwt.Sessions[user]
	access   *jwt.Verifier[user] // which asks the sessions
	offline  *jwt.Verifier[user] // which does not
	reuses   []jwt.Reuse
}

func newHouse(t *testing.T, change func(*jwt.SessionsConfig[user])) *house {
	h := &house{t: t, keys: keys()}
	cfg := jwt.SessionsConfig[user]{
		Keys: h.keys, Store: jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), Issuer: "https://auth", Audience: []string{"api"},
		AccessTTL: 5 * time.Minute, RefreshTTL: 24 * time.Hour, MaxSession: 72 * time.Hour,
	}
	cfg.Hooks.OnReuse = func(r jwt.Reuse) { h.reuses = append(h.reuses, r) }
	if change != nil {
		change(&cfg)
	}
	h.store = cfg.Store
	h.sessions = jwt.MustNewSessions(cfg)
	vc := strict(h.keys)
	vc.Type = jwt.Is(jwt.AccessType)
	h.offline = jwt.MustNewVerifier[user](vc)
	vc.Revocation, vc.Cache = h.sessions, 8
	h.access = jwt.MustNewVerifier[user](vc)
	return h
}

func (h *house) start() jwt.Pair {
	h.t.Helper()
	p, err := h.sessions.Start(h.t.Context(), alice())
	require.NoError(h.t, err)
	return p
}

func (h *house) refresh(p jwt.Pair) jwt.Pair {
	h.t.Helper()
	next, err := h.sessions.Refresh(h.t.Context(), p.Refresh)
	require.NoError(h.t, err)
	return next
}

func (h *house) refuses(p jwt.Pair, want error) {
	h.t.Helper()
	next, err := h.sessions.Refresh(h.t.Context(), p.Refresh)
	requireCause(h.t, want, err)
	require.Zero(h.t, next)
}

func TestSessionsGiveTwoTokensForTwoPurposes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		p := h.start()
		c, err := h.access.Verify(t.Context(), p.Access)
		require.NoError(t, err)
		require.Equal(t, "alice", c.Subject)
		require.Equal(t, int64(7), c.ID)
		require.Equal(t, p.Session, c.Session)
		require.Equal(t, jwt.DateOf(time.Now()), c.AuthTime)
		require.Equal(t, p.AccessExpires, c.Expires.Time())
		require.Equal(t, 5*time.Minute, time.Until(p.AccessExpires))
		require.Equal(t, 24*time.Hour, time.Until(p.RefreshExpires))

		// Neither passes for the other, by its type and by its audience.
		_, err = h.access.Verify(t.Context(), p.Refresh)
		requireCause(t, jwt.ErrType, err)
		_, err = h.sessions.Refresh(t.Context(), p.Access)
		requireCause(t, jwt.ErrType, err)
		loose := strict(h.keys)
		loose.Type = jwt.Any()
		_, err = jwt.MustNewVerifier[user](loose).Verify(t.Context(), p.Refresh)
		requireCause(t, jwt.ErrAudience, err)

		u, err := jwt.PeekUnverified(p.Refresh)
		require.NoError(t, err)
		require.Equal(t, "rt+jwt", u.Type)
		require.NotEqual(t, c.Registered.ID, u.Claims.ID)
	})
}

func TestRefreshRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		p := h.start()
		start := jwt.DateOf(time.Now())
		seen := map[string]bool{p.Refresh: true, p.Access: true}
		for range 5 {
			time.Sleep(time.Hour)
			p = h.refresh(p)
			require.False(t, seen[p.Refresh] || seen[p.Access])
			seen[p.Refresh], seen[p.Access] = true, true
			c, err := h.access.Verify(t.Context(), p.Access)
			require.NoError(t, err)
			require.Equal(t, start, c.AuthTime, "it is when the user proved who he is")
			require.Equal(t, "admin", c.Role)
			require.Equal(t, p.Session, c.Session)
		}
		require.Empty(t, h.reuses)
	})
}

// No refresh moves the end of a session.
func TestMaxSessionIsAbsolute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *jwt.SessionsConfig[user]) { c.Leeway = time.Minute })
		begin := time.Now()
		p := h.start()
		for time.Since(begin) < 71*time.Hour+59*time.Minute {
			time.Sleep(time.Minute * 59)
			if time.Since(begin) >= 72*time.Hour {
				break
			}
			p = h.refresh(p)
			require.False(t, p.RefreshExpires.After(begin.Add(72*time.Hour)))
			require.False(t, p.AccessExpires.After(begin.Add(72*time.Hour)))
		}
		time.Sleep(time.Until(begin.Add(72 * time.Hour)))
		h.refuses(p, jwt.ErrExpired)
		time.Sleep(2 * time.Minute)
		h.refuses(p, jwt.ErrExpired)
	})
}

func TestARestingSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		p := h.start()
		time.Sleep(24*time.Hour - 1)
		p = h.refresh(p)
		time.Sleep(24 * time.Hour)
		h.refuses(p, jwt.ErrExpired)
	})
}

// A refresh token that is used again after the grace ends its session: whoever
// has the newest token is out as well.
func TestReuseEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		other := h.start()
		first := h.start()
		second := h.refresh(first)
		time.Sleep(10*time.Second + 1)
		h.refuses(first, jwt.ErrReused)
		u, err := jwt.PeekUnverified(first.Refresh)
		require.NoError(t, err)
		require.Equal(t, []jwt.Reuse{{Subject: "alice", Session: first.Session, TokenID: u.Claims.ID}}, h.reuses)
		h.refuses(second, jwt.ErrRevoked)
		h.refuses(first, jwt.ErrRevoked)
		require.Len(t, h.reuses, 1)
		_, err = h.access.Verify(t.Context(), second.Access)
		requireCause(t, jwt.ErrRevoked, err)
		_, err = h.offline.Verify(t.Context(), second.Access)
		require.NoError(t, err, "who does not ask learns of it with the end of the token")
		h.refresh(other)
	})
}

func TestAnOldTokenIsReuseAtAnyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		first := h.start()
		third := h.refresh(h.refresh(first))
		h.refuses(first, jwt.ErrReused) // though within the grace: it is two behind
		h.refuses(third, jwt.ErrRevoked)
	})
}

// Within the grace the same token gets the same pair, however many ask at once.
func TestGraceReturnsTheSameSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		first := h.start()
		pairs := make([]jwt.Pair, 16)
		errs := make([]error, len(pairs))
		var wg sync.WaitGroup
		for i := range pairs {
			wg.Go(func() { pairs[i], errs[i] = h.sessions.Refresh(context.Background(), first.Refresh) })
		}
		wg.Wait()
		for i := range pairs {
			require.NoError(t, errs[i])
			require.Equal(t, pairs[0].Refresh, pairs[i].Refresh)
			require.Equal(t, pairs[0].Access, pairs[i].Access)
			require.True(t, pairs[0].RefreshExpires.Equal(pairs[i].RefreshExpires))
		}
		time.Sleep(10 * time.Second)
		require.Equal(t, pairs[0].Refresh, h.refresh(first).Refresh)
		require.Empty(t, h.reuses)
		h.refresh(pairs[3])
	})
}

func TestWithoutGraceTheSecondUseIsReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *jwt.SessionsConfig[user]) { c.Grace = -1 })
		p := h.start()
		h.refresh(p)
		time.Sleep(time.Nanosecond)
		h.refuses(p, jwt.ErrReused)
	})
}

func TestRevokeEndsOneSessionOrAll(t *testing.T) {
	h := newHouse(t, nil)
	a, b, c := h.start(), h.start(), h.start()
	bob := alice()
	bob.Subject = "bob"
	other, err := h.sessions.Start(t.Context(), bob)
	require.NoError(t, err)
	require.ErrorContains(t, h.sessions.Revoke(t.Context(), "alice", ""), "no session")
	require.NoError(t, h.sessions.Revoke(t.Context(), "bob", a.Session), "not his, so nothing")
	a = h.refresh(a)
	require.NoError(t, h.sessions.Revoke(t.Context(), "alice", a.Session))
	require.NoError(t, h.sessions.Revoke(t.Context(), "alice", a.Session), "again is no error")
	h.refuses(a, jwt.ErrRevoked)
	b = h.refresh(b)
	require.NoError(t, h.sessions.RevokeSubject(t.Context(), "alice"))
	h.refuses(b, jwt.ErrRevoked)
	h.refuses(c, jwt.ErrRevoked)
	_, err = h.access.Verify(t.Context(), c.Access)
	requireCause(t, jwt.ErrRevoked, err)
	h.refresh(other)
}

func TestRevokedWantsASession(t *testing.T) {
	h := newHouse(t, nil)
	for _, r := range []jwt.Registered{{}, {Subject: "alice"}, {Session: "s"}, {Subject: "alice", Session: "s"}} {
		revoked, err := h.sessions.Revoked(t.Context(), r)
		require.NoError(t, err)
		require.True(t, revoked)
	}
}

func TestLoadGivesTheNextClaims(t *testing.T) {
	var answer error
	h := newHouse(t, func(c *jwt.SessionsConfig[user]) {
		c.Load = func(_ context.Context, last user) (user, error) {
			last.Role, last.Subject = "demoted", "someone else"
			return last, answer
		}
	})
	p := h.refresh(h.start())
	c, err := h.access.Verify(t.Context(), p.Access)
	require.NoError(t, err)
	require.Equal(t, "demoted", c.Role)
	require.Equal(t, "alice", c.Subject, "a session stays its subject's")
	answer = errCause
	h.refuses(p, jwt.ErrUnavailable)
	answer = fmt.Errorf("disabled: %w", jwt.ErrRejected)
	h.refuses(p, jwt.ErrRejected)
	answer = nil
	h.refresh(p) // it was of use still
}

// A store that fails fails closed, and one that says nothing admits nobody.
func TestStoreFailuresFailClosed(t *testing.T) {
	store := &scripted{}
	h := newHouse(t, func(c *jwt.SessionsConfig[user]) { c.Store = store })
	store.err = errCause
	_, err := h.sessions.Start(t.Context(), alice())
	requireCause(t, jwt.ErrUnavailable, err)
	require.ErrorIs(t, err, errCause)
	store.err, store.result = nil, jwt.RefreshResult{}
	_, err = h.sessions.Start(t.Context(), alice())
	requireCause(t, jwt.ErrUnavailable, err)
	store.result.Outcome = jwt.Rotated
	p := h.start()
	store.err = errCause
	h.refuses(p, jwt.ErrUnavailable)
	require.ErrorIs(t, h.sessions.Revoke(t.Context(), "a", "b"), jwt.ErrUnavailable)
	require.ErrorIs(t, h.sessions.RevokeSubject(t.Context(), "a"), errCause)
	_, err = h.access.Verify(t.Context(), p.Access)
	requireCause(t, jwt.ErrUnavailable, err)
	store.err, store.result = nil, jwt.RefreshResult{}
	h.refuses(p, jwt.ErrRevoked)
	store.result = jwt.RefreshResult{Outcome: jwt.Replayed, Successor: []byte("not what was put there")}
	h.refuses(p, jwt.ErrUnavailable)
	_, err = h.access.Verify(t.Context(), p.Access)
	requireCause(t, jwt.ErrRevoked, err)
}

// scripted is a store that answers as it is told, and shows what it was asked.
type scripted struct {
	result jwt.RefreshResult
	err    error
	steps  []jwt.RefreshStep
}

func (s *scripted) Rotate(_ context.Context, step jwt.RefreshStep) (jwt.RefreshResult, error) {
	s.steps = append(s.steps, step)
	return s.result, s.err
}
func (s *scripted) Revoke(context.Context, string, string) error        { return s.err }
func (s *scripted) Alive(context.Context, string, string) (bool, error) { return false, s.err }

// What a store gets to see is of no use to whoever reads it.
func TestStoresSeeNoTokens(t *testing.T) {
	store := &scripted{result: jwt.RefreshResult{Outcome: jwt.Rotated}}
	h := newHouse(t, func(c *jwt.SessionsConfig[user]) { c.Store = store })
	first := h.start()
	second := h.refresh(first)
	require.Len(t, store.steps, 2)
	require.Equal(t, 10*time.Second, store.steps[1].Grace)
	require.Empty(t, store.steps[0].Successor)
	require.Equal(t, store.steps[0].To, store.steps[1].From)
	for _, p := range []jwt.Pair{first, second} {
		for _, tok := range []string{p.Access, p.Refresh} {
			for part := range strings.SplitSeq(tok, ".") {
				require.NotContains(t, fmt.Sprintf("%s", store.steps), part)
			}
		}
	}
}

func TestRefreshRefusesWhatItDidNotGive(t *testing.T) {
	h := newHouse(t, nil)
	for payload, want := range map[string]error{
		`{"iss":"https://auth","aud":"https://auth","sub":"alice","exp":4000000000,"sid":"s","auth_time":1}`:                                  jwt.ErrClaim,
		`{"iss":"https://auth","aud":"https://auth","sub":"alice","exp":4000000000,"jti":"x","auth_time":1}`:                                  jwt.ErrClaim,
		`{"iss":"https://auth","aud":"https://auth","sub":"alice","exp":4000000000,"jti":"x","sid":"s"}`:                                      jwt.ErrClaim,
		`{"iss":"https://auth","aud":"https://auth","sub":"alice","exp":4000000000,"jti":"x","sid":"s","auth_time":1}`:                        jwt.ErrExpired,
		fmt.Sprintf(`{"iss":"https://auth","aud":"https://auth","sub":"alice","exp":4000000000,"jti":"","sid":"s","auth_time":%d}`, unix(0)):  jwt.ErrClaim,
		fmt.Sprintf(`{"iss":"https://auth","aud":"https://auth","sub":"alice","exp":4000000000,"jti":"x","sid":"","auth_time":%d}`, unix(0)):  jwt.ErrClaim,
		`{"iss":"https://auth","aud":"https://auth","exp":4000000000,"jti":"x","sid":"s","auth_time":1}`:                                      jwt.ErrSubject,
		`{"iss":"https://auth","aud":"api","sub":"alice","exp":4000000000,"jti":"x","sid":"s","auth_time":1}`:                                 jwt.ErrAudience,
		`{"iss":"https://evil","aud":"https://auth","sub":"alice","exp":4000000000,"jti":"x","sid":"s","auth_time":1}`:                        jwt.ErrIssuer,
		fmt.Sprintf(`{"iss":"https://auth","aud":"https://auth","sub":"alice","exp":4000000000,"jti":"x","sid":"s","auth_time":%d}`, unix(0)): jwt.ErrRevoked,
	} {
		_, err := h.sessions.Refresh(t.Context(), forge(`{"alg":"HS256","typ":"rt+jwt"}`, payload))
		requireCause(t, want, err, payload)
	}
	_, err := h.sessions.Refresh(t.Context(), strings.Repeat("A", 100_000))
	requireCause(t, jwt.ErrTooLarge, err)
	_, err = h.sessions.Refresh(t.Context(), "")
	requireCause(t, jwt.ErrMalformed, err)
}

func TestStartWantsASubject(t *testing.T) {
	h := newHouse(t, nil)
	_, err := h.sessions.Start(t.Context(), user{})
	requireCause(t, jwt.ErrClaim, err)
	free := jwt.MustNewSessions(jwt.SessionsConfig[map[string]any]{
		Keys: h.keys, Store: h.store, Issuer: "https://auth", Audience: []string{"api"},
	})
	_, err = free.Start(t.Context(), map[string]any{"sub": 5})
	requireCause(t, jwt.ErrClaim, err)
	p, err := free.Start(t.Context(), map[string]any{"sub": "alice", "x": 1})
	require.NoError(t, err)
	p, err = free.Refresh(t.Context(), p.Refresh)
	require.NoError(t, err)
	c, err := h.offline.Verify(t.Context(), p.Access)
	require.NoError(t, err)
	require.Equal(t, "alice", c.Subject)
	broken := alice()
	broken.Role = "\xff"
	_, err = h.sessions.Start(t.Context(), broken)
	require.ErrorContains(t, err, "UTF-8")
}

func TestNewSessionsNamesWhatIsWrong(t *testing.T) {
	for field, change := range map[string]func(*jwt.SessionsConfig[user]){
		"Keys":       func(c *jwt.SessionsConfig[user]) { c.Keys = nil },
		"Store":      func(c *jwt.SessionsConfig[user]) { c.Store = nil },
		"Issuer":     func(c *jwt.SessionsConfig[user]) { c.Issuer = "" },
		"Audience":   func(c *jwt.SessionsConfig[user]) { c.Audience = nil },
		"AccessTTL":  func(c *jwt.SessionsConfig[user]) { c.AccessTTL = -1 },
		"RefreshTTL": func(c *jwt.SessionsConfig[user]) { c.RefreshTTL = time.Minute },
		"MaxSession": func(c *jwt.SessionsConfig[user]) { c.MaxSession = time.Hour },
		"Leeway":     func(c *jwt.SessionsConfig[user]) { c.Leeway = -1 },
	} {
		cfg := jwt.SessionsConfig[user]{
			Keys: keys(), Store: jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), Issuer: "i", Audience: []string{"a"},
		}
		_, err := jwt.NewSessions(cfg)
		require.NoError(t, err)
		change(&cfg)
		_, err = jwt.NewSessions(cfg)
		require.ErrorContains(t, err, "Config."+field)
		require.Panics(t, func() { jwt.MustNewSessions(cfg) })
	}
	type anonymous struct {
		Role string `json:"role"`
	}
	_, err := jwt.NewSessions(jwt.SessionsConfig[anonymous]{Keys: keys(), Store: &scripted{}, Issuer: "i", Audience: []string{"a"}})
	require.ErrorContains(t, err, "no field for sub")
}

// Many clients with many tabs each, refreshing at once while some log out: no
// session is taken for stolen, and each stays one line of tokens.
func TestRefreshUnderLoad(t *testing.T) {
	h := newHouse(t, func(c *jwt.SessionsConfig[user]) {
		c.Grace = time.Hour
		c.Hooks.OnReuse = func(r jwt.Reuse) { t.Errorf("reuse of %v", r) }
	})
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Go(func() {
			claims := alice()
			claims.Subject = fmt.Sprint("user-", client)
			p, err := h.sessions.Start(t.Context(), claims)
			if err != nil {
				t.Errorf("Start: %v", err)
				return
			}
			for range 20 {
				var next [3]jwt.Pair
				var tabs sync.WaitGroup
				for i := range next {
					tabs.Go(func() {
						var err error
						if next[i], err = h.sessions.Refresh(t.Context(), p.Refresh); err != nil {
							t.Errorf("Refresh: %v", err)
						}
					})
				}
				tabs.Wait()
				if next[0].Refresh != next[1].Refresh || next[1].Refresh != next[2].Refresh {
					t.Errorf("the tabs of client %d got different tokens", client)
				}
				p = next[client%3]
			}
			if err := h.sessions.Revoke(t.Context(), claims.Subject, p.Session); err != nil {
				t.Errorf("Revoke: %v", err)
			}
		})
	}
	wg.Wait()
}
