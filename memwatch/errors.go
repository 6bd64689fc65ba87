package memwatch

import (
	"context"
	"errors"
	"fmt"
)

// ErrRunning is what Run returns while another Run of the same Watcher goes on.
var ErrRunning = errors.New("memwatch: already running")

// ErrAbandoned is matched by the error of Run if an action went on for five
// seconds after the end of its ctx. Its goroutine ends when the action does;
// until then no Run of the same Watcher begins it again.
var ErrAbandoned = errors.New("memwatch: an action was left behind")

// ctxError is the error of a done ctx. It matches ctx.Err() and the cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
