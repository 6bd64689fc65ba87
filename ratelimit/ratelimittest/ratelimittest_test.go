package ratelimittest_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimittest"
)

func memory(limits ...ratelimit.Limit) ratelimit.Store {
	return ratelimit.Memory{Limiter: ratelimit.MustNew(ratelimit.Config[string]{Limits: limits})}
}

// TestMemory runs the suite on the store of this module, as one that is shared
// as well: two values of Memory with one Limiter.
func TestMemory(t *testing.T) {
	var last ratelimit.Store
	ratelimittest.Suite{
		Open: func(_ *testing.T, limits ...ratelimit.Limit) ratelimit.Store {
			last = memory(limits...)
			return last
		},
		Another: func(*testing.T) ratelimit.Store { return ratelimit.Memory{Limiter: last.(ratelimit.Memory).Limiter} },
	}.Run(t)
}

// wrong is a good store with one thing wrong.
type wrong struct {
	ratelimit.Store
	take   func(w *wrong, ctx context.Context, key string, n int) (ratelimit.Decision, error)
	refund func(w *wrong, ctx context.Context, key string, n int) error
	limits []ratelimit.Limit
	mu     sync.Mutex // guards the two below
	count  int
	since  time.Time
}

func (w *wrong) Take(ctx context.Context, key string, n int) (ratelimit.Decision, error) {
	if w.take == nil {
		return w.Store.Take(ctx, key, n)
	}
	return w.take(w, ctx, key, n)
}

func (w *wrong) Refund(ctx context.Context, key string, n int) error {
	if w.refund == nil {
		return w.Store.Refund(ctx, key, n)
	}
	return w.refund(w, ctx, key, n)
}

// The ways to be wrong, and the test that has to find out.
var breaches = map[string]struct {
	caught string
	with   *wrong
}{
	"admits one too many": {"AdmitsTheLimitAndRefusesTheNext", &wrong{take: func(w *wrong, ctx context.Context, key string, n int) (ratelimit.Decision, error) {
		d, err := w.Store.Take(ctx, key, n)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.count++; w.count == 4 {
			d = ratelimit.Decision{Allowed: true}
		}
		return d, err
	}}},
	"one budget for all": {"KeysAreApart", &wrong{take: func(w *wrong, ctx context.Context, _ string, n int) (ratelimit.Decision, error) {
		return w.Store.Take(ctx, "", n)
	}}},
	"takes what there is": {"AllOrNothing", &wrong{take: func(w *wrong, ctx context.Context, key string, n int) (ratelimit.Decision, error) {
		return w.Store.Take(ctx, key, min(n, 3))
	}}},
	"no RetryAfter": {"DecisionsHaveFigures", &wrong{take: func(w *wrong, ctx context.Context, key string, n int) (ratelimit.Decision, error) {
		d, err := w.Store.Take(ctx, key, n)
		d.ResetAfter = 0
		return d, err
	}}},
	"early RetryAfter": {"RetryAfterSuffices", &wrong{take: func(w *wrong, ctx context.Context, key string, n int) (ratelimit.Decision, error) {
		d, err := w.Store.Take(ctx, key, n)
		d.RetryAfter /= 2
		return d, err
	}}},
	"a fixed window": {"NeverMoreInAnyWindow", &wrong{take: func(w *wrong, ctx context.Context, key string, n int) (ratelimit.Decision, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		l := w.limits[0]
		if time.Since(w.since) > l.Window*2/3 {
			w.since = time.Now()
			_ = w.Reset(ctx, key)
		}
		return w.Store.Take(ctx, key, n)
	}}},
	"never is an hour": {"ALimitOfZeroDenies", &wrong{take: func(w *wrong, ctx context.Context, key string, n int) (ratelimit.Decision, error) {
		d, err := w.Store.Take(ctx, key, n)
		d.RetryAfter = min(d.RetryAfter, time.Hour)
		return d, err
	}}},
	"refunds nothing": {"RefundGivesBackTheNewest", &wrong{refund: func(*wrong, context.Context, string, int) error { return nil }}},
	"never looks at ctx": {"ContextDoneBefore", &wrong{take: func(w *wrong, _ context.Context, key string, n int) (ratelimit.Decision, error) {
		return w.Store.Take(context.Background(), key, n)
	}}},
	"not shared": {"SharesOneBudget", &wrong{}},
}

// TestBroken runs the suite on a wrong store. It is for the test below, which
// runs it in a process of its own: it has to fail.
func TestBroken(t *testing.T) {
	b, ok := breaches[os.Getenv("RATELIMITTEST_BREACH")]
	if !ok {
		return
	}
	open := func(_ *testing.T, limits ...ratelimit.Limit) ratelimit.Store {
		return &wrong{Store: memory(limits...), take: b.with.take, refund: b.with.refund, limits: limits}
	}
	s := ratelimittest.Suite{Open: open}
	if b.caught == "SharesOneBudget" {
		s.Another = func(t *testing.T) ratelimit.Store { return open(t, ratelimit.Per(200, time.Hour)) }
	}
	s.Run(t)
}

func TestTheSuiteCatchesBreaches(t *testing.T) {
	for name, b := range breaches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$/^"+b.caught+"$", "-test.v")
			cmd.Env = append(os.Environ(), "RATELIMITTEST_BREACH="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "%s", out)
			require.Contains(t, string(out), "--- FAIL: TestBroken/"+b.caught, "%s", out)
		})
	}
}
