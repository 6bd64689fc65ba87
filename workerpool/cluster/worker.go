package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// inboxFrames bounds the messages that wait for Receive.
const inboxFrames = 1024

// Worker is what Config.Work has of its process: its sockets, its counters and
// the way to the master. It is safe for use by many goroutines.
type Worker struct {
	slot     int
	start    uint64
	cfg      *Config
	link     *link
	inbox    *mailbox
	dropped  atomic.Uint64 // messages that found the inbox full; written by the reader
	counters counters

	mu     sync.Mutex // guards all that follows
	files  map[string]*os.File
	stopBy time.Time // when the master loses patience; zero until it has asked
}

// work is Run in a worker.
func (c *Cluster) work(ctx context.Context, r role) error {
	conn, err := controlConn()
	if err != nil {
		return err
	}
	files, err := inheritedFiles(4, r.Listeners)
	if err != nil {
		_ = conn.Close()
		return err
	}
	return c.workOn(ctx, conn, &Worker{slot: r.Slot, start: r.Start, files: files})
}

// workOn runs Config.Work with w, which it completes, and the control socket.
func (c *Cluster) workOn(ctx context.Context, conn net.Conn, w *Worker) error {
	w.cfg = &c.cfg
	w.link = newLink(conn, c.cfg.limit())
	w.inbox = newMailbox(inboxFrames, max(4<<20, 2*c.cfg.limit()))
	ctx, cancel := context.WithCancelCause(ctx)
	reporting, endReports := context.WithCancel(context.WithoutCancel(ctx))

	orphaned := make(chan struct{})
	read := make(chan struct{})
	go func() {
		defer close(read)
		w.listen(cancel)
		close(orphaned)
	}()
	reports := make(chan struct{})
	go func() {
		defer close(reports)
		w.reportUntil(reporting)
	}()
	over := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.endOrphan(orphaned, over)
	}()
	stopSignals := func() {}
	if !c.cfg.NoSignals {
		stopSignals = workerSignals(func() { w.end(cancel, ErrStopping) })
	}

	bye := "Work panicked or called runtime.Goexit"
	defer func() {
		stopSignals()
		cancel(context.Canceled)
		endReports()
		wait(reports, time.Second) // Healthy may not return
		_ = w.link.control(frameReport, encode(w.report()))
		_ = w.link.control(frameBye, []byte(bye[:min(len(bye), maxBye)]))
		w.link.close(time.Second)
		<-read
		close(over)
		<-watched
		w.inbox.close(ErrGone, true)
		w.closeFiles()
	}()
	err := c.cfg.Work(ctx, w)
	bye = ""
	if err != nil {
		bye = err.Error()
	}
	return err
}

// wait waits for done, but not longer than d.
func wait(done <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// endOrphan ends the process if the master is gone and the work does not end.
func (c *Cluster) endOrphan(orphaned, over <-chan struct{}) {
	select {
	case <-over:
		return
	case <-orphaned:
	}
	timer := time.NewTimer(c.cfg.StopTimeout)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
		c.exit(ExitOrphan)
	}
}

// listen takes what the master sends, until the master is gone.
func (w *Worker) listen(cancel context.CancelCauseFunc) {
	_ = w.link.read(func(f frame) error {
		switch f.kind {
		case frameStop:
			var order stopOrder
			if err := decode(f.body, &order); err != nil {
				return err
			}
			w.mu.Lock()
			if w.stopBy.IsZero() {
				// A tenth earlier, so that who clears up by then is not killed at it.
				w.stopBy = time.Now().Add(order.Within - order.Within/10)
			}
			w.mu.Unlock()
			w.end(cancel, ErrStopping)
		case frameMessage:
			if !w.inbox.offer(f) {
				w.dropped.Add(1)
			}
		default:
			return fmt.Errorf("%w: kind %d from the master", errFrame, f.kind)
		}
		return nil
	})
	w.inbox.close(ErrGone, false)
	w.end(cancel, ErrMasterGone)
}

// end ends the context of Work. From now on SIGTERM ends the process.
func (w *Worker) end(cancel context.CancelCauseFunc, cause error) {
	if !w.cfg.NoSignals {
		mortal()
	}
	cancel(cause)
}

