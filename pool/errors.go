package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sentinels for errors.Is. The first four are what an *AcquireError matches.
var (
	// ErrTimeout: the caller has waited for Config.AcquireTimeout.
	ErrTimeout = errors.New("pool: acquire timed out")

	// ErrFull: Config.MaxWaiting callers were waiting already.
	ErrFull = errors.New("pool: too many waiting")

	// ErrDown: there is no resource, and the last attempt to create one has
	// failed. The AcquireError matches the error of that attempt as well.
	ErrDown = errors.New("pool: cannot create")

	// ErrNested: the caller holds a resource of the same pool, and
	// Config.RefuseNested is set.
	ErrNested = errors.New("pool: nested acquire")

	// ErrReleased is returned for a Lease that has been released, discarded,
	// detached or reclaimed, and for the zero Lease. Nothing has changed.
	ErrReleased = errors.New("pool: lease already released")

	// ErrClosed is returned to callers that come after Close or Drain, or still
	// wait at Close.
	ErrClosed = errors.New("pool: closed")
)

// AcquireError says why a caller got no resource and what the pool was doing.
// It matches Err and, if that is ErrDown, CreateErr.
type AcquireError struct {
	Name string // Config.Name

	// Err is ErrTimeout, ErrFull, ErrDown or ErrNested; or the error of a ctx
	// whose deadline passed while the caller waited, with its cause.
	Err error

	Waited time.Duration // how long the caller has waited

	// InUse and the others are as in Stats.
	InUse, Creating, Closing, Max, Waiting int

	// OldestHold is how long the resource has been held that is held longest,
	// to about a tenth of a second, and OldestHolder the function and line that
	// acquired it, if Config.LeakAfter is set.
	OldestHold   time.Duration
	OldestHolder string

	// CreateErr is what the last attempt to create a resource ended with: nil
	// after a success.
	CreateErr error

	// Retry is the time until the next attempt, if Err is ErrDown.
	Retry time.Duration
}

// Error returns all of it in one line.
func (e *AcquireError) Error() string {
	var b strings.Builder
	why := strings.TrimPrefix(e.Err.Error(), "pool: ")
	fmt.Fprintf(&b, "pool: %s%s: waited %v, %d of %d in use", prefix(e.Name), why, round(e.Waited), e.InUse, e.Max)
	for _, n := range []struct {
		count int
		what  string
	}{{e.Creating, "being created"}, {e.Closing, "closing"}, {e.Waiting, "waiting"}} {
		if n.count > 0 {
			fmt.Fprintf(&b, ", %d %s", n.count, n.what)
		}
	}
	if e.InUse > 0 {
		fmt.Fprintf(&b, ", oldest held %v", round(e.OldestHold))
		if e.OldestHolder != "" {
			fmt.Fprintf(&b, " by %s", e.OldestHolder)
		}
	}
	if e.CreateErr != nil {
		fmt.Fprintf(&b, "; last create: %v", e.CreateErr)
	}
	return b.String()
}

// Unwrap returns what the error matches.
func (e *AcquireError) Unwrap() []error {
	if e.Err == ErrDown {
		return []error{e.Err, e.CreateErr}
	}
	return []error{e.Err}
}

// RetryAfter returns Retry: when it makes sense to come again.
func (e *AcquireError) RetryAfter() time.Duration { return e.Retry }

// round makes a duration readable.
func round(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d
}

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
