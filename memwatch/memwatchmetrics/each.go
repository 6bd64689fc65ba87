package memwatchmetrics

import (
	"fmt"
	"iter"
)

// Each makes one function of the stats of many: of the breakers of a group, of
// the transports of a client, of the pools by database. all yields them with
// their keys, and stats is called for each:
//
//	memwatchmetrics.Each(group.All(), (*breaker.Breaker).Stats)
//
// The keys become the label Config.Label, as fmt.Sprint writes them.
func Each[K comparable, V, S any](all iter.Seq2[K, V], stats func(V) S) func() map[string]S {
	return func() map[string]S {
		out := make(map[string]S)
		for key, v := range all {
			out[fmt.Sprint(key)] = stats(v)
		}
		return out
	}
}
