package stream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// puts starts a goroutine that puts v and tells what became of it.
func puts(q *queue[int], v int) *error {
	result := errors.New("waits")
	go func() { result = q.put(v) }()
	return &result
}

func TestQueuePutWaitsForRoomAndTakeMakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue[int](2, 1)
		require.NoError(t, q.put(1))
		require.NoError(t, q.put(2))
		third := puts(q, 3)
		synctest.Wait()
		require.EqualError(t, *third, "waits")

		items, err := q.take(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, []int{1, 2}, items)
		synctest.Wait()
		require.NoError(t, *third)
		items, err = q.take(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, []int{3}, items)
	})
}

func TestQueueLeaveFreesAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue[int](1, 3)
		require.NoError(t, q.put(1))
		var waiting []*error
		for v := range 3 {
			waiting = append(waiting, puts(q, v))
		}
		synctest.Wait()
		q.leave()
		synctest.Wait()
		for _, result := range waiting {
			require.Equal(t, errGone, *result)
		}
		require.Equal(t, errGone, q.put(9))
	})
}

func TestQueueEndsWithItemsThenError(t *testing.T) {
	for _, err := range []error{nil, errors.New("end")} {
		q := newQueue[int](5, 2)
		require.NoError(t, q.put(1))
		q.end(nil)
		require.NoError(t, q.put(2))
		q.end(err)
		items, got := q.take(t.Context(), nil)
		require.NoError(t, got)
		require.Equal(t, []int{1, 2}, items)
		for range 2 {
			items, got = q.take(t.Context(), nil)
			require.Equal(t, err, got)
			require.Empty(t, items)
		}
	}
}

func TestQueueFailureEndsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue[int](1, 3)
		require.NoError(t, q.put(1))
		waiting := puts(q, 2)
		synctest.Wait()
		first := errors.New("first")
		q.end(first)
		q.end(errors.New("second"))
		synctest.Wait()
		require.Equal(t, errGone, *waiting)
		items, err := q.take(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, []int{1}, items)
		_, err = q.take(t.Context(), nil)
		require.Equal(t, first, err)
	})
}

func TestQueueTakeWithDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue[int](3, 1)
		q.delay = time.Second
		start := time.Now()
		take := func() []int {
			items, err := q.take(t.Context(), nil)
			require.NoError(t, err)
			return items
		}
		go func() { // one, and a second one half way
			_ = q.put(1)
			time.Sleep(time.Second / 2)
			_ = q.put(2)
		}()
		require.Equal(t, []int{1, 2}, take())
		require.Equal(t, time.Second, time.Since(start))

		// One that waited while nobody took is late already; the timer that it
		// set has gone off.
		_ = q.put(3)
		time.Sleep(time.Minute)
		start = time.Now()
		require.Equal(t, []int{3}, take())
		require.Zero(t, time.Since(start))

		// The timer of items that were taken does not cut the next wait short.
		_ = q.put(4)
		_ = q.put(5)
		_ = q.put(6)
		require.Equal(t, []int{4, 5, 6}, take())
		time.Sleep(time.Second * 3 / 4)
		start = time.Now()
		_ = q.put(7)
		require.Equal(t, []int{7}, take())
		require.Equal(t, time.Second, time.Since(start))
		require.Zero(t, q.weighs)
	})
}

func TestQueueTakeGivesUpWithCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue[int](3, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := q.take(ctx, nil)
		require.Equal(t, context.DeadlineExceeded, err)
		require.False(t, q.asleep)
		require.Empty(t, q.wake)
		_ = q.put(1)
		_, err = q.take(ctx, nil)
		require.Equal(t, context.DeadlineExceeded, err, "though there is an item")
	})
}

// TestQueueNeverLosesAWakeUp has takers and putters race for every transition
// between empty and full.
func TestQueueNeverLosesAWakeUp(t *testing.T) {
	const each, putters = 3000, 3
	for _, size := range []int{1, 2, 7} {
		q := newQueue[int](size, putters)
		var wg sync.WaitGroup
		for range putters {
			wg.Go(func() {
				defer q.end(nil)
				for v := range each {
					if q.put(v) != nil {
						return
					}
				}
			})
		}
		n := 0
		for {
			items, err := q.take(t.Context(), nil)
			require.NoError(t, err)
			if len(items) == 0 {
				break
			}
			require.LessOrEqual(t, len(items), size)
			n += len(items)
		}
		wg.Wait()
		require.Equal(t, each*putters, n)
	}
}

// TestGateNeverLosesAWakeUp passes a turn back and forth between two who sleep
// for it.
func TestGateNeverLosesAWakeUp(t *testing.T) {
	var gates [2]gate
	var turn atomic.Int64
	gates[0].open()
	gates[1].open()
	const turns = 20_000
	var wg sync.WaitGroup
	for i := range gates {
		wg.Go(func() {
			for at := int64(i); at < turns; at += 2 {
				ready := func() bool { return turn.Load() >= at }
				if at%3 == 0 {
					gates[i].sleep(int(at), ready) // without spinning first
				} else {
					gates[i].wait(int(at), ready)
				}
				turn.Add(1)
				gates[1-i].wake(int(at + 1))
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, turns, turn.Load())
	for i := range gates {
		require.EqualValues(t, awake, gates[i].awaited.Load())
		require.Empty(t, gates[i].ch)
	}
}

func TestGateWakesOnlyForWhatIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		g.open()
		require.False(t, g.wake(0), "nobody sleeps")
		var ready atomic.Bool
		woken := false
		go func() {
			g.sleep(5, ready.Load)
			woken = true
		}()
		synctest.Wait()
		require.False(t, g.wake(4))
		require.True(t, g.wake(5), "it looks, finds nothing, and sleeps again")
		synctest.Wait()
		require.False(t, woken)
		ready.Store(true)
		g.wakeAnyway()
		synctest.Wait()
		require.True(t, woken)
		g.wakeAnyway()
		require.Empty(t, g.ch)
	})
}

func TestArenaCopies(t *testing.T) {
	var a arena
	var kept, want [][]byte
	p := make([]byte, 3*arenaAlone)
	for i := range 2000 {
		n := i % (arenaAlone + 10)
		if i%100 == 0 {
			n = len(p)
		}
		for j := range p[:n] {
			p[j] = byte(i + j)
		}
		want = append(want, append([]byte{}, p[:n]...))
		kept = append(kept, a.copy(p[:n]))
		require.Equal(t, n, cap(kept[i]))
	}
	require.Equal(t, want, kept)
	require.Nil(t, a.copy(nil))
}
