package memwatchtest_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch/memwatchtest"
)

// recorder is a test that notes its failures instead of failing.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func check(t *testing.T, fn func()) []string {
	r := &recorder{TB: t}
	memwatchtest.CheckTest(r, fn)
	return r.failures
}

var sink any

type keeper struct {
	list    []int
	blocks  [][]byte
	table   map[int]*[100]byte
	started sync.WaitGroup
	stop    chan struct{}
}

func (k *keeper) appendInt() { k.list = append(k.list, len(k.list)) }
func (k *keeper) keepBlock() { k.blocks = append(k.blocks, make([]byte, 500)) }
func (k *keeper) pinSlice()  { k.blocks = append(k.blocks, make([]byte, 4096)[:1]) }
func (k *keeper) growTable() { k.table[len(k.table)] = new([100]byte) }
func (k *keeper) spawn() {
	k.started.Add(1)
	go func() {
		k.started.Done()
		<-k.stop
	}()
	k.started.Wait()
}

func TestCheckTestNamesTheLineThatKeeps(t *testing.T) {
	k := &keeper{table: make(map[int]*[100]byte)}
	for name, fn := range map[string]func(){
		"appendInt": k.appendInt,
		"keepBlock": k.keepBlock,
		"pinSlice":  k.pinSlice,
		"growTable": k.growTable,
	} {
		t.Run(name, func(t *testing.T) {
			failures := check(t, fn)
			require.NotEmpty(t, failures)
			all := strings.Join(failures, "\n")
			require.Contains(t, all, "memwatchtest_test.(*keeper)."+name)
			require.Contains(t, all, "memwatchtest_test.go:")
			require.Contains(t, all, "bytes a call are kept")
		})
	}
	runtime.KeepAlive(k)
}

func TestCheckTestTellsHowMuchACallKeeps(t *testing.T) {
	k := &keeper{}
	failures := check(t, k.pinSlice)
	require.NotEmpty(t, failures)
	var kept float64
	_, err := fmt.Sscanf(failures[0], "memwatchtest: %f bytes a call", &kept)
	require.NoError(t, err)
	require.InDelta(t, 4096+24, kept, 64, "the array and a slice header with room to grow")
	runtime.KeepAlive(k)
}

func TestCheckTestNamesGoroutinesLeftBehind(t *testing.T) {
	k := &keeper{stop: make(chan struct{})}
	defer close(k.stop)
	all := strings.Join(check(t, k.spawn), "\n")
	require.Contains(t, all, "1.0 goroutines a call are left")
	require.Contains(t, all, "memwatchtest_test.(*keeper).spawn.func1")
}

func TestCheckTestAcceptsWhatDoesNotLeak(t *testing.T) {
	pool := sync.Pool{New: func() any { return new([4096]byte) }}
	bounded := make(map[int][]byte)
	next := 0
	for name, fn := range map[string]func(){
		"nothing": func() {},
		"garbage": func() { sink = make([]byte, 10_000) },
		"pool":    func() { b := pool.Get(); pool.Put(b) },
		"a cache that fills up": func() {
			bounded[next%40] = make([]byte, 100)
			next++
		},
		"a larger cache that fills up": func() {
			bounded[next%400] = make([]byte, 100)
			next++
		},
		"goroutines that end": func() {
			done := make(chan struct{})
			go close(done)
			<-done
		},
		"cleanups": func() {
			b := new([64]byte)
			runtime.AddCleanup(b, func(int) {}, 1)
		},
		"format": func() { sink = fmt.Sprintf("%d %s", next, strings.Repeat("x", 50)) },
	} {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, check(t, fn))
		})
	}
	sink = nil
}

// While it seems to leak the function is called more often, and no more.
func TestCheckTestInsistsBeforeItFails(t *testing.T) {
	k, calls := &keeper{}, 0
	require.NotEmpty(t, check(t, func() {
		calls++
		k.keepBlock()
	}))
	require.Equal(t, 16+32+64+128+256+512+1024+2048, calls)
	runtime.KeepAlive(k)
}

// What is kept once, however large, is no leak.
func TestCheckTestAcceptsWhatIsKeptOnce(t *testing.T) {
	var once []byte
	calls := 0
	require.Empty(t, check(t, func() {
		if calls++; calls == 60 {
			once = make([]byte, 1<<20)
		}
	}))
	require.Equal(t, 240, calls)
	runtime.KeepAlive(once)
}

func TestCheckTestRestoresTheRate(t *testing.T) {
	old := runtime.MemProfileRate
	memwatchtest.CheckTest(t, func() { require.Equal(t, 1, runtime.MemProfileRate) })
	require.Equal(t, old, runtime.MemProfileRate)

	func() {
		defer func() { require.Equal(t, "boom", recover()) }()
		memwatchtest.CheckTest(t, func() { panic("boom") })
	}()
	require.Equal(t, old, runtime.MemProfileRate)
}

func TestCheckTestRefusesNil(t *testing.T) {
	require.PanicsWithValue(t, "memwatchtest: fn is nil", func() { memwatchtest.CheckTest(t, nil) })
}

// Counters of the process are no use beside tests that run at the same time.
func TestCheckTestRefusesParallelTests(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { memwatchtest.CheckTest(t, func() { t.Error("called") }) })
}
