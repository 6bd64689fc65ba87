package memwatch

import (
	"fmt"
	"reflect"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
	"weak"
)

// Defaults of the TrackerConfig fields that are left zero.
const (
	defaultMaxTracked = 1 << 16
	defaultAfter      = 3
	maxOverdue        = 32
)

// TrackerConfig describes a Tracker. The zero TrackerConfig is usable.
type TrackerConfig struct {
	// Name is that of the kind of objects, in stats and reports. Empty means
	// the name of their type.
	Name string

	// Max is how many objects are tracked at a time; more are only counted.
	// Zero means 65,536.
	Max int

	// After is how many collections an object may live after Done until it is
	// overdue. The first of them may have begun before Done, and a finalizer
	// or a sync.Pool takes one or two. Zero means 3.
	After int
}

// Tracker counts the objects of a kind that live, and tells which should have
// been collected and were not. It holds them by weak pointers, so it keeps
// none of them alive. It is safe for use by many goroutines. Make one with
// NewTracker or MustNewTracker; call Track for each new object, and Done when
// the program is through with it. Config.Tracked has its figures in reports.
//
// T must not be of those that the runtime allocates several at a time: it has
// pointers or at least 16 bytes. Objects that are not on the heap, such as
// package variables, live for ever.
type Tracker[T any] struct {
	name  string
	max   int
	after uint64

	mu      sync.Mutex // guards all below; held for less than a microsecond, but for what is overdue
	objects map[weak.Pointer[T]]*tracked[T]
	using   queue[T] // those that Done was not called for, the oldest first
	done    queue[T] // the others, the one that was done first first
	cycles  []metrics.Sample
	stats   TrackStats
}

// tracked is an object, in one of the queues.
type tracked[T any] struct {
	object     weak.Pointer[T]
	since      time.Time // of Track
	done       bool
	cycle      uint64 // collections that had ended when it was done
	prev, next *tracked[T]
}

// NewTracker returns a Tracker of objects of type T as described by cfg. It
// fails if a field of cfg has a value that makes no sense, and the error names
// the field, or if T cannot be tracked.
func NewTracker[T any](cfg TrackerConfig) (*Tracker[T], error) {
	kind := reflect.TypeFor[T]()
	switch {
	case cfg.Max < 0:
		return nil, fmt.Errorf("memwatch: TrackerConfig.Max is %d, want ≥ 0", cfg.Max)
	case cfg.After < 0:
		return nil, fmt.Errorf("memwatch: TrackerConfig.After is %d, want ≥ 0", cfg.After)
	case kind.Size() == 0 || kind.Size() < 16 && !pointers(kind):
		return nil, fmt.Errorf("memwatch: T is %v of %d bytes without pointers, want at least 16 or pointers", kind, kind.Size())
	}
	t := &Tracker[T]{name: cfg.Name, max: cfg.Max, after: uint64(cfg.After), objects: make(map[weak.Pointer[T]]*tracked[T])}
	if t.name == "" {
		t.name = kind.String()
	}
	if t.max == 0 {
		t.max = defaultMaxTracked
	}
	if t.after == 0 {
		t.after = defaultAfter
	}
	t.cycles = []metrics.Sample{{Name: names[gcCycles]}}
	return t, nil
}

// MustNewTracker is NewTracker for package variables: it panics where
// NewTracker returns an error.
func MustNewTracker[T any](cfg TrackerConfig) *Tracker[T] {
	t, err := NewTracker[T](cfg)
	if err != nil {
		panic(err.Error())
	}
	return t
}

// pointers reports whether a value of a type holds pointers.
func pointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return false
	case reflect.Array:
		return t.Len() > 0 && pointers(t.Elem())
	case reflect.Struct:
		for field := range t.Fields() {
			if pointers(field.Type) {
				return true
			}
		}
		return false
	}
	return true
}

// Track takes note of object until it is collected. It reports whether object
// is tracked: not if it is nil, and not if Max are; then it is only counted.
// To track it again changes nothing. With Done and the collection it costs one
// or two microseconds, and some 250 bytes until then: 150 of heap, the rest the
// runtime's own for the weak pointer and the cleanup.
func (t *Tracker[T]) Track(object *T) bool {
	if object == nil {
		return false
	}
	p, now := weak.Make(object), time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.objects[p] != nil {
		return true
	}
	if len(t.objects) >= t.max {
		t.stats.Untracked++
		return false
	}
	t.stats.Tracked++
	e := &tracked[T]{object: p, since: now}
	t.objects[p] = e
	t.using.push(e)
	// What runs then is in no synctest bubble, so it only takes the lock.
	runtime.AddCleanup(object, t.collected, p)
	return true
}

