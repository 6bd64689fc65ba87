package pool

import (
	"cmp"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Holder describes a resource in use.
type Holder struct {
	ID   uint64        // of the resource
	Held time.Duration // how long; to about a tenth of a second, unless Config.LeakAfter is set

	// Caller is the function and line that acquired it, and Stack the calls that
	// led there, a line each, if Config.LeakAfter is set.
	Caller string
	Stack  string
}

// Holders lists the resources in use, the one that has been held for longest
// first.
func (p *Pool[T]) Holders() []Holder {
	p.mu.Lock()
	p.readLocked()
	all := p.heldLocked()
	p.unlockQuiet()
	holders := make([]Holder, len(all))
	for i, h := range all {
		holders[i] = h.holder()
	}
	return holders
}

// held is a Holder whose stack has not been put in words yet, which is too much
// work to do under a lock.
type held struct {
	id    uint64
	span  time.Duration
	trace *trace
}

func (h held) holder() Holder {
	return Holder{ID: h.id, Held: h.span, Caller: h.trace.caller(), Stack: h.trace.stack()}
}

func (p *Pool[T]) heldByLocked(s *slot[T]) held {
	return held{id: s.id, span: max(p.now-s.since, 0), trace: s.trace}
}

// heldLocked is what all holders have, longest first.
func (p *Pool[T]) heldLocked() []held {
	all := make([]held, 0, p.inUse)
	for _, s := range p.all {
		if s.state == leased {
			all = append(all, p.heldByLocked(s))
		}
	}
	slices.SortFunc(all, func(a, b held) int { return cmp.Or(cmp.Compare(b.span, a.span), cmp.Compare(a.id, b.id)) })
	return all
}

// oldestLocked returns the slot that has been leased for longest. It remembers
// it, as many may ask in a row when none comes back.
func (p *Pool[T]) oldestLocked() *slot[T] {
	if s := p.oldest; s != nil && s.state == leased && s.gen.Load() == p.oldestGen {
		return s
	}
	p.oldest = nil
	for _, s := range p.all {
		if s.state == leased && (p.oldest == nil || s.since < p.oldest.since) {
			p.oldest = s
		}
	}
	if p.oldest != nil {
		p.oldestGen = p.oldest.gen.Load()
	}
	return p.oldest
}

// trace is the stack of a goroutine at its acquire. It is never written again.
type trace struct {
	pcs [16]uintptr
	n   int
}

// capture returns the stack of the caller's caller.
func capture() *trace {
	t := new(trace)
	t.n = runtime.Callers(3, t.pcs[:])
	return t
}

// frames calls yield with the frames of t outside this package, inner first.
func (t *trace) frames(yield func(runtime.Frame) bool) {
	if t == nil || t.n == 0 {
		return
	}
	own := reflect.TypeFor[trace]().PkgPath() + "."
	frames := runtime.CallersFrames(t.pcs[:t.n])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, own) && !yield(f) || !more {
			return
		}
	}
}

// caller is the innermost frame outside this package.
func (t *trace) caller() string {
	for f := range t.frames {
		return fmt.Sprintf("%s (%s:%d)", f.Function, f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line)
	}
	return ""
}

// stack is all of it.
func (t *trace) stack() string {
	var b strings.Builder
	for f := range t.frames {
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
	}
	return b.String()
}

// leak is a Leak that has not been told yet.
type leak struct {
	held
	reclaimed bool
}

// tellLeaks calls the hook.
func (p *Pool[T]) tellLeaks(leaks []leak) {
	if hook := p.cfg.Hooks.OnLeak; hook != nil {
		for _, l := range leaks {
			hook(Leak{Name: p.cfg.Name, Holder: l.holder(), Reclaimed: l.reclaimed})
		}
	}
}

// reclaimEvery is how often the janitor asks for what the collector has found.
// It cannot be told: a cleanup runs outside of all synctest bubbles, and must
// not touch a channel that was made in one.
const reclaimEvery = time.Second

// dropped is a lease of which the last copy is gone.
type dropped[T any] struct {
	s   *slot[T]
	gen uint64
}

// tracker is what only the copies of one lease point to.
type tracker struct {
	cleanup runtime.Cleanup
	_       *byte // without a pointer it could share its memory with others, and outlive its lease
}

// track has l reclaimed when it is dropped.
func (p *Pool[T]) track(l Lease[T]) *tracker {
	p.mu.Lock()
	p.pokeLocked(after(p.now, reclaimEvery))
	p.unlockQuiet()
	t := new(tracker)
	t.cleanup = runtime.AddCleanup(t, func(d dropped[T]) {
		p := d.s.pool
		p.mu.Lock()
		defer p.unlockQuiet()
		p.lost = append(p.lost, d)
	}, dropped[T]{l.s, l.gen})
	return t
}

// stop ends the tracking.
func (t *tracker) stop() {
	if t != nil {
		t.cleanup.Stop()
	}
}

// reclaimLocked takes back what was dropped.
func (p *Pool[T]) reclaimLocked() (leaks []leak) {
	for _, d := range p.lost {
		s := d.s
		if s.state != leased || s.gen.Load() != d.gen {
			continue
		}
		leaks = append(leaks, leak{p.heldByLocked(s), true})
		s.gen.Store(d.gen + 1)
		s.trace = nil
		p.inUse--
		p.destroyLocked(s, Reclaimed)
	}
	p.lost = nil
	return leaks
}
