package lru

// Op is what Compute does with the result of its function.
type Op int

// The choices of a function given to Compute.
const (
	Keep   Op = iota // leave things as they are
	Store            // store the returned value, as Set does
	Remove           // delete the key, as Delete does
)

// edit marks a key that Compute works on. Guarded by its shard's mu.
type edit struct {
	users   int
	changes uint64
}

// edited tells those who compute on key that it has changed.
func (s *store[K, V]) edited(key K) {
	if e := s.edits[key]; e != nil {
		e.changes++
	}
}

func (s *store[K, V]) editedAll() {
	for _, e := range s.edits {
		e.changes++
	}
}

// Compute changes the value of key as fn says, atomically: fn is given the
// value there is, and what it returns takes effect only if nobody has changed
// the key meanwhile; otherwise fn is called again with the new value. No lock
// is held over fn, which may use the cache, but for changing the key itself,
// as that would call it again for ever.
//
// Compute returns the value that the key then has. Unless fn returns Keep it
// wins over loads under way, as Set does. It panics if fn is nil.
func (c *Cache[K, V]) Compute(key K, fn func(old V, ok bool) (V, Op)) (value V, ok bool) {
	if fn == nil {
		panic("lru: fn is nil")
	}
	hash := c.hash(key)
	if !same(key, key) {
		fn(value, false)
		var none V
		return none, false
	}
	s := c.shard(hash)
	s.mu.Lock()
	e := s.edits[key]
	if e == nil {
		if s.edits == nil {
			s.edits = make(map[K]*edit)
		}
		e = new(edit)
		s.edits[key] = e
	}
	e.users++
	defer func() { // with mu held, also when fn panics
		if e.users--; e.users == 0 {
			delete(s.edits, key)
		}
		s.unlock()
	}()
	for {
		value, ok = s.get(hash, key)
		before := e.changes
		next, op, cost := c.ask(s, key, value, ok, fn)
		if e.changes != before {
			continue
		}
		switch op {
		case Store:
			if s.write(hash, key, next, cost, c.ttl, false) {
				return next, true
			}
			var none V
			return none, false
		case Remove:
			s.drop(hash, key, Deleted)
			var none V
			return none, false
		}
		return value, ok
	}
}

// ask calls fn, and the cost of its result, without the lock.
func (c *Cache[K, V]) ask(s *shard[K, V], key K, old V, ok bool, fn func(V, bool) (V, Op)) (next V, op Op, cost int64) {
	s.mu.Unlock()
	defer s.mu.Lock()
	next, op = fn(old, ok)
	if op == Store {
		cost = c.cost(key, next)
	}
	return next, op, cost
}
