package memwatchtest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/bedplate/bedplate/memwatch/memwatchtest"
)

// cache keeps at most size keys.
type cache struct {
	size int
	keys map[int]bool
}

func newCache(size int) *cache { return &cache{size: size, keys: make(map[int]bool)} }

// Put forgets any key when there is no room.
func (c *cache) Put(key int) {
	for old := range c.keys {
		if len(c.keys) < c.size {
			break
		}
		delete(c.keys, old)
	}
	c.keys[key] = true
}

func TestPutDoesNotLeak(t *testing.T) {
	cache := newCache(100)
	memwatchtest.CheckTest(t, func() { cache.Put(rand.Int()) })
}

// plain stands for a test outside of one.
type plain struct{ testing.TB }

func (plain) Helper()                   {}
func (plain) Setenv(string, string)     {}
func (plain) Errorf(f string, a ...any) { fmt.Fprintf(os.Stderr, f+"\n", a...); fmt.Println("leaks") }

func Example() {
	var kept [][]byte
	memwatchtest.CheckTest(plain{}, func() { kept = append(kept, make([]byte, 1000)) })
	// Output: leaks
}
