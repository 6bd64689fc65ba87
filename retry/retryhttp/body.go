package retryhttp

import (
	"context"
	"io"
	"time"
)

// What is spent on a discarded body to save its connection. Beyond either, a
// new connection is the cheaper choice.
const (
	maxDrain     = 64 << 10
	maxDrainTime = 250 * time.Millisecond
)

// heldBody is a response's body that keeps its attempt's context alive until it
// is closed or read to its end.
type heldBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b heldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.cancel(nil)
	}
	return n, err
}

// Close closes the body and ends the context.
func (b heldBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// discard reads the rest, so that the connection can serve the next attempt,
// and closes. A server that trickles is cut off by the end of the context.
func (b heldBody) discard() {
	timer := time.AfterFunc(maxDrainTime, func() { b.cancel(nil) })
	_, _ = io.CopyN(io.Discard, b.ReadCloser, maxDrain)
	timer.Stop()
	_ = b.Close()
}

// hold ties the context's end to the body's. A body that can be written to, as
// after 101 Switching Protocols, still can.
func hold(body io.ReadCloser, cancel context.CancelCauseFunc) io.ReadCloser {
	held := heldBody{body, cancel}
	if w, ok := body.(io.Writer); ok {
		return struct {
			heldBody
			io.Writer
		}{held, w}
	}
	return held
}
