package stream

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"time"
)

// chunkSize is how many bytes a Reader asks for at once.
const chunkSize = 64 << 10

// maxEmptyReads is how often in a row a reader may return nothing and no
// error, as in package bufio.
const maxEmptyReads = 100

// Reader returns a Stream of what r reads, in chunks of up to 64 KiB. Bytes
// that come with an error are emitted before it. It does not close r.
//
// A ctx that is done ends a Read that waits only if r has a method
// SetReadDeadline that works, as connections and pipes have; its deadline is
// then in the past when the run returns. Of other readers a Read that waits is
// waited for.
func Reader(r io.Reader) Stream[[]byte] {
	if r == nil {
		return Fail[[]byte](absent("Reader", "r"))
	}
	return func(ctx context.Context, emit func([]byte) error) error {
		defer interrupt(ctx, r)()
		buf := make([]byte, chunkSize)
		for empty := 0; ; {
			if err := ended(ctx); err != nil {
				return err
			}
			n, err := r.Read(buf)
			if n > 0 {
				empty = 0
				if err := emit(buf[:n:n]); err != nil {
					return err
				}
			} else if empty++; err == nil && empty == maxEmptyReads {
				return io.ErrNoProgress
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				if done := ended(ctx); done != nil {
					return done
				}
				return err
			}
		}
	}
}

// interrupt makes a Read of r return once ctx is done, if r can do that. What
// it returns takes that back, and must be called.
func interrupt(ctx context.Context, r io.Reader) func() {
	d, ok := r.(interface{ SetReadDeadline(time.Time) error })
	if !ok || ctx.Done() == nil {
		return func() {}
	}
	called := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(called)
		_ = d.SetReadDeadline(time.Unix(1, 0)) // if not, Read is waited for
	})
	return func() {
		if !stop() {
			<-called
		}
	}
}

// File returns a Stream of the bytes of a file, which is opened by the run and
// closed when it ends.
func File(path string) Stream[[]byte] {
	return func(ctx context.Context, emit func([]byte) error) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		return Reader(f)(ctx, emit)
	}
}

// Through returns a Stream of what comes out of a writer into which s is
// written: wrap gets the writer to write to, as gzip.NewWriter does. The chain
// of writers runs on the runner's goroutine.
//
// At the end of s the writer is closed, so that it writes what it still holds.
// If the run fails or is stopped earlier, it is closed as well, for the sake of
// what it may hold beside bytes, but then nothing that it writes is emitted:
// cut-off data never gets the ending of whole data.
func Through[W io.WriteCloser](s Stream[[]byte], wrap func(io.Writer) (W, error)) Stream[[]byte] {
	if wrap == nil {
		return Fail[[]byte](absent("Through", "wrap"))
	}
	return func(ctx context.Context, emit func([]byte) error) (err error) {
		out := &emitter{emit: emit}
		w, err := wrap(out)
		if err != nil {
			return out.cause(err)
		}
		closed := false
		defer func() {
			if !closed {
				out.fail(io.ErrClosedPipe)
				_ = w.Close() // there was an error before
			}
		}()
		if err := s(ctx, func(p []byte) error {
			_, err := w.Write(p)
			return out.cause(err)
		}); err != nil {
			return err
		}
		closed = true
		return out.cause(w.Close())
	}
}

// An emitter is emit as a Writer. Once it has failed it goes on failing.
type emitter struct {
	emit func([]byte) error
	err  error
}

func (e *emitter) Write(p []byte) (int, error) {
	if e.err == nil && len(p) > 0 {
		e.err = e.emit(p)
	}
	if e.err != nil {
		return 0, e.err
	}
	return len(p), nil
}

// cause returns the error of emit as it is, whatever a writer made of it.
func (e *emitter) cause(err error) error {
	if err != nil && e.err != nil {
		return e.err
	}
	return err
}

func (e *emitter) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// Via returns a Stream of what is read from a reader that reads s: wrap gets
// the reader to read from, as gzip.NewReader does. If what wrap returns is an
// io.Closer, it is closed when the run ends. s runs as a coroutine, with a
// switch of some 100 ns a chunk. If the reader ends before s, s is stopped.
func Via[R io.Reader](s Stream[[]byte], wrap func(io.Reader) (R, error)) Stream[[]byte] {
	if wrap == nil {
		return Fail[[]byte](absent("Via", "wrap"))
	}
	return func(ctx context.Context, emit func([]byte) error) (err error) {
		in := newPuller(ctx, s)
		defer in.stop()
		r, err := wrap(in)
		if err != nil {
			return in.cause(err)
		}
		if c, ok := any(r).(io.Closer); ok {
			defer func() {
				if cerr := c.Close(); err == nil {
					err = cerr
				}
			}()
		}
		// An error of emit is returned as it is, one of the reader for what
		// caused it.
		sink := &emitter{emit: emit}
		if err := Reader(r)(ctx, func(p []byte) error {
			_, err := sink.Write(p)
			return err
		}); err != nil {
			if sink.err != nil {
				return err
			}
			return in.cause(err)
		}
		return nil
	}
}

// AsReader runs s and returns what it emits as a reader. The run begins with
// the first Read and goes on only within Read, so it is no goroutine that the
// reader needs, but a coroutine: Close stops it, returns when it has ended, and
// must be called unless Read has returned an error. Read returns the error of the run as it is, but for one that
// is io.EOF, which would look like the end: io.ErrUnexpectedEOF stands for it.
// Neither may be called by several goroutines at once.
func AsReader(ctx context.Context, s Stream[[]byte]) io.ReadCloser {
	return newPuller(ctx, s)
}

// A puller pulls the chunks of a Stream.
type puller struct {
	next   func() ([]byte, error, bool)
	stop   func()
	chunk  []byte // what was not yet read of the last one
	err    error  // for Read, once chunk is empty
	failed error  // of the run
}

func newPuller(ctx context.Context, s Stream[[]byte]) *puller {
	p := &puller{}
	p.next, p.stop = iter.Pull2(s.All(ctx))
	return p
}

func (p *puller) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, p.err
	}
	for len(p.chunk) == 0 && p.err == nil {
		chunk, err, ok := p.next()
		switch {
		case !ok:
			p.err = io.EOF
		case err != nil:
			p.stop() // it has ended but for this
			p.err, p.failed = err, err
			if errors.Is(err, io.EOF) {
				p.err = io.ErrUnexpectedEOF
			}
		default:
			p.chunk = chunk
		}
	}
	if len(p.chunk) == 0 {
		return 0, p.err
	}
	n := copy(b, p.chunk)
	p.chunk = p.chunk[n:]
	return n, nil
}

func (p *puller) Close() error {
	if p.err == nil {
		p.err = io.ErrClosedPipe
	}
	p.chunk = nil
	p.stop()
	return nil
}

// cause returns the error of the run as it is, whatever a reader made of it.
func (p *puller) cause(err error) error {
	if p.failed != nil {
		return p.failed
	}
	return err
}
