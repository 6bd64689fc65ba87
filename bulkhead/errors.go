package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sentinels for errors.Is.
var (
	// ErrFull matches every *FullError.
	ErrFull = errors.New("bulkhead: full")

	// ErrWeight matches every *WeightError.
	ErrWeight = errors.New("bulkhead: weight out of range")

	// ErrClosed is returned to callers that come, or still wait, after Close,
	// and to those that come after Drain.
	ErrClosed = errors.New("bulkhead: closed")
)

// Reason says why a caller was refused.
type Reason int

// The reasons in a FullError.
const (
	// QueueFull: no slot was free, and no more callers may wait.
	QueueFull Reason = iota + 1

	// WaitTooLong: the caller waited for Config.MaxWait.
	WaitTooLong

	// TurnTooLate: the caller's deadline comes before the turn it can expect.
	TurnTooLate
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case QueueFull:
		return "queue full"
	case WaitTooLong:
		return "waited too long"
	case TurnTooLate:
		return "turn too late"
	}
	return fmt.Sprintf("Reason(%d)", int(r))
}

// FullError is the refusal of a caller for want of slots. It matches ErrFull.
type FullError struct {
	Name    string // Config.Name
	Reason  Reason // why
	Weight  int    // how many slots the caller wanted
	Limit   int    // as in Stats, at the time of the refusal
	InUse   int    // likewise
	Waiting int    // likewise

	// Waited is how long the caller has waited, if Reason is WaitTooLong.
	Waited time.Duration

	// Expected is the estimated time until a caller that comes now has its
	// turn. Zero means that nothing is known.
	Expected time.Duration
}

// Error returns the refusal in words.
func (e *FullError) Error() string {
	s := fmt.Sprintf("bulkhead: %sfull, %s, %d of %d in use, %d waiting",
		prefix(e.Name), e.Reason, e.InUse, e.Limit, e.Waiting)
	if e.Expected > 0 {
		s += fmt.Sprintf(", turn expected in %v", e.Expected.Round(time.Microsecond))
	}
	return s
}

// Is reports whether target is ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// RetryAfter returns Expected: when it makes sense to come again.
func (e *FullError) RetryAfter() time.Duration { return e.Expected }

// WeightError is the refusal of a weight that can never be admitted. It
// matches ErrWeight. To try again is useless until Resize.
type WeightError struct {
	Name   string // Config.Name
	Weight int    // how many slots the caller wanted
	Limit  int    // the heaviest weight admitted
}

// Error returns the refusal in words.
func (e *WeightError) Error() string {
	return fmt.Sprintf("bulkhead: %sweight out of range, %d is not 1 to %d", prefix(e.Name), e.Weight, e.Limit)
}

// Is reports whether target is ErrWeight.
func (e *WeightError) Is(target error) bool { return target == ErrWeight }

// prefix is the name as it begins an error text.
func prefix(name string) string {
	if name == "" {
		return ""
	}
	return name + ": "
}

// ctxError returns the error of a done ctx, which also matches its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
