package bulkhead

import (
	"context"
	"math"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// The hint says whether the word has a reason in it, whenever mu is free. A
// hint that stays behind would only cost time, so nothing else would show it.
func TestHintFollowsTheReasonsInTheWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		right := func(b *Bulkhead, want uint32) {
			t.Helper()
			require.Equal(t, want, b.hint.Load())
			require.Equal(t, want&busy != 0, b.slots.Load() < -reason/2)
		}
		b := MustNew(Config{Limit: 1, MaxWaiting: 1})
		right(b, 0)
		p, err := b.Acquire(t.Context())
		require.NoError(t, err)
		right(b, 0)
		ctx, cancel := context.WithCancel(t.Context())
		wait := func(ctx context.Context) {
			q, _ := b.Acquire(ctx)
			q.Release()
		}
		go wait(ctx)
		synctest.Wait()
		right(b, busy) // somebody waits
		cancel()
		synctest.Wait()
		right(b, 0)
		go wait(t.Context())
		synctest.Wait()
		right(b, busy)
		p.Release()
		synctest.Wait()
		right(b, 0)
		require.NoError(t, b.Close())
		right(b, busy)

		b = MustNew(Config{Limit: 1, NoWait: true, Hooks: Hooks{OnAcquired: func(Acquired) {}}})
		right(b, watched)
		p, _ = b.TryAcquire()
		_, err = b.Acquire(t.Context())
		require.ErrorIs(t, err, ErrFull)
		right(b, watched|busy) // the next release is to be measured
		p.Release()
		right(b, watched)
	})
}

// The moment between the two halves of takeOne is short, so these tests stop
// the clock there: owe is the first half for a caller that finds no slot, and
// settle the second.
func owe(t *testing.T, b *Bulkhead) {
	t.Helper()
	require.Negative(t, b.slots.Add(-1))
}

func TestDebtIsKeptAsTheSlotThatCameBack(t *testing.T) {
	b := MustNew(Config{Limit: 1})
	p, _ := b.TryAcquire()
	owe(t, b)
	p.Release()
	_, ok := b.TryAcquire()
	require.False(t, ok, "the slot is kept for the debtor")
	require.True(t, b.settle())
	require.Equal(t, 1, b.Stats().InUse)
	b.release(1)
	require.Zero(t, b.Stats().InUse)
}

func TestDebtOfManyForOneSlotIsKeptByTheLast(t *testing.T) {
	b := MustNew(Config{Limit: 1})
	p, _ := b.TryAcquire()
	for range 3 {
		owe(t, b)
	}
	p.Release()
	require.False(t, b.settle())
	require.False(t, b.settle())
	_, ok := b.TryAcquire()
	require.False(t, ok)
	require.True(t, b.settle())
	b.release(1)
	require.EqualValues(t, 1, b.slots.Load())
}

func TestDebtHandsTheSlotItHidToTheWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := MustNew(Config{Limit: 1})
		p, _ := b.TryAcquire()
		owe(t, b)
		p.Release()
		admitted := false
		go func() {
			q, err := b.Acquire(t.Context())
			admitted = err == nil
			q.Release()
		}()
		synctest.Wait()
		require.False(t, admitted)
		require.False(t, b.settle(), "it does not pass the waiter")
		synctest.Wait()
		require.True(t, admitted)
		require.EqualValues(t, 1, b.slots.Load())
	})
}

func TestDebtKeepsDrainWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := MustNew(Config{Limit: 1})
		p, _ := b.TryAcquire()
		owe(t, b)
		p.Release()
		drained := false
		go func() { drained = b.Drain(t.Context()) == nil }()
		synctest.Wait()
		require.False(t, drained)
		require.False(t, b.settle())
		synctest.Wait()
		require.True(t, drained)
	})
}

func TestDebtDoesNotShowAsInUseBeyondTheLimit(t *testing.T) {
	b := MustNew(Config{Limit: 4})
	p, _ := b.TryAcquireN(4)
	owe(t, b)
	require.Equal(t, 4, b.Stats().InUse)
	require.NoError(t, b.Resize(2))
	require.Equal(t, 4, b.Stats().InUse, "of the old limit")
	p.Release()
	require.LessOrEqual(t, b.Stats().InUse, 2)
	for b.slots.Load() >= 0 {
		b.slots.Add(-1)
	}
	require.Equal(t, 2, b.Stats().InUse, "of the new one")
}

// However many are in debt, the count of free slots does not overflow.
func TestDebtOfManyOnTheMostOverdrawnBulkhead(t *testing.T) {
	b := MustNew(Config{Limit: math.MaxInt32})
	p, _ := b.TryAcquireN(math.MaxInt32)
	require.NoError(t, b.Resize(1))
	for range 1000 {
		owe(t, b)
	}
	require.Equal(t, math.MaxInt32, b.Stats().InUse)
	_, ok := b.TryAcquire()
	require.False(t, ok)
	for range 1000 {
		require.False(t, b.settle())
	}
	p.Release()
	require.EqualValues(t, 1, b.slots.Load())
}
