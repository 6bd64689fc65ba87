package cluster

import (
	"context"
	"fmt"
	"time"
)

// How a call ends: with an answer, without its caller, or with its process.

// answer ends a call that w has answered. A function that fails as its ctx ends
// can be faster than the caller, whose ctx ends in the same moment: that is a
// cancelled call too, and its error matches both.
func (j *Jobs) answer(ctx context.Context, w *jobWorker, name string, r result) ([]byte, error) {
	cancelled := r.state == resultError && ends(ctx)
	output, err := j.settle(w, name, r, cancelled)
	if cancelled {
		err = fmt.Errorf("%w: %w", ctxError(ctx), err)
	}
	return output, err
}

// ends reports whether ctx is done, or would be if its timer were not late.
func ends(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// settle turns a result into what Call returns, and frees the worker.
func (j *Jobs) settle(w *jobWorker, name string, r result, cancelled bool) ([]byte, error) {
	broken := r.state == resultPanic || r.state == resultGoexit
	j.mu.Lock()
	j.busy--
	switch {
	case broken:
		j.stats.Panics++
	case cancelled:
		j.stats.Canceled++
	case r.state != resultOK:
		j.stats.Failed++
	}
	j.doneLocked(w, r, broken)
	j.mu.Unlock()
	if broken {
		_ = w.child.signal(sigKill)
	}
	text := string(r.output)
	switch r.state {
	case resultOK:
		return r.output, nil
	case resultPanic, resultGoexit:
		return nil, &PanicError{Func: name, Text: text}
	case resultTooLarge:
		return nil, fmt.Errorf("%w: the output of %s has %s bytes, want at most %d", ErrTooLarge, name, text, j.cfg.MaxMessage)
	}
	return nil, &FuncError{Func: name, Text: text}
}

// leave sees to the process whose caller has left: it may answer within Grace,
// or is killed.
func (j *Jobs) leave(w *jobWorker) {
	_ = w.link.control(frameCancel, nil)
	timer := time.NewTimer(j.cfg.Grace)
	defer timer.Stop()
	var r result
	answered := false
	select {
	case r = <-w.results:
		answered = true
	case <-w.dead:
	case <-timer.C:
		_ = w.child.signal(sigKill)
	}
	broken := !answered || r.state == resultPanic || r.state == resultGoexit
	if broken && answered {
		_ = w.child.signal(sigKill)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.busy--
	if answered {
		j.stats.Canceled++
	} else {
		j.stats.Killed++
	}
	j.doneLocked(w, r, broken)
}

// lost is the error of a call whose process is gone.
func (j *Jobs) lost(w *jobWorker, name string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.busy--
	j.changedLocked()
	if j.closed {
		return ErrClosed
	}
	j.stats.Lost++
	return &LostError{Func: name, Pid: w.child.pid, Status: w.status}
}
