package migrate_test

import (
	"testing"

	hashicorp "github.com/hashicorp/golang-lru/v2"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/lru"
)

func cacheBefore(size int, evicted func(string, int)) (set func(string, int), get func(string) (int, bool)) {
	c, err := hashicorp.NewWithEvict(size, evicted)
	if err != nil {
		panic(err)
	}
	return func(k string, v int) { c.Add(k, v) }, c.Get
}

func cacheAfter(size int, evicted func(string, int)) (set func(string, int), get func(string) (int, bool)) {
	c := lru.MustNew(lru.Config[string, int]{
		Capacity: size,
		Shards:   1, // one order of use for all keys
		Hooks: lru.Hooks[string, int]{OnRemoved: func(r lru.Removed[string, int]) {
			if r.Reason == lru.Evicted {
				evicted(r.Key, r.Value)
			}
		}},
	})
	return func(k string, v int) { c.Set(k, v) }, c.Get
}

func TestGolangLRUPair(t *testing.T) {
	type making = func(int, func(string, int)) (func(string, int), func(string) (int, bool))
	run := func(make making) (log []any) {
		set, get := make(3, func(k string, v int) { log = append(log, "evicted", k, v) })
		keys := []string{"a", "b", "c", "a", "d", "e", "b", "a", "f"}
		for i, k := range keys {
			v, ok := get(k)
			log = append(log, k, v, ok)
			if !ok {
				set(k, i)
			}
		}
		return log
	}
	before := run(cacheBefore)
	require.Contains(t, before, "evicted")
	require.Equal(t, before, run(cacheAfter))
}
