package memwatch

import (
	"context"
	"errors"
	"fmt"
)

// ErrRunning is what Run returns while another Run of the same Watcher goes on.
var ErrRunning = errors.New("memwatch: already running")

// ctxError is the error of a done ctx. It matches ctx.Err() and the cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
