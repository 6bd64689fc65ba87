package hedge

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrLost is the cause with which the context of an attempt ends when
	// another one was faster, or when the call is over.
	ErrLost = errors.New("hedge: another attempt was faster")

	// ErrGoexit stands for the error of an attempt that ended by
	// runtime.Goexit in a goroutine other than the caller's.
	ErrGoexit = errors.New("hedge: fn did not return")
)

// ctxErr is the error of a done context. It matches both ctx.Err() and, where
// the caller gave one, the cause.
func ctxErr(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
