package cluster

import (
	"container/list"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// jobExit is how long a process that has nothing to do may take to end.
const jobExit = 5 * time.Second

// jobRule spaces the starts of processes that do not get ready. There is no
// crash loop: each failure is told to somebody who waits.
var jobRule = restartRule{min: 50 * time.Millisecond, max: 10 * time.Second, stable: never, limit: 1 << 30, window: time.Second}

// jobWorker is one process of Jobs.
type jobWorker struct {
	child  *child
	link   *link
	dead   chan struct{} // closed when the process is reaped
	status string        // how it ended; set before dead is closed

	// Guarded by Jobs.mu.
	ready   bool
	retired bool        // is to end: nobody may use it any more
	call    uint64      // the number of the call it has, or had
	results chan result // of that call
	timer   *time.Timer // kills it when it takes too long to start or to end
}

// jobWaiter is a call that waits for a process. It is granted under Jobs.mu,
// once: a worker or an error.
type jobWaiter struct {
	granted chan struct{}
	worker  *jobWorker
	err     error
}

// call runs a function in a process.
func (j *Jobs) call(ctx context.Context, name string, input []byte) ([]byte, error) {
	if len(input) > j.cfg.MaxMessage {
		return nil, fmt.Errorf("%w: the input of %s has %d bytes, want at most %d", ErrTooLarge, name, len(input), j.cfg.MaxMessage)
	}
	w, err := j.acquire(ctx)
	if err != nil {
		return nil, err
	}
	c := call{id: w.call, name: name, input: input}
	if deadline, ok := ctx.Deadline(); ok {
		c.within = max(1, time.Until(deadline))
	}
	_ = w.link.control(frameCall, encodeCall(c)) // if it is gone, dead tells
	select {
	case r := <-w.results:
		return j.answer(ctx, w, name, r)
	case <-w.dead:
		select {
		case r := <-w.results: // its last word
			return j.answer(ctx, w, name, r)
		default:
			return nil, j.lost(w, name)
		}
	case <-ctx.Done():
	}
	j.tasks.Go(func() { j.leave(w) })
	return nil, ctxError(ctx)
}

// acquire gets a process, and counts the call as busy.
func (j *Jobs) acquire(ctx context.Context) (*jobWorker, error) {
	j.mu.Lock()
	if j.draining || j.closed {
		j.mu.Unlock()
		return nil, ErrClosed
	}
	if n := len(j.idle); n > 0 && j.waiters.Len() == 0 {
		w := j.idle[n-1]
		j.idle = j.idle[:n-1]
		j.assignLocked(w)
		j.mu.Unlock()
		return w, nil
	}
	if j.waiters.Len() >= j.cfg.MaxWaiting {
		j.stats.Refused++
		j.mu.Unlock()
		return nil, ErrFull
	}
	waiter := &jobWaiter{granted: make(chan struct{})}
	place := j.waiters.PushBack(waiter)
	j.growLocked(0)
	j.mu.Unlock()

	select {
	case <-waiter.granted:
		return waiter.worker, waiter.err
	case <-ctx.Done():
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if isClosed(waiter.granted) {
		if waiter.worker != nil { // in the same moment: it goes to the next one
			j.busy--
			j.freeLocked(waiter.worker)
		}
	} else {
		j.waiters.Remove(place)
	}
	j.changedLocked()
	return nil, ctxError(ctx)
}

// assignLocked gives a free worker a call.
func (j *Jobs) assignLocked(w *jobWorker) {
	w.call++
	w.results = make(chan result, 1)
	j.busy++
	j.stats.Calls++
}

// freeLocked gives a worker that is free to the oldest waiter, or keeps it.
func (j *Jobs) freeLocked(w *jobWorker) {
	switch {
	case w.retired, isClosed(w.dead):
		return
	case j.quitted:
		j.retireLocked(w)
		return
	}
	if first := j.waiters.Front(); first != nil {
		waiter := j.waiters.Remove(first).(*jobWaiter)
		j.assignLocked(w)
		waiter.worker = w
		close(waiter.granted)
		return
	}
	j.idle = append(j.idle, w)
}

// growLocked starts a process for each waiter that none is being started for,
// and spare more, as far as cfg.Workers allows.
func (j *Jobs) growLocked(spare int) {
	for j.starting < j.waiters.Len()+spare && j.alive < j.cfg.Workers && !j.closed {
		j.alive++
		j.starting++
		delay := j.notYet - j.now()
		j.tasks.Go(func() { j.attend(delay) })
	}
}

// doneLocked takes a worker back from a call, or lets it end if it has done
// enough.
func (j *Jobs) doneLocked(w *jobWorker, r result, broken bool) {
	worn := j.cfg.MaxCalls > 0 && w.call >= uint64(j.cfg.MaxCalls) || j.cfg.MaxMemory > 0 && r.rss > j.cfg.MaxMemory
	switch {
	case broken:
		w.retired = true
	case worn:
		j.retireLocked(w)
	default:
		j.freeLocked(w)
	}
	j.changedLocked()
}

// retireLocked lets a worker that is free end: it sees its socket close.
func (j *Jobs) retireLocked(w *jobWorker) {
	w.retired = true
	w.link.out.close(ErrGone, true)
	_ = w.link.conn.Close()
	w.timer = time.AfterFunc(jobExit, func() { _ = w.child.signal(sigKill) })
}

// attend starts a process after a delay, reads what it sends, and reaps it.
func (j *Jobs) attend(delay time.Duration) {
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-j.quit:
		}
	}
	child, err := j.startWorker()
	if err != nil {
		j.ended(nil, err)
		return
	}
	w := &jobWorker{child: child, link: newLink(child.conn, j.cfg.limit()), dead: make(chan struct{})}
	j.mu.Lock()
	j.workers[w] = struct{}{}
	w.timer = time.AfterFunc(j.cfg.StartTimeout, func() { _ = child.signal(sigKill) })
	if j.quitted {
		_ = child.signal(sigKill)
	}
	j.mu.Unlock()

	read := make(chan struct{})
	go func() {
		defer close(read)
		_ = w.link.read(func(f frame) error { return j.receive(w, f) })
		j.mu.Lock()
		retired := w.retired
		j.mu.Unlock()
		if !retired {
			_ = child.signal(sigKill) // it has closed its socket, or sent nonsense: nobody can use it
		}
	}()
	ended := child.wait()
	_ = child.conn.SetReadDeadline(time.Now().Add(time.Second)) // as for a kid
	<-read
	w.link.close(0)
	w.status = ended.status
	j.ended(w, fmt.Errorf("cluster: a worker process ended before it called Serve: %s", ended.status))
	if hook := j.cfg.Hooks.OnExit; hook != nil {
		hook(child.pid, ended.status)
	}
}

