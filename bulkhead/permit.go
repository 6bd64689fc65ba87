package bulkhead

import "time"

// Permit is the right to the slots that an Acquire took. It belongs to one
// goroutine at a time and must not be copied (go vet tells): of two copies
// each would give the same slots back. The zero Permit holds nothing.
type Permit struct {
	_     noCopy
	b     *Bulkhead // nil when nothing is held
	n     int
	start time.Duration // when it was taken, if b.timed
}

// Release gives the slots back, to the next waiter if there is one. Only the
// first call does anything, so a deferred Release does no harm after an early
// one. With Adaptive the time since Acquire counts as that of a call that
// went well; use Done where that is not known.
func (p *Permit) Release() { p.Done(nil) }

// Done is Release for a call that ended with err. With Adaptive, err decides
// what the call says about the limit (see Adaptive.Overload); otherwise Done
// and Release are the same.
func (p *Permit) Done(err error) {
	b := p.b
	if b == nil {
		return
	}
	p.b = nil
	if !b.timed {
		b.release(p.n)
		return
	}
	b.finishTimed(p.n, p.start, err, true)
}

// noCopy makes go vet report copies of a struct that has it as a field.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}
