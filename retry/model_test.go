package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry"
)

// outcome is what one attempt does: it takes a while, then returns err.
type outcome struct {
	takes time.Duration
	err   error
}

// scenario is a configuration and what befalls one call under it. Attempts
// beyond the script fail with errTry.
type scenario struct {
	cfg      retry.Config
	tokens   int           // of a fresh budget; 0 means no budget
	deadline time.Duration // of the caller; 0 means none
	script   []outcome
}

// result is what can be seen of a call from outside.
type result struct {
	attempts int
	elapsed  time.Duration
	reason   error // the *Error's Reason; nil for success or an error of fn's own
	last     error // the last attempt's error
	tokens   float64
}

// expect is the reference: the rules of package retry, one after the other,
// without jitter and with arithmetic in place of waiting.
func (s scenario) expect() (want result) {
	tokens := float64(s.tokens)
	for {
		if s.deadline > 0 && want.elapsed >= s.deadline {
			want.reason = context.DeadlineExceeded
			break
		}
		o := outcome{err: errTry}
		if want.attempts < len(s.script) {
			o = s.script[want.attempts]
		}
		want.attempts++
		want.elapsed += o.takes
		want.last = o.err
		if o.err == nil {
			tokens = min(tokens+0.5, float64(s.tokens))
			break
		}
		if errors.Is(o.err, errFatal) {
			break
		}
		if s.deadline > 0 && want.elapsed >= s.deadline {
			want.reason = context.DeadlineExceeded
			break
		}
		after := time.Duration(0)
		if r, ok := o.err.(refusal); ok {
			after = time.Duration(r)
		}
		if after < 0 {
			break
		}
		tokens = max(tokens-1, 0)
		if want.attempts == s.cfg.MaxAttempts {
			want.reason = retry.ErrExhausted
			break
		}
		delay := time.Duration(0)
		if !s.cfg.NoDelay {
			delay = s.cfg.BaseDelay
			for range want.attempts - 1 {
				delay = min(2*delay, s.cfg.MaxDelay)
			}
		}
		if after > s.cfg.MaxRetryAfter {
			want.reason = retry.ErrRetryAfter
			break
		}
		if after > 0 {
			delay = max(after, min(after+delay, s.cfg.MaxRetryAfter))
		}
		if s.cfg.MaxElapsed > 0 && want.elapsed+delay > s.cfg.MaxElapsed {
			want.reason = retry.ErrElapsed
			break
		}
		if s.deadline > 0 && delay > 0 && want.elapsed+delay >= s.deadline {
			want.reason = context.DeadlineExceeded
			break
		}
		if s.tokens > 0 && tokens <= float64(s.tokens)/2 {
			want.reason = retry.ErrBudget
			break
		}
		want.elapsed += delay
	}
	want.tokens = tokens
	return want
}

// observe plays the scenario, by Do or in the loop form.
func (s scenario) observe(t *testing.T, loop bool) (got result) {
	cfg := s.cfg
	if s.tokens > 0 {
		cfg.Budget = retry.MustNewBudget(retry.BudgetConfig{MaxTokens: s.tokens, Ratio: 0.5})
	}
	r := retry.MustNew(cfg)
	ctx := t.Context()
	if s.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.deadline)
		defer cancel()
	}
	begin := time.Now()
	fn := func(context.Context) error {
		o := outcome{err: errTry}
		if got.attempts < len(s.script) {
			o = s.script[got.attempts]
		}
		got.attempts++
		<-time.After(o.takes)
		got.last = o.err
		return o.err
	}
	var err error
	if loop {
		for a := range r.Attempts(ctx, &err) {
			a.Done(fn(a.Context()))
		}
	} else {
		err = r.Do(ctx, fn)
	}
	got.elapsed = time.Since(begin)
	if e, ok := errors.AsType[*retry.Error](err); ok {
		require.Equal(t, got.attempts, e.Attempts)
		require.Equal(t, got.last, e.Last())
		require.Len(t, e.Errors(), min(got.attempts, 8))
		got.reason = e.Reason
	} else {
		require.Equal(t, got.last, err, "without an *Error it is fn's own")
	}
	if cfg.Budget != nil {
		got.tokens = cfg.Budget.Tokens()
	}
	return got
}

// decode makes a scenario of any bytes. Durations are even and deadlines odd,
// so that no two things happen at the same instant.
func decode(data []byte) scenario {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	const unit = 2 * time.Millisecond
	s := scenario{cfg: retry.Config{Jitter: retry.NoJitter}}
	s.cfg.MaxAttempts = 1 + next()%12
	if flags := next(); flags&1 != 0 {
		s.cfg.NoDelay, s.cfg.Jitter = true, 0
	} else {
		s.cfg.BaseDelay = time.Duration(1+next()%20) * unit
		s.cfg.MaxDelay = s.cfg.BaseDelay * time.Duration(1+next()%9)
	}
	s.cfg.MaxRetryAfter = time.Duration(1+next()) * unit
	s.cfg.MaxElapsed = max(0, time.Duration(next()-64)) * 8 * unit
	if s.deadline = max(0, time.Duration(next()-64)) * 8 * unit; s.deadline > 0 {
		s.deadline++
	}
	s.tokens = max(0, next()%32-16)
	for len(data) > 0 && len(s.script) < 16 {
		o := outcome{takes: time.Duration(next()%32) * unit, err: errTry}
		switch kind := next(); kind % 8 {
		case 0:
			o.err = nil
		case 1:
			o.err = retry.Permanent(errFatal)
		case 2:
			o.err = refusal(-1)
		case 3, 4:
			o.err = refusal(time.Duration(kind) * unit)
		case 5:
			o.err = fmt.Errorf("wrapped: %w", errTry)
		}
		s.script = append(s.script, o)
	}
	return s
}

func checkModel(t *testing.T, data []byte) {
	s := decode(data)
	want := s.expect()
	for _, loop := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			require.Equal(t, want, s.observe(t, loop), "loop form: %v, scenario: %+v", loop, s)
		})
	}
}

func TestModelAgreesOnRandomScenarios(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	reasons := make(map[string]bool)
	for range 2000 {
		data := make([]byte, 8+rng.IntN(34))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		checkModel(t, data)
		reasons[fmt.Sprint(decode(data).expect().reason)] = true
	}
	require.Len(t, reasons, 6, "every way to end has been met: %v", reasons)
}
