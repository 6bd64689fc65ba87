package cluster

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"sync"
)

// Serve makes this process a worker of j if it was started as one: it runs the
// calls that come until the program that sent them has ended or wants it to
// end, and returns true; main should return then. In any other process it
// returns false at once. Call it first thing in main, after the functions are
// registered and before anything that only the program itself should do.
func (j *Jobs) Serve(ctx context.Context) bool {
	if _, ok := takeRole(j.cfg.Name, roleJobs); !ok {
		return false
	}
	conn, err := controlConn()
	if err != nil {
		return true // the other side sees that nobody answers
	}
	defer workerSignals(nil)()
	j.serveOn(ctx, conn)
	return true
}

// jobServer is a worker process at work.
type jobServer struct {
	jobs *Jobs
	link *link

	mu     sync.Mutex // guards cancel
	cancel context.CancelFunc
	calls  sync.WaitGroup
}

// serveOn serves calls from conn until it is closed.
func (j *Jobs) serveOn(ctx context.Context, conn net.Conn) {
	s := &jobServer{jobs: j, link: newLink(conn, j.cfg.limit())}
	_ = s.link.control(frameReady, nil)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	_ = s.link.read(func(f frame) error { return s.receive(ctx, f) })
	stop()
	cancel()

	// Nobody is left who wants an answer. Who does not heed its context is
	// ended with the process.
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.calls.Wait()
	}()
	wait(done, j.cfg.Grace)
	if !isClosed(done) {
		j.exit(ExitOrphan)
	}
	s.link.close(0)
}

func (s *jobServer) receive(parent context.Context, f frame) error {
	switch f.kind {
	case frameCall:
		c, err := decodeCall(f.body)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(parent)
		if c.within > 0 {
			cancel()
			ctx, cancel = context.WithTimeout(parent, c.within)
		}
		s.mu.Lock()
		s.cancel = cancel
		s.mu.Unlock()
		s.calls.Go(func() {
			defer cancel()
			s.run(ctx, c)
		})
	case frameCancel:
		s.mu.Lock()
		if s.cancel != nil {
			s.cancel()
		}
		s.mu.Unlock()
	default:
		return fmt.Errorf("%w: kind %d from the caller", errFrame, f.kind)
	}
	return nil
}

// run runs a call and sends its result. A panic is recovered to tell the caller
// of it; the caller ends this process.
func (s *jobServer) run(ctx context.Context, c call) {
	r := result{id: c.id, state: resultGoexit, output: []byte("runtime.Goexit was called")}
	defer func() {
		if v := recover(); v != nil {
			r.state, r.output = resultPanic, fmt.Appendf(nil, "%v\n\n%s", v, debug.Stack())
		}
		if r.state != resultOK {
			r.output = r.output[:min(len(r.output), maxBye)]
		}
		if s.jobs.cfg.MaxMemory > 0 { // it is a fifth of a small call
			r.rss, _ = memory()
		}
		_ = s.link.control(frameResult, encodeResult(r))
	}()
	s.jobs.mu.Lock()
	h := s.jobs.funcs[c.name]
	s.jobs.mu.Unlock()
	if h == nil {
		r.state, r.output = resultUnknown, fmt.Appendf(nil, "cluster: no function %q is registered in the worker process", c.name)
		return
	}
	output, err := h(ctx, c.input)
	switch {
	case err != nil:
		r.state, r.output = resultError, []byte(err.Error())
	case len(output) > s.jobs.cfg.MaxMessage:
		r.state, r.output = resultTooLarge, []byte(strconv.Itoa(len(output)))
	default:
		r.state, r.output = resultOK, output
	}
}
