// Command lru shows what the policy of a cache is worth: the share of requests
// that a small cache answers, by policy and by kind of workload.
//
//	go run ./examples/lru
package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/bedplate/bedplate/lru"
)

func main() {
	run(os.Stdout)
}

const (
	requests = 400_000
	keys     = 100_000
	width    = 50 // columns for 100 %
)

func run(w io.Writer) {
	fmt.Fprintf(w, "%d requests for %d keys, some far more often than others (Zipf).\n", requests, keys)
	fmt.Fprintln(w, "How many of them does a cache answer?")
	for _, capacity := range []int{keys / 100, keys / 10} {
		fmt.Fprintf(w, "\nroom for %d %% of the keys\n", 100*capacity/keys)
		compare(w, capacity, popular)
	}
	fmt.Fprintf(w, "\nroom for 1 %%, and every now and then somebody reads 5000 keys once\n")
	compare(w, keys/100, scanned)

	fmt.Fprintln(w, "\nLRU is exact and easy to foresee. S3-FIFO lets a key into its main queue only")
	fmt.Fprintln(w, "when it was asked for again, so what is read once does not push out the rest.")
}

// compare draws a bar for each policy on the same requests.
func compare(w io.Writer, capacity int, workload func(*rand.Rand) func() int) {
	for _, policy := range []lru.Policy{lru.PolicyLRU, lru.PolicyS3FIFO} {
		cache := lru.MustNew(lru.Config[int, int]{Capacity: capacity, Policy: policy})
		next := workload(rand.New(rand.NewPCG(1, 2)))
		for range requests {
			key := next()
			if _, ok := cache.Get(key); !ok {
				cache.Set(key, key)
			}
		}
		s := cache.Stats()
		ratio := float64(s.Hits) / float64(s.Hits+s.Misses)
		bar := strings.Repeat("█", int(ratio*width+0.5))
		fmt.Fprintf(w, "  %-8s %-*s %5.1f %%\n", policy, width, bar, 100*ratio)
	}
}

// popular draws keys by Zipf's law.
func popular(rng *rand.Rand) func() int {
	zipf := rand.NewZipf(rng, 1.05, 1, keys-1)
	return func() int { return int(zipf.Uint64()) }
}

// scanned is popular with scans in between.
func scanned(rng *rand.Rand) func() int {
	draw := popular(rng)
	i, scan := 0, keys
	return func() int {
		if i++; i%25_000 < 20_000 {
			return draw()
		}
		scan++
		return scan
	}
}