// collected takes note of an object that is no more.
func (t *Tracker[T]) collected(p weak.Pointer[T]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.objects[p]
	if e == nil {
		return
	}
	t.stats.Collected++
	delete(t.objects, p)
	if e.done {
		t.done.remove(e)
	} else {
		t.using.remove(e)
	}
}

// Done says that the program is through with object: from now on nothing should
// keep it. It reports whether object is tracked. To call it again changes
// nothing.
func (t *Tracker[T]) Done(object *T) bool {
	if object == nil {
		return false
	}
	p := weak.Make(object)
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.objects[p]
	if e == nil || e.done {
		return e != nil
	}
	t.using.remove(e)
	e.done, e.cycle = true, t.cycleLocked()
	t.done.push(e)
	return true
}

// cycleLocked counts the collections that have ended.
func (t *Tracker[T]) cycleLocked() uint64 {
	metrics.Read(t.cycles)
	if t.cycles[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return t.cycles[0].Value.Uint64()
}

// Overdue returns objects that were done After collections ago and live on, the
// one that was done first first, at most 32. They are good for finding out
// what they are, and so who keeps them; as long as the caller keeps the
// result, it does.
func (t *Tracker[T]) Overdue() []*T {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*T
	now := t.cycleLocked()
	for e := t.done.first; e != nil && t.overdue(e, now) && len(out) < maxOverdue; e = e.next {
		if object := e.object.Value(); object != nil { // its cleanup may be on its way
			out = append(out, object)
		}
	}
	return out
}

func (t *Tracker[T]) overdue(e *tracked[T], now uint64) bool { return now-e.cycle >= t.after }

// TrackStats are the figures of a Tracker.
type TrackStats struct {
	Name    string `json:"name"`    // of the kind
	Live    int    `json:"live"`    // tracked and not collected
	Done    int    `json:"done"`    // of them those that Done was called for
	Overdue int    `json:"overdue"` // of those the ones that TrackerConfig.After collections did not free

	Tracked   uint64 `json:"tracked"`   // ever
	Collected uint64 `json:"collected"` // of them
	Untracked uint64 `json:"untracked"` // that came while TrackerConfig.Max were tracked

	// Oldest is the age of the oldest object that is in use, that is, without
	// Done; OldestOverdue that of the one that is overdue for longest. Age is the
	// time since Track. 0 means there is none.
	Oldest        time.Duration `json:"oldest_ns"`
	OldestOverdue time.Duration `json:"oldest_overdue_ns"`
}

// String is the figures in one line.
func (s TrackStats) String() string {
	line := fmt.Sprintf("%s: %d live, the oldest in use for %v", s.Name, s.Live, s.Oldest.Round(time.Second))
	if s.Overdue > 0 {
		line += fmt.Sprintf("; %d should have been collected, the first of them %v old", s.Overdue, s.OldestOverdue.Round(time.Second))
	}
	return line
}

// Stats returns a snapshot. It takes some nanoseconds for each object that is
// overdue.
func (t *Tracker[T]) Stats() TrackStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.stats
	out.Name, out.Live, out.Done = t.name, len(t.objects), t.done.n
	now := t.cycleLocked()
	if e := t.using.first; e != nil {
		out.Oldest = time.Since(e.since)
	}
	for e := t.done.first; e != nil && t.overdue(e, now); e = e.next {
		if e.object.Value() == nil {
			continue // its cleanup is on its way
		}
		if out.Overdue++; out.Overdue == 1 {
			out.OldestOverdue = time.Since(e.since)
		}
	}
	return out
}

// Tracked is a *Tracker of any type.
type Tracked interface {
	// Stats are its figures.
	Stats() TrackStats
}

// queue is a list in the order of arrival.
type queue[T any] struct {
	first, last *tracked[T]
	n           int
}

func (q *queue[T]) push(e *tracked[T]) {
	e.prev, e.next = q.last, nil
	if q.last == nil {
		q.first = e
	} else {
		q.last.next = e
	}
	q.last = e
	q.n++
}

func (q *queue[T]) remove(e *tracked[T]) {
	if e.prev == nil {
		q.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		q.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
	q.n--
}