func (j *Jobs) startWorker() (*child, error) {
	if isClosed(j.quit) {
		return nil, ErrClosed
	}
	if err := checkNoRole(); err != nil {
		return nil, err
	}
	path, err := self()
	if err != nil {
		return nil, fmt.Errorf("cluster: path of this program: %w", err)
	}
	return j.start(spec{path: path, args: os.Args[1:], env: childEnv(os.Environ(), j.cfg.Env, role{Kind: roleJobs, Name: j.cfg.Name})})
}

// ended forgets a process that is gone, or did not even start (w is nil), and
// sees to its replacement. A failure to get ready is told to the
// oldest waiter: whoever waits behind it tries again, after a pause.
func (j *Jobs) ended(w *jobWorker, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.alive--
	wasReady := w != nil && w.ready
	if w != nil {
		close(w.dead)
		w.timer.Stop()
		delete(j.workers, w)
		j.idle = slices.DeleteFunc(j.idle, func(i *jobWorker) bool { return i == w })
	}
	spare := 1
	if !wasReady {
		j.starting--
		spare = 0
		j.stats.StartFailures++
		now := j.now()
		delay, _ := j.history.failed(jobRule, now, 0, rand.Float64())
		j.notYet = now + delay
		if first := j.waiters.Front(); first != nil {
			waiter := j.waiters.Remove(first).(*jobWaiter)
			waiter.err = err
			close(waiter.granted)
		}
	}
	if j.draining {
		spare = 0
	}
	j.growLocked(spare)
	j.changedLocked()
}

// receive handles a frame of a process.
func (j *Jobs) receive(w *jobWorker, f frame) error {
	switch f.kind {
	case frameReady:
		if !j.becomeReady(w) {
			return fmt.Errorf("%w: ready twice", errFrame)
		}
	case frameResult:
		r, err := decodeResult(f.body)
		if err != nil {
			return err
		}
		j.mu.Lock()
		results := w.results
		right := results != nil && r.id == w.call
		j.mu.Unlock()
		if !right {
			return fmt.Errorf("%w: result of another call", errFrame)
		}
		select {
		case results <- r:
		default:
			return fmt.Errorf("%w: a second result", errFrame)
		}
	default:
		return fmt.Errorf("%w: kind %d from a worker of Jobs", errFrame, f.kind)
	}
	return nil
}

func (j *Jobs) becomeReady(w *jobWorker) bool {
	j.mu.Lock()
	if w.ready {
		j.mu.Unlock()
		return false
	}
	w.ready = true
	w.timer.Stop()
	j.starting--
	j.stats.Starts++
	j.history, j.notYet = restarts{}, 0
	j.freeLocked(w)
	j.mu.Unlock()
	if hook := j.cfg.Hooks.OnStart; hook != nil {
		hook(w.child.pid)
	}
	return true
}

// retireAll lets the processes of drained Jobs end.
func (j *Jobs) retireAll() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.quitLocked()
	for _, w := range j.idle {
		j.retireLocked(w)
	}
	j.idle = nil
	for w := range j.workers {
		if !w.ready {
			_ = w.child.signal(sigKill)
		}
	}
}

func (j *Jobs) quitLocked() {
	if !j.quitted {
		j.quitted = true
		close(j.quit)
	}
}

// shut kills all processes and refuses all calls. It returns how many calls
// there were.
func (j *Jobs) shut() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	left := j.busy + j.waiters.Len()
	j.draining, j.closed = true, true
	j.quitLocked()
	for w := range j.workers {
		_ = w.child.signal(sigKill)
	}
	for e := j.waiters.Front(); e != nil; e = e.Next() {
		waiter := e.Value.(*jobWaiter)
		waiter.err = ErrClosed
		close(waiter.granted)
	}
	j.waiters = list.List{}
	j.changedLocked()
	return left
}
