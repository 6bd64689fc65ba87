package ratelimithttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimithttp"
)

// recording is a Store that notes its calls and may fail.
type recording struct {
	ratelimit.Store
	keys    []string
	refunds int
	err     error
}

func (s *recording) Take(ctx context.Context, key string, n int) (ratelimit.Decision, error) {
	s.keys = append(s.keys, key)
	if s.err != nil {
		return ratelimit.Decision{}, s.err
	}
	return s.Store.Take(ctx, key, n)
}

func (s *recording) Refund(ctx context.Context, key string, n int) error {
	s.refunds += n
	return s.Store.Refund(ctx, key, n)
}

func memory(limits ...ratelimit.Limit) *recording {
	return &recording{Store: ratelimit.Memory{Limiter: ratelimit.MustNew(ratelimit.Config[string]{Limits: limits})}}
}

func TestAStoreTakesThePlaceOfTheLimits(t *testing.T) {
	s := memory(ratelimit.Per(2, time.Minute))
	m := ratelimithttp.MustNew(ratelimithttp.Config{Store: s, User: user})
	require.Nil(t, m.Limiter())
	h := m.Handler(ok)
	for i := range 3 {
		w := serve(h, request(t, "192.0.2.1:1"))
		require.Equal(t, i < 2, w.Code == http.StatusOK)
		require.Equal(t, `"default";q=2;w=60`, w.Header().Get("RateLimit-Policy"))
	}
	require.Equal(t, 200, serve(h, request(t, "192.0.2.1:1", "User", "192.0.2.1/32")).Code, "a user is no address")
	require.Equal(t, 200, serve(h, request(t, "192.0.2.1:1", "User", "")).Code)
	require.Equal(t, []string{"addr:192.0.2.1/32", "addr:192.0.2.1/32", "addr:192.0.2.1/32", "user:192.0.2.1/32", "user:"}, s.keys)
	require.Equal(t, "addr:2001:db8::/64", ratelimithttp.Key{Address: netip.MustParsePrefix("2001:db8::/64")}.StoreKey())
}

func TestAStoreIsGivenBackWhatFailed(t *testing.T) {
	s := memory(ratelimit.Per(10, time.Minute))
	m := ratelimithttp.MustNew(ratelimithttp.Config{
		Store: s, Cost: func(*http.Request) int { return 4 }, Refund: func(status int) bool { return status >= 500 },
	})
	ctx, cancel := context.WithCancel(t.Context())
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		cancel() // the client leaves before the answer
		w.WriteHeader(http.StatusBadGateway)
	}))
	serve(h, request(t, "192.0.2.1:1").WithContext(ctx))
	require.Equal(t, 4, s.refunds)
	d, err := s.Take(t.Context(), "addr:192.0.2.1/32", 10)
	require.NoError(t, err)
	require.True(t, d.Allowed)
}

type later struct{ error }

func (later) RetryAfter() time.Duration { return 1500 * time.Millisecond }

func TestWithoutAnAnswerOfTheStoreThereIs503(t *testing.T) {
	s := memory()
	h := ratelimithttp.MustNew(ratelimithttp.Config{Store: s}).Handler(ok)
	for err, after := range map[error]string{
		ratelimit.ErrStore: "1", later{ratelimit.ErrStore}: "2", errors.New("other"): "1",
	} {
		s.err = err
		w := serve(h, request(t, "192.0.2.1:1"))
		require.Equal(t, http.StatusServiceUnavailable, w.Code, "never unlimited")
		require.Equal(t, after, w.Header().Get("Retry-After"))
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		var problem struct{ Type string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
		require.Equal(t, "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity", problem.Type)
	}
	s.err = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, http.StatusServiceUnavailable, serve(h, request(t, "192.0.2.1:1").WithContext(ctx)).Code)
}

func TestWhatTheStoreKnowsIsNotSetTwice(t *testing.T) {
	s := memory()
	for field, cfg := range map[string]ratelimithttp.Config{
		"Limits":   {Store: s, Limits: per(1)},
		"PlanFor":  {Store: s, PlanFor: func(ratelimithttp.Key) *ratelimit.Plan { return nil }},
		"MaxKeys":  {Store: s, MaxKeys: 1},
		"Overflow": {Store: s, Overflow: ratelimit.OverflowDeny},
		"Hooks":    {Store: s, Hooks: ratelimit.Hooks{OnLimited: func(ratelimit.Limited) {}}},
	} {
		_, err := ratelimithttp.New(cfg)
		require.EqualError(t, err, "ratelimithttp: Config."+field+" is set, want it in the Store")
	}
}
