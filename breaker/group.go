package breaker

import (
	"container/list"
	"fmt"
	"iter"
	"sync"
	"time"
)

// GroupConfig configures a Group.
type GroupConfig struct {
	// Breaker configures each breaker. The name of each is Breaker.Name, a
	// slash and the key.
	Breaker Config

	// MaxBreakers bounds how many breakers the group keeps. Zero means
	// 10000. One more takes the place of the one asked for longest ago.
	MaxBreakers int

	// IdleFor is how long a breaker is kept that nobody asks for. Zero means
	// 10 minutes. One that is forced, or open with time left, stays longer.
	IdleFor time.Duration
}

// Group holds a breaker for each key, such as a host or a tenant. It makes
// them on demand and forgets them when they are idle, so that its size is
// bounded whatever the keys. Its methods may be called by any number of
// goroutines. It owns no goroutine and needs no closing.
type Group[K comparable] struct {
	name    string
	mode    Mode
	max     int
	idleFor time.Duration
	base    time.Time

	mu      sync.Mutex // guards the following; no user code runs under it
	rules   *rules
	byKey   map[K]*list.Element // of *member[K]
	recent  list.List           // most recently asked for first
	created uint64
	evicted uint64
}

type member[K comparable] struct {
	key   K
	b     *Breaker
	asked int64 // when Get last returned b
}

// NewGroup returns an empty group. It returns an error that names the field if
// cfg has a value out of bounds.
func NewGroup[K comparable](cfg GroupConfig) (*Group[K], error) {
	if cfg.MaxBreakers < 0 {
		return nil, fmt.Errorf("breaker: GroupConfig.MaxBreakers is %d, want ≥ 0", cfg.MaxBreakers)
	}
	if cfg.IdleFor < 0 {
		return nil, fmt.Errorf("breaker: GroupConfig.IdleFor is %v, want ≥ 0", cfg.IdleFor)
	}
	r, err := cfg.Breaker.compile()
	if err != nil {
		return nil, err
	}
	return &Group[K]{
		name:    cfg.Breaker.Name,
		mode:    cfg.Breaker.Mode,
		max:     or(cfg.MaxBreakers, 10_000),
		idleFor: or(cfg.IdleFor, 10*time.Minute),
		base:    time.Now(),
		rules:   r,
		byKey:   map[K]*list.Element{},
	}, nil
}

// MustNewGroup is NewGroup for package variables: it panics where NewGroup
// returns an error.
func MustNewGroup[K comparable](cfg GroupConfig) *Group[K] {
	g, err := NewGroup[K](cfg)
	if err != nil {
		panic(err.Error())
	}
	return g
}

// Get returns the breaker of key, and makes it if there is none. Ask again for
// each call rather than keeping it: a breaker that the group forgot goes on
// working, but apart from the one that took its place.
//
// A key that does not equal itself, as NaN does not, cannot be found again: Get
// makes it a breaker that the group does not keep. A key that holds something
// incomparable panics, as it does in a map.
func (g *Group[K]) Get(key K) *Breaker {
	if again := key; key != again {
		return newBreaker(g.nameOf(key), g.mode, g.currentRules())
	}
	now := int64(time.Since(g.base))
	g.mu.Lock()
	e := g.byKey[key]
	if e == nil {
		g.mu.Unlock()
		name := g.nameOf(key) // may run a method of the user's
		g.mu.Lock()
		if e = g.byKey[key]; e == nil {
			e = g.addLocked(key, name)
		}
	}
	m := e.Value.(*member[K])
	m.asked = now
	g.recent.MoveToFront(e)
	g.sweepLocked(now)
	g.mu.Unlock()
	return m.b
}

// nameOf is the name of the breaker of key.
func (g *Group[K]) nameOf(key K) string {
	if g.name == "" {
		return fmt.Sprint(key)
	}
	return g.name + "/" + fmt.Sprint(key)
}

func (g *Group[K]) currentRules() *rules {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rules
}

func (g *Group[K]) addLocked(key K, name string) *list.Element {
	if len(g.byKey) >= g.max {
		// Spare a few that protect something just now.
		for range min(8, g.max) {
			if !g.recent.Back().Value.(*member[K]).b.holding() {
				break
			}
			g.recent.MoveToFront(g.recent.Back())
		}
		g.evictLocked(g.recent.Back())
	}
	e := g.recent.PushFront(&member[K]{key: key, b: newBreaker(name, g.mode, g.rules)})
	g.byKey[key] = e
	g.created++
	return e
}

// sweepLocked looks at the two breakers asked for longest ago, so that each
// call pays for a little of the cleaning.
func (g *Group[K]) sweepLocked(now int64) {
	for range 2 {
		e := g.recent.Back()
		m := e.Value.(*member[K])
		switch {
		case now-m.asked < int64(g.idleFor):
			return // as are all others
		case m.b.holding():
			g.recent.MoveToFront(e)
			m.asked = now
		default:
			g.evictLocked(e)
		}
	}
}

func (g *Group[K]) evictLocked(e *list.Element) {
	delete(g.byKey, g.recent.Remove(e).(*member[K]).key)
	g.evicted++
}

// All ranges over the breakers the group holds as the loop begins, those asked
// for last first. The group may be used within the loop.
func (g *Group[K]) All() iter.Seq2[K, *Breaker] {
	return func(yield func(K, *Breaker) bool) {
		g.mu.Lock()
		members := make([]*member[K], 0, len(g.byKey))
		for e := g.recent.Front(); e != nil; e = e.Next() {
			members = append(members, e.Value.(*member[K]))
		}
		g.mu.Unlock()
		for _, m := range members {
			if !yield(m.key, m.b) {
				return
			}
		}
	}
}

// Reconfigure is Breaker.Reconfigure for every breaker of the group, now and
// later. cfg.Name must be what it was.
func (g *Group[K]) Reconfigure(cfg Config) error {
	r, err := cfg.recompile(g.name)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.rules = r
	for e := g.recent.Front(); e != nil; e = e.Next() {
		e.Value.(*member[K]).b.reconfigure(r)
	}
	g.mu.Unlock()
	return nil
}

// GroupStats is one consistent snapshot of a group.
type GroupStats struct {
	Breakers int    `json:"breakers"` // held now
	Created  uint64 `json:"created"`
	Evicted  uint64 `json:"evicted"`
}

// Stats returns the group's own figures; those of the breakers are in All.
func (g *Group[K]) Stats() GroupStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GroupStats{Breakers: len(g.byKey), Created: g.created, Evicted: g.evicted}
}