// reportUntil reports until ctx is done.
func (w *Worker) reportUntil(ctx context.Context) {
	ticker := time.NewTicker(w.cfg.ReportEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if w.healthy(ctx) {
			_ = w.link.control(frameReport, encode(w.report()))
		}
	}
}

func (w *Worker) healthy(ctx context.Context) bool {
	if w.cfg.Healthy == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.HungAfter)
	defer cancel()
	return w.cfg.Healthy(ctx) == nil
}

// Slot returns the worker's place, from 0. A worker that takes another's place
// has the same.
func (w *Worker) Slot() int { return w.slot }

// Start returns which process of the slot this is, from 1.
func (w *Worker) Start() uint64 { return w.start }

// Ready tells the master that this worker is ready: the one it replaces may
// end. Calls after the first one do nothing. It is ErrGone if the master is.
func (w *Worker) Ready() error {
	if err := w.link.control(frameReport, encode(w.report())); err != nil {
		return err
	}
	return w.link.control(frameReady, nil)
}

// Listener returns a listener on the socket of this name, one of Config.Listen.
// Closing it leaves the socket open for the others, and for another call. It is
// an error if there is no such socket, or it is not one to accept from.
func (w *Worker) Listener(name string) (net.Listener, error) {
	f, err := w.file(name)
	if err != nil {
		return nil, err
	}
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("cluster: listener %q: %w", name, err)
	}
	return ln, nil
}

// PacketConn is Listener for sockets that receive packets.
func (w *Worker) PacketConn(name string) (net.PacketConn, error) {
	f, err := w.file(name)
	if err != nil {
		return nil, err
	}
	conn, err := net.FilePacketConn(f)
	if err != nil {
		return nil, fmt.Errorf("cluster: packet connection %q: %w", name, err)
	}
	return conn, nil
}

func (w *Worker) file(name string) (*os.File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.files[name]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("cluster: there is no socket %q in Config.Listen", name)
}

func (w *Worker) closeFiles() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.files {
		_ = f.Close()
	}
	w.files = nil
}

// Counter returns the counter of this name, which begins at zero in each
// process and whose sum the master keeps. Keep the result: looking it up costs
// a lock. Of names there may be 128, of at most 64 bytes; what is beyond that
// is counted under "other".
func (w *Worker) Counter(name string) *Counter { return w.counters.get(name) }

// Send sends m to the master, which gives it to Hooks.OnMessage. It waits while
// the outbox is full, at most until ctx is done. Nil says that the message is
// on its way. It is ErrGone if the master is.
func (w *Worker) Send(ctx context.Context, m Message) error {
	if err := w.cfg.checkMessage(m); err != nil {
		return err
	}
	return w.link.send(ctx, frameMessage, encodeMessage(m))
}

// Receive waits for the next message of the master until ctx is done. It is
// ErrGone when the master is gone and all messages have been received. 1024
// messages wait for it; what comes then is dropped and counted in Stats.Dropped.
func (w *Worker) Receive(ctx context.Context) (Message, error) {
	if ctx.Err() != nil {
		return Message{}, ctxError(ctx)
	}
	for {
		f, err := w.inbox.take(ctx)
		if err != nil {
			return Message{}, err
		}
		if m, err := decodeMessage(f.body); err == nil {
			return m, nil
		}
	}
}

// Grace returns a context for the work that is left when ctx has ended: it has
// the values of ctx, and the deadline at which the master loses patience, less a
// tenth of Config.StopTimeout.
func (w *Worker) Grace(ctx context.Context) (context.Context, context.CancelFunc) {
	w.mu.Lock()
	by := w.stopBy
	w.mu.Unlock()
	if by.IsZero() { // nobody has asked this worker to end
		by = time.Now().Add(w.cfg.StopTimeout - w.cfg.StopTimeout/10)
	}
	return context.WithDeadline(context.WithoutCancel(ctx), by)
}

// report measures this process.
func (w *Worker) report() report {
	rss, heap := memory()
	return report{
		Counters: w.counters.values(), RSS: rss, Heap: heap,
		Goroutines: runtime.NumGoroutine(), Dropped: w.dropped.Load(),
	}
}
