package lrubench

import (
	"bufio"
	"compress/gzip"
	"container/list"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/Yiling-J/theine-go"
	hashicorp "github.com/hashicorp/golang-lru/v2"
	"github.com/stretchr/testify/require"
)

// oracle is LRU in the plainest words.
type oracle struct {
	capacity int
	order    *list.List
	entries  map[int]*list.Element
}

func (o *oracle) Get(k int) (uint64, bool) {
	e, ok := o.entries[k]
	if ok {
		o.order.MoveToFront(e)
	}
	return 0, ok
}

func (o *oracle) Set(k int, _ uint64) {
	if o.order.Len() >= o.capacity {
		delete(o.entries, o.order.Remove(o.order.Back()).(int))
	}
	o.entries[k] = o.order.PushFront(k)
}

type workload struct {
	name     string
	capacity int
	loop     bool // only frequency helps, which is not what S3-FIFO is for
	requests func(n int) []int
}

func workloads() []workload {
	mixed := func(n int) []int {
		r := rng()
		draw, out := zipf(r, 100_000, 1.05), make([]int, 0, n)
		for scan := 1 << 30; len(out) < n; {
			for range 20_000 {
				out = append(out, draw(0))
			}
			for range 5000 {
				out = append(out, scan)
				scan++
			}
		}
		return out[:n]
	}
	// The popular keys are others after every so many requests.
	shifting := func(every int) func(n int) []int {
		return func(n int) []int {
			r := rng()
			draw, out := zipf(r, 50_000, 1.05), make([]int, n)
			for i := range out {
				out[i] = draw(0) + i/every*5_000
			}
			return out
		}
	}
	return []workload{
		{"zipf 1.01 at 1 %", 1000, false, func(n int) []int { return order(n, number, zipf(rng(), 100_000, 1.01)) }},
		{"zipf 1.01 at 10 %", 10_000, false, func(n int) []int { return order(n, number, zipf(rng(), 100_000, 1.01)) }},
		{"zipf 1.10 at 1 %", 1000, false, func(n int) []int { return order(n, number, zipf(rng(), 100_000, 1.10)) }},
		{"zipf and scans", 5000, false, mixed},
		{"loop of 1.5", 5000, true, func(n int) []int { return order(n, number, func(i int) int { return i % 7500 }) }},
		{"shifting slowly", 5000, false, shifting(100_000)},
		{"shifting fast", 5000, false, shifting(50_000)},
	}
}

// gli reads the trace of that name that the ristretto module ships, from the
// module cache; LIRS' authors recorded it.
func gli() ([]int, error) {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return nil, err
	}
	pattern := filepath.Join(strings.TrimSpace(string(out)), "github.com", "dgraph-io", "ristretto*", "sim", "gli.lirs.gz")
	found, _ := filepath.Glob(pattern)
	more, _ := filepath.Glob(strings.Replace(pattern, "ristretto*", filepath.Join("ristretto", "v2@*"), 1))
	found = append(found, more...)
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: run go mod download github.com/dgraph-io/ristretto/v2@v2.4.2", fs.ErrNotExist)
	}
	file, err := os.Open(found[0])
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	var trace []int
	lines := bufio.NewScanner(unzipped)
	for lines.Scan() {
		if n, err := strconv.Atoi(strings.TrimSpace(lines.Text())); err == nil {
			trace = append(trace, n)
		}
	}
	return trace, lines.Err()
}

// Policies of otter and theine run behind on other goroutines.
func (r otterRow[K, V]) settle()  { r.c.CleanUp() }
func (r theineRow[K, V]) settle() { r.c.Wait() }

type (
	theineRow[K comparable, V any] struct{ c *theine.Cache[K, V] }
	twoQRow[K comparable, V any]   struct {
		c *hashicorp.TwoQueueCache[K, V]
	}
)

func (r theineRow[K, V]) Get(k K) (V, bool) { return r.c.Get(k) }
func (r theineRow[K, V]) Set(k K, v V)      { r.c.Set(k, v, 1) }
func (r twoQRow[K, V]) Get(k K) (V, bool)   { return r.c.Get(k) }
func (r twoQRow[K, V]) Set(k K, v V)        { r.c.Add(k, v) }

// policyRows are rows whose hits are worth a look, and whose time is not.
func policyRows() []row[int, uint64] {
	return append(rows[int, uint64](),
		row[int, uint64]{peer: "hashicorp-2q", evicts: true, make: func(n int) cache[int, uint64] {
			return twoQRow[int, uint64]{must(hashicorp.New2Q[int, uint64](n))}
		}},
		row[int, uint64]{peer: "theine", evicts: true, make: func(n int) cache[int, uint64] {
			return theineRow[int, uint64]{must(theine.NewBuilder[int, uint64](int64(n)).Build())}
		}},
	)
}

func ratio(c cache[int, uint64], requests []int) float64 {
	found := 0
	settled, _ := c.(interface{ settle() })
	for i, k := range requests {
		if _, ok := c.Get(k); ok {
			found++
		} else {
			c.Set(k, 1)
		}
		if settled != nil && i%64 == 0 {
			settled.settle()
		}
	}
	return 100 * float64(found) / float64(len(requests))
}

// TestHitRatios prints hit ratios beside the peers' and holds ours to them: LRU
// exact to the oracle, S3-FIFO within a point of the best but for loops.
func TestHitRatios(t *testing.T) {
	if raceEnabled {
		t.Skip("hit ratios are counted without the race detector")
	}
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	all := workloads()
	trace, err := gli()
	if err != nil {
		t.Logf("without the gli trace: %v", err)
	} else {
		all = append(all, workload{"gli trace", 1000, true, func(int) []int { return trace }})
	}
	for _, w := range all {
		t.Run(w.name, func(t *testing.T) {
			requests := w.requests(n)
			want := ratio(newOracle(w.capacity), requests)
			line := fmt.Sprintf("%-18s oracle %.1f", w.name, want)
			best, s3, plain := 0.0, 0.0, 0.0
			for _, r := range policyRows() {
				if !r.evicts {
					continue
				}
				got := ratio(r.make(w.capacity), requests)
				line += fmt.Sprintf(", %s %.1f", r.peer, got)
				switch r.peer {
				case "bedplate-s3fifo":
					s3 = got
				case "bedplate":
					plain = got
				case "bedplate-single":
					require.Equal(t, want, got)
				default:
					best = max(best, got)
				}
			}
			t.Log(line)
			require.InDelta(t, want, plain, 0.5)
			if !w.loop && n == 1_000_000 {
				require.Greater(t, s3, best-1, "best peer %.2f %%, ours %.2f %%", best, s3)
			}
		})
	}
}

func newOracle(n int) *oracle {
	return &oracle{n, list.New(), make(map[int]*list.Element)}
}
