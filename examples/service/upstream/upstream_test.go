package upstream_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/examples/service/upstream"
	"github.com/bedplate/bedplate/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, onChange func(breaker.StateChange)) (*upstream.Server, *upstream.Client) {
	t.Helper()
	s, err := upstream.Listen(context.Background())
	require.NoError(t, err)
	c := upstream.NewClient(s.URL(), onChange)
	t.Cleanup(func() {
		c.CloseIdleConnections()
		require.NoError(t, s.Close())
	})
	return s, c
}

var ctx = context.Background()

func TestClientGetsTitles(t *testing.T) {
	_, c := start(t, nil)
	for page, title := range map[string]string{
		"https://example.com/a/small-page.html": "a small page html · example.com",
		"https://example.com":                   "example.com",
	} {
		got, attempts, err := c.Title(ctx, page)
		require.NoError(t, err)
		require.Equal(t, title, got)
		require.Equal(t, 1, attempts)
	}
	require.Equal(t, [3]uint64{2, 0, 0}, c.Attempts())
}

func TestClientRetriesThenItsBreakerOpensAndCloses(t *testing.T) {
	var mu sync.Mutex
	var states []breaker.State
	s, c := start(t, func(change breaker.StateChange) {
		mu.Lock()
		defer mu.Unlock()
		states = append(states, change.To)
	})
	s.Set(true, false)
	_, attempts, err := c.Title(ctx, "https://example.com")
	require.ErrorIs(t, err, retry.ErrExhausted)
	require.Equal(t, 3, attempts)
	_, _, err = c.Title(ctx, "https://example.com")
	require.ErrorIs(t, err, breaker.ErrOpen, "five failures in a row")
	_, attempts, err = c.Title(ctx, "https://example.com")
	require.ErrorIs(t, err, breaker.ErrOpen)
	require.Equal(t, 0, attempts, "it was not asked")
	require.Less(t, c.Tokens(), float64(upstream.BudgetTokens))

	s.Set(false, false)
	require.Eventually(t, func() bool {
		_, _, _ = c.Title(ctx, "https://example.com")
		return c.Breaker.State() == breaker.Closed
	}, 20*time.Second, 10*time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, breaker.Open, states[0])
	require.Equal(t, []breaker.State{breaker.HalfOpen, breaker.Closed}, states[len(states)-2:])
}

func TestClientIsNotHeldUpByAServerThatHangs(t *testing.T) {
	s, c := start(t, nil)
	s.Set(false, true)
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() { _, _, _ = c.Title(ctx, "https://example.com") })
	}
	require.Eventually(t, func() bool { return c.Breaker.State() == breaker.Open }, 20*time.Second, time.Millisecond)
	callers.Wait()
	require.LessOrEqual(t, c.Bulkhead.Stats().Limit, 8)
	require.Zero(t, c.Bulkhead.Stats().InUse)

	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	require.Eventually(t, func() bool { return c.Breaker.Stats().RetryAfter == 0 }, 20*time.Second, time.Millisecond)
	_, _, err := c.Title(short, "https://example.com")
	require.Error(t, err, "a caller leaves when it wants to")
}

func TestClientRefusesMoreThanItsBulkheadHolds(t *testing.T) {
	_, c := start(t, nil)
	require.NoError(t, c.Bulkhead.Close())
	_, _, err := c.Title(ctx, "https://example.com")
	require.ErrorIs(t, err, bulkhead.ErrClosed)
}

func TestServerRefusesWhatIsNoAddress(t *testing.T) {
	s, _ := start(t, nil)
	for _, query := range []string{"", "?url=", "?url=%zz", "?url=nothing"} {
		res, err := http.Get(s.URL() + "/title" + query)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusBadRequest, res.StatusCode, query)
	}
	http.DefaultClient.CloseIdleConnections()
}
