package lru

import "fmt"

// Hooks are called outside all locks. Each may be nil.
type Hooks[K comparable, V any] struct {
	// OnRemoved is called exactly once for each value that leaves the cache,
	// except by Take, whose caller gets it. It may use the cache. The events
	// of one shard come one at a time and in order, mostly on the goroutine
	// whose call removed the value, before that call returns; if another
	// goroutine is in the hook just then, that one delivers the event when it
	// comes back. So a slow hook gets behind: Stats.Undelivered tells by how
	// much.
	//
	// A panic in the hook passes through the call that delivered the event,
	// whose own work is done by then. Events behind it come with the next one.
	OnRemoved func(Removed[K, V])
}

// Removed tells that a value has left the cache.
type Removed[K comparable, V any] struct {
	Name   string // Config.Name
	Key    K      // as it was stored
	Value  V      // what was stored
	Reason Reason // why it left
}

// Reason says why a value left the cache.
type Reason uint8

// The reasons in Removed.
const (
	// Evicted: it made room for another.
	Evicted Reason = iota + 1

	// Expired: its time was over.
	Expired

	// Replaced: there is a newer value under its key, or was, in the moment.
	Replaced

	// Deleted: by Delete, Compute, or a loader that no longer found it.
	Deleted

	// Cleared: by Clear.
	Cleared

	// Resized: it did not fit any more.
	Resized

	taken // by Take, which nobody is told
)

// String returns the reason in a word.
func (r Reason) String() string {
	names := [...]string{"unknown", "evicted", "expired", "replaced", "deleted", "cleared", "resized", "taken"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("Reason(%d)", int(r))
}

// unlock gives up mu, and before it delivers the events that are due, unless
// another goroutine is at it, which then delivers these as well.
func (s *shard[K, V]) unlock() {
	if len(s.gone) == 0 || s.telling {
		s.mu.Unlock()
		return
	}
	s.deliver()
}

// deliver is called with mu held and returns without it.
func (s *shard[K, V]) deliver() {
	s.telling = true
	defer func() { // also when the hook panics
		s.telling = false
		s.mu.Unlock()
	}()
	for s.told < len(s.gone) {
		event := s.gone[s.told]
		s.gone[s.told] = Removed[K, V]{}
		s.told++
		if s.told >= 64 && s.told > len(s.gone)/2 { // else it would grow for ever under steady load
			s.gone = append(s.gone[:0], s.gone[s.told:]...)
			s.told = 0
		}
		func() {
			s.mu.Unlock()
			defer s.mu.Lock()
			s.hook(event)
		}()
	}
	s.gone = s.gone[:0]
	s.told = 0
	if cap(s.gone) > 1024 { // a Clear or Resize went by
		s.gone = nil
	}
}
