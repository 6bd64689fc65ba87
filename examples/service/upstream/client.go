package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/retry"
)

// errAttemptTimeout is the cause of the end of an attempt that took too long.
var errAttemptTimeout = errors.New("upstream: the attempt took too long")

const attemptTimeout = 2 * time.Second

// Client asks the Server, behind retry ▸ breaker ▸ bulkhead ▸ attempt timeout.
// Its guards are there to be looked at.
type Client struct {
	Retry    *retry.Retrier
	Breaker  *breaker.Breaker
	Bulkhead *bulkhead.Bulkhead

	base   string
	http   *http.Client
	budget *retry.Budget
	after  [maxAttempts]atomic.Uint64 // calls that have ended after 1, 2, … attempts
}

// The numbers of the guards, which are also on show.
const (
	maxAttempts  = 3
	slots        = 8 // of the bulkhead
	BudgetTokens = 20
	TripsAfter   = 5
	MaxWaiting   = 16
)

// NewClient returns a Client of the server at base. Its breaker tells onChange
// of each transition.
func NewClient(base string, onChange func(breaker.StateChange)) *Client {
	c := &Client{base: base, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
	c.budget = retry.MustNewBudget(retry.BudgetConfig{MaxTokens: BudgetTokens, Ratio: 0.2})
	c.Retry = retry.MustNew(retry.Config{
		Name: "upstream", MaxAttempts: maxAttempts, BaseDelay: 30 * time.Millisecond, MaxDelay: 150 * time.Millisecond,
		// Retries are a luxury: while the upstream is down, failures empty the
		// budget, and there are none.
		Budget: c.budget,
		// Nor does it help to ask a breaker again.
		If: func(err error) bool { return !errors.Is(err, breaker.ErrOpen) && !errors.Is(err, bulkhead.ErrFull) },
	})
	c.Breaker = breaker.MustNew(breaker.Config{
		Name: "upstream", ConsecutiveFailures: TripsAfter,
		// A bulkhead full of calls that are slow is enough, too: a server that
		// hangs is found out before the first of its calls returns.
		SlowCall: attemptTimeout * 3 / 4, SlowInFlight: slots,
		OpenFor: 500 * time.Millisecond, MaxOpenFor: 2 * time.Second,
		Classify: func(ctx context.Context, err error) breaker.Outcome {
			if errors.Is(err, bulkhead.ErrFull) {
				return breaker.Ignored // says nothing about the upstream
			}
			return breaker.DefaultClassify(ctx, err)
		},
		Hooks: breaker.Hooks{OnStateChange: onChange},
	})
	c.Bulkhead = bulkhead.MustNew(bulkhead.Config{
		Name: "upstream", Limit: slots, MaxWaiting: MaxWaiting, MaxWait: 500 * time.Millisecond,
	})
	return c
}

// Title returns the title of a page, and how many times it had to be asked for.
func (c *Client) Title(ctx context.Context, page string) (title string, asked int, err error) {
	attempt := func(ctx context.Context) (string, error) {
		asked++
		return c.attempt(ctx, page)
	}
	title, err = retry.Wrap(c.Retry, breaker.Wrap(c.Breaker, bulkhead.Wrap(c.Bulkhead, attempt)))(ctx)
	if asked > 0 {
		c.after[asked-1].Add(1)
	}
	return title, asked, err
}

// Attempts returns how many calls have ended after one attempt, after two, and
// so on.
func (c *Client) Attempts() (counts [maxAttempts]uint64) {
	for i := range counts {
		counts[i] = c.after[i].Load()
	}
	return counts
}

// Tokens is what is left of the budget of retries.
func (c *Client) Tokens() float64 { return c.budget.Tokens() }

// CloseIdleConnections closes those to the server.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// attempt asks once, and not for longer than attemptTimeout.
func (c *Client) attempt(ctx context.Context, page string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, attemptTimeout, errAttemptTimeout)
	defer cancel()
	title, err := c.ask(ctx, page)
	if err != nil && errors.Is(context.Cause(ctx), errAttemptTimeout) {
		err = fmt.Errorf("%w: %w", errAttemptTimeout, err) // net/http does not say whose deadline it was
	}
	return title, err
}

func (c *Client) ask(ctx context.Context, page string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/title?url="+url.QueryEscape(page), nil)
	if err != nil {
		return "", retry.Permanent(err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("upstream: %s", res.Status)
	}
	var answer struct {
		Title string `json:"title"`
	}
	err = json.Unmarshal(body, &answer)
	return answer.Title, err
}
