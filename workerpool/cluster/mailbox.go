package cluster

import (
	"context"
	"sync"
)

// A mailbox is a queue of frames that is bounded in number and bytes, between
// many who put and one who takes.
type mailbox struct {
	maxFrames, maxBytes int

	mu     sync.Mutex // guards all that follows; never held over a wait
	frames []frame
	bytes  int
	err    error         // why nothing more can be put, nil while it can
	room   chan struct{} // closed when something is taken; nil while nobody waits for that
	ready  chan struct{} // holds a token while there may be something to take
}

func newMailbox(frames, bytes int) *mailbox {
	return &mailbox{maxFrames: frames, maxBytes: bytes, ready: make(chan struct{}, 1)}
}

// put waits for room until ctx is done, or until the mailbox is closed.
func (b *mailbox) put(ctx context.Context, f frame) error {
	for {
		room, err := b.try(f, false)
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctxError(ctx)
		}
	}
}

// offer puts f if there is room now.
func (b *mailbox) offer(f frame) bool {
	room, err := b.try(f, false)
	return room == nil && err == nil
}

// force puts f without a bound: for the few frames that control.
func (b *mailbox) force(f frame) error {
	_, err := b.try(f, true)
	return err
}

// try puts f, or returns the channel that tells of room. An empty mailbox has
// room for anything, so no frame is too large for ever.
func (b *mailbox) try(f frame, anyway bool) (<-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, b.err
	}
	full := len(b.frames) >= b.maxFrames || b.bytes+f.size() > b.maxBytes
	if full && len(b.frames) > 0 && !anyway {
		if b.room == nil {
			b.room = make(chan struct{})
		}
		return b.room, nil
	}
	b.frames = append(b.frames, f)
	b.bytes += f.size()
	b.wakeLocked()
	return nil, nil
}

func (b *mailbox) wakeLocked() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

func (b *mailbox) tellRoomLocked() {
	if b.room != nil {
		close(b.room)
		b.room = nil
	}
}

// take waits for a frame. What was put before close is still taken after it;
// then the error is that of close.
func (b *mailbox) take(ctx context.Context) (frame, error) {
	for {
		if f, ok, err := b.next(); ok || err != nil {
			return f, err
		}
		select {
		case <-b.ready:
		case <-ctx.Done():
			return frame{}, ctxError(ctx)
		}
	}
}

func (b *mailbox) next() (frame, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.frames) == 0 {
		if b.err != nil {
			b.wakeLocked() // for whoever takes after this one
		}
		return frame{}, false, b.err
	}
	f := b.frames[0]
	b.frames[0] = frame{}
	b.frames = b.frames[1:]
	b.bytes -= f.size()
	b.tellRoomLocked()
	if len(b.frames) > 0 || b.err != nil {
		b.wakeLocked()
	}
	return f, true, nil
}

// close lets nothing more in. The first reason counts. With discard, what is
// there is thrown away.
func (b *mailbox) close(err error, discard bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		b.tellRoomLocked()
	}
	if discard {
		b.frames, b.bytes = nil, 0
	}
	b.wakeLocked()
}
