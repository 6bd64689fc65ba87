package ratelimitredis

import (
	"context"
	_ "embed"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed head.lua
	head string
	//go:embed short.lua
	short string
	//go:embed rules.lua
	rules string
	//go:embed take.lua
	take string
	//go:embed refund.lua
	refund string

	takeScript   = redis.NewScript(head + short + rules + take)
	refundScript = redis.NewScript(head + rules + refund)
)

// request is one call of the server, for a caller that may have left.
type request struct {
	script *redis.Script // nil: the keys are deleted
	keys   []string
	args   []any
	cmd    redis.Cmder
	done   chan struct{} // closed when cmd has its result
}

// reply returns the numbers of the script. Only when done is closed.
func (r *request) reply() ([]int64, error) {
	if c, ok := r.cmd.(*redis.IntSliceCmd); ok {
		return c.Result()
	}
	return nil, r.cmd.Err()
}

// command makes r.cmd anew.
func (r *request) command(ctx context.Context) redis.Cmder {
	args := make([]any, 0, 3+len(r.keys)+len(r.args))
	if r.script == nil {
		args = append(args, "unlink")
	} else {
		args = append(args, "evalsha", r.script.Hash(), len(r.keys))
	}
	for _, k := range r.keys {
		args = append(args, k)
	}
	args = append(args, r.args...)
	switch r.script {
	case takeScript:
		r.cmd = redis.NewIntSliceCmd(ctx, args...)
	default:
		r.cmd = redis.NewIntCmd(ctx, args...)
	}
	return r.cmd
}

// line is where calls wait to be sent, and carries those that come at one time
// together: while one pipeline is under way the next one gathers.
type line struct {
	client  redis.UniversalClient
	timeout time.Duration
	most    int // pipelines under way at one time

	mu      sync.Mutex // guards the following
	waiting []*request
	flights int
	closed  bool
	landed  chan struct{} // closed when closed and the last flight is over
}

// longestPipe is how many calls go in one pipeline: the first of them waits
// for the last to be answered.
const longestPipe = 128

// enter puts r into the line. It reports false if that is closed.
func (l *line) enter(r *request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.waiting = append(l.waiting, r)
	if l.flights < l.most {
		l.flights++
		go l.fly()
	}
	return true
}

// leave takes r out of the line, if it has not been sent.
func (l *line) leave(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, r); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
}

// next returns the calls of the next pipeline. With none left the flight is
// over.
func (l *line) next() []*request {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.waiting), longestPipe)
	if n == 0 {
		l.flights--
		if l.closed && l.flights == 0 {
			close(l.landed)
		}
		return nil
	}
	batch := slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	return batch
}

// fly sends what waits until nothing does.
func (l *line) fly() {
	for batch := l.next(); batch != nil; batch = l.next() {
		// Whoever left its call must not end those of others.
		ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
		l.send(ctx, batch)
		cancel()
		for _, r := range batch {
			close(r.done)
		}
	}
}

// send fills in the results of a batch. A server that does not know a script,
// because it was restarted or has taken over, is given it and asked again.
func (l *line) send(ctx context.Context, batch []*request) {
	l.pipe(ctx, batch)
	var again []*request
	for _, r := range batch {
		if err := r.cmd.Err(); err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
			again = append(again, r)
		}
	}
	if len(again) == 0 {
		return
	}
	// In a cluster each master is given it.
	if errors.Join(takeScript.Load(ctx, l.client).Err(), refundScript.Load(ctx, l.client).Err()) == nil {
		l.pipe(ctx, again)
	}
}

// pipe sends the commands of a batch together. Each has its own result.
func (l *line) pipe(ctx context.Context, batch []*request) {
	if len(batch) == 1 {
		_ = l.client.Process(ctx, batch[0].command(ctx))
		return
	}
	p := l.client.Pipeline()
	for _, r := range batch {
		_ = p.Process(ctx, r.command(ctx))
	}
	_, _ = p.Exec(ctx)
}

// close refuses new calls and returns when the last flight is over or ctx is
// done.
func (l *line) close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		if l.flights == 0 {
			close(l.landed)
		}
	}
	l.mu.Unlock()
	select {
	case <-l.landed:
		return nil
	case <-ctx.Done():
		return ctxError(ctx)
	}
}
