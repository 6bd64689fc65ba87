//go:build !race

package workerpool_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool"
)

// The allocations that the documentation promises. The race detector adds its
// own, so they are counted without it.
func TestAllocations(t *testing.T) {
	background := context.Background()
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	p := newPool(t, workerpool.Config{Max: 1, SampleEvery: math.MaxInt32})
	done := make(chan struct{}, 1)
	tell := func(context.Context) { done <- struct{}{} }
	go1 := func(ctx context.Context) func() {
		return func() {
			if p.Go(ctx, tell) != nil {
				t.Error("not accepted")
			}
			<-done
		}
	}
	wait := func(ctx context.Context) func() {
		return func() {
			f, err := workerpool.Submit(ctx, p, zero)
			if err == nil {
				_, err = f.Wait(ctx)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	for _, c := range []struct {
		name string
		most float64
		fn   func()
	}{
		{"Go", 1, go1(background)},
		{"Go, ctx can end", 1, go1(ctx)},
		{"Submit and Wait", 1, wait(background)},
		{"Submit and Wait, ctx can end", 1, wait(ctx)},
	} {
		require.LessOrEqual(t, testing.AllocsPerRun(500, c.fn), c.most, c.name)
	}

	// Many functions of one ctx, while the worker does not sleep, take none.
	p.Pause()
	for range 500 {
		require.NoError(t, p.Go(ctx, nothing))
	}
	require.NoError(t, p.Go(ctx, tell))
	allocs := testing.AllocsPerRun(1, func() {
		p.Resume()
		select {
		case <-done:
		default:
		}
	})
	require.Less(t, allocs, 20.0, "for 500 functions")
}

func TestNestedWaitTakesOneAllocation(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 1, SampleEvery: math.MaxInt32})
	f := submit(t, context.Background(), p, func(ctx context.Context) (int, error) {
		return int(testing.AllocsPerRun(500, func() {
			f, err := workerpool.Submit(ctx, p, zero)
			if err == nil {
				_, err = f.Wait(ctx)
			}
			if err != nil {
				t.Error(err)
			}
		})), nil
	})
	n, err := f.Wait(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, n, 1)
}
