package pool_test

import (
	"context"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

// What the manual says about allocations.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	fn := func(context.Context, int) error { return nil }
	for name, c := range map[string]struct {
		cfg  pool.Config[int]
		want float64
	}{
		"plain":  {pool.Config[int]{}, 0},
		"check":  {pool.Config[int]{Check: fn}, 0},
		"hooks":  {pool.Config[int]{Hooks: pool.Hooks{OnAcquired: func(pool.Acquired) {}, OnReleased: func(pool.Released) {}}}, 0},
		"reset":  {pool.Config[int]{Reset: fn}, 1},
		"nested": {pool.Config[int]{RefuseNested: true}, 1},
		"leak":   {pool.Config[int]{LeakAfter: 1 << 62}, 1},
		"drop":   {pool.Config[int]{ReclaimLeaked: true}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Create = number
			p := pool.MustNew(c.cfg)
			defer p.Close()
			require.NoError(t, p.With(t.Context(), fn))
			require.LessOrEqual(t, testing.AllocsPerRun(200, func() {
				if err := p.With(background, fn); err != nil {
					t.Error(err)
				}
			}), c.want)
			require.LessOrEqual(t, testing.AllocsPerRun(200, func() {
				if l, ok := p.TryAcquire(); !ok || l.Value() != 1 || l.Release() != nil || l.Release() != pool.ErrReleased {
					t.Error("TryAcquire")
				}
			}), c.want)
		})
	}
}

// Waiting does not allocate once there were waiters.
func TestAllocationsOfWaiting(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p := pool.MustNew(pool.Config[int]{Create: number, Max: 1})
	defer p.Close()
	stop := make(chan struct{})
	other := make(chan struct{})
	go func() {
		defer close(other)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if l, err := p.Acquire(background); err == nil {
				runtime.Gosched()
				_ = l.Release()
			}
		}
	}()
	for p.Stats().Waits.Count < 100 {
		_ = p.With(background, func(context.Context, int) error { runtime.Gosched(); return nil })
	}
	// Both wait all the time; less than one allocation for two waits leaves
	// something to the runtime, which may empty the sync.Pool.
	require.Zero(t, testing.AllocsPerRun(200, func() {
		_ = p.With(background, func(context.Context, int) error { runtime.Gosched(); return nil })
	}))
	close(stop)
	<-other
}

// TestBytes watches over the size that the manual tells.
func TestBytes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the sizes are those of 64-bit machines")
	}
	require.EqualValues(t, 24, unsafe.Sizeof(pool.Lease[int]{}), "a Lease is passed in registers")
	const n = 1000
	p := pool.MustNew(pool.Config[int]{Create: number, Max: n, MaxCreating: n})
	defer p.Close()
	before := heap()
	require.NoError(t, p.Warm(t.Context(), n))
	perResource := int(heap()-before) / n
	t.Logf("%d bytes a resource", perResource)
	require.Less(t, perResource, 260)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
