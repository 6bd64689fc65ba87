package lru

import (
	"context"
	"errors"
	"fmt"
)

// Sentinels for errors.Is.
var (
	// ErrCapacity matches every *CapacityError.
	ErrCapacity = errors.New("lru: capacity out of range")

	// ErrNotFound is for loaders: an error that matches it says that there is
	// no value, which is an answer rather than a failure. It is remembered for
	// Config.NegativeTTL.
	ErrNotFound = errors.New("lru: not found")

	// ErrAborted is what those get who waited for a load that panicked or
	// called runtime.Goexit.
	ErrAborted = errors.New("lru: load aborted")

	// ErrSnapshot matches the errors of Load for input that Save did not write.
	ErrSnapshot = errors.New("lru: bad snapshot")
)

// CapacityError is the refusal of a capacity by New or Resize. It matches
// ErrCapacity.
type CapacityError struct {
	Name        string // Config.Name
	What        string // "Config.Capacity" or "Resize"
	Capacity    int    // what was asked for
	Least, Most int    // what is possible
}

// Error returns the refusal in words.
func (e *CapacityError) Error() string {
	return fmt.Sprintf("lru: %s%s is %d, want %d to %d", prefix(e.Name), e.What, e.Capacity, e.Least, e.Most)
}

// Is reports whether target is ErrCapacity.
func (e *CapacityError) Is(target error) bool { return target == ErrCapacity }

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
