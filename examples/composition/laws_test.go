package composition_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// finish ends everything within a deadline, and checks all laws. Left of the
// sign is what a package says, right what the ledger or its neighbour does.
func (w *world) finish(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 1000*w.unit)
	defer cancel()
	require.NoError(t, w.workers.Drain(ctx))
	require.NoError(t, w.bulkhead.Drain(ctx))
	require.NoError(t, w.pool.Drain(ctx))
	require.NoError(t, w.topic.Drain(ctx))
	require.NoError(t, w.workers.Close())
	require.NoError(t, w.bulkhead.Close())
	require.NoError(t, w.pool.Close())
	require.NoError(t, w.topic.Close())

	require.Empty(t, w.complaints.text, "%d complaints", w.complain.Load())
	s := func(i int) (came, left, refused, gone, next uint64) {
		st := &w.station[i]
		if i+1 < stations {
			next = w.station[i+1].came.Load()
		}
		return st.came.Load(), st.left.Load(), st.refused.Load(), st.gone.Load(), next
	}

	law := func(of string, hold func(*require.Assertions)) {
		t.Log("laws of", of) // not t.Run, which no bubble allows
		hold(require.New(t))
	}

	law("callers", func(require *require.Assertions) {
		require.Equal(w.asked.Load(), w.good.Load()+w.bad.Load()+w.broke.Load(), "each call ends once")
		require.Equal(w.broke.Load(), w.ranPanic.Load()+w.ranExit.Load(), "each panic and Goexit of fn reaches its caller")
		require.Equal(w.good.Load()+w.hedger.Stats().Discarded, w.ranGood.Load(), "no success of fn is lost")
	})
	law("retry", func(require *require.Assertions) {
		st := w.retrier.Stats()
		require.Equal(w.decided.Load(), st.Retries)
		require.Equal(w.recovered.Load(), st.Recovered)
		require.Equal(w.gaveUp.Load(), st.GaveUp)
		require.Equal(w.overBudget.Load(), st.OverBudget)
		require.Zero(st.Suppressed)
		first := w.asked.Load() - w.early.Load()
		require.LessOrEqual(w.attempts.Load(), first+st.Retries, "an attempt is the first or a retry; those cut off were looked at one by one")
		require.GreaterOrEqual(w.attempts.Load(), first)
	})
	law("hedge", func(require *require.Assertions) {
		st := w.hedger.Stats()
		require.Equal(w.hedged.Load()-w.hedgedEarly.Load(), st.Calls)
		require.Equal(w.raced.Load(), st.Calls+st.Hedges)
		require.Equal(w.raceGood.Load(), w.hedgedGood.Load()+st.Discarded)
		require.LessOrEqual(st.Wins, st.Hedges)
		require.Zero(st.Abandoned)
	})
	law("breaker", func(require *require.Assertions) {
		came, left, refused, gone, next := s(atBreaker)
		require.Equal(w.attempts.Load()-w.hedged.Load()+w.raced.Load(), came)
		require.Equal(came, refused+gone+next)
		st := w.breaker.Stats()
		require.Equal(refused, st.Refused)
		require.Equal(w.failures.Load()+left, st.Failures, "what Classify called a failure, panics and Goexits")
		require.Equal(w.ignored.Load(), st.Ignored)
		require.Equal(w.opened.Load(), st.Opened)
		require.Zero(st.Probes)
		require.Equal(w.ranPanic.Load()+w.ranExit.Load(), left)
	})
	law("ratelimit", func(require *require.Assertions) {
		came, left, refused, gone, next := s(atLimit)
		require.Equal(came, refused+gone+next)
		st := w.limiter.Stats()
		require.Equal(refused, st.Limited)
		require.Equal(refused, w.limited.Load())
		require.Equal(next, st.Allowed)
		require.Zero(st.Waiting)
		require.Equal(w.ranPanic.Load()+w.ranExit.Load(), left)
	})
	law("bulkhead", func(require *require.Assertions) {
		came, left, refused, gone, next := s(atBulkhead)
		require.Equal(came, refused+gone+next)
		st := w.bulkhead.Stats()
		require.Equal(refused, st.RefusedQueueFull+st.RefusedWaitTooLong+st.RefusedTurnTooLate)
		require.LessOrEqual(st.Canceled, gone-w.station[atBulkhead].early.Load())
		require.Equal(refused, w.bhRefused.Load())
		require.Equal(next, w.bhAcquired.Load())
		require.Equal(next, w.bhReleased.Load())
		require.Zero(st.InUse)
		require.Zero(st.Waiting)
		require.Equal(w.ranPanic.Load()+w.ranExit.Load(), left)
	})
	law("pool", func(require *require.Assertions) {
		came, left, refused, gone, next := s(atPool)
		require.Equal(came, refused+gone+next)
		st := w.pool.Stats()
		require.Equal(w.ran.Load(), next)
		require.Equal(refused, st.Refused+st.TimedOut)
		require.Equal(refused, w.plRefused.Load())
		require.Equal(next, w.plAcquired.Load())
		require.Equal(next, w.plReleased.Load())
		require.GreaterOrEqual(st.Acquired, next)
		require.LessOrEqual(st.Acquired-next, st.Canceled+st.TimedOut, "leases that came back at once, as their callers had left")
		require.LessOrEqual(st.Canceled, gone-w.station[atPool].early.Load())
		destroyed := st.DestroyedIdle + st.DestroyedExpired + st.DestroyedBroken + st.DestroyedDiscarded + st.DestroyedEvicted +
			st.DestroyedOutdated + st.DestroyedSurplus + st.DestroyedReclaimed + st.DestroyedClosed
		require.Equal(w.made.Load(), st.Created)
		require.Equal(st.Created, destroyed)
		require.Equal(destroyed, w.ended.Load())
		require.Equal(destroyed, w.endedHook.Load())
		require.GreaterOrEqual(st.DestroyedBroken, w.ranBroken.Load()+w.ranPanic.Load()+w.ranExit.Load()-st.DestroyedOutdated)
		require.Zero(st.Total)
		require.Zero(st.InUse)
		require.Zero(st.Waiting)
		require.Zero(st.Stale)
		require.Equal(w.ranPanic.Load()+w.ranExit.Load(), left)
	})
	law("fn", func(require *require.Assertions) {
		require.Equal(w.ran.Load(), w.ranGood.Load()+w.ranBad.Load()+w.ranPanic.Load()+w.ranExit.Load())
	})
	law("workerpool", func(require *require.Assertions) {
		st := w.workers.Stats()
		dropped := st.DroppedContextDone + st.DroppedCanceled + st.DroppedTooOld + st.DroppedOverflowed + st.DroppedClosed
		require.Equal(st.Accepted, st.Completed+dropped)
		require.GreaterOrEqual(st.Accepted, w.tasks.Load()-w.tasksRefused.Load(), "Map brings tasks as well")
		require.GreaterOrEqual(st.Completed, w.tasksRan.Load())
		require.LessOrEqual(w.tasks.Load()-w.tasksRefused.Load()-w.tasksRan.Load(), dropped, "a task that was accepted ran or was dropped")
		require.Equal(w.taskPanics.Load(), st.Panics)
		require.Zero(st.Queued + st.Running + st.Waiting + st.Workers)
	})
	law("lru", func(require *require.Assertions) {
		st := w.cache.Stats()
		require.Equal(w.loads.Load(), st.Loads)
		require.Equal(w.loadsBad.Load(), st.LoadErrors)
		require.LessOrEqual(st.Hits+st.Misses, w.lookups.Load()-w.lookupsEarly.Load())
		require.GreaterOrEqual(st.Misses, st.Loads)
	})
	law("jwt", func(require *require.Assertions) {
		require.Equal(w.tokens.Load(), w.admitted.Load()+w.forged.Load())
		require.NotZero(w.forged.Load())
	})
	law("emitter", func(require *require.Assertions) {
		st := w.topic.Stats()
		require.Equal(w.emitted.Load(), w.heard.Load())
		require.Equal(w.emitted.Load(), w.heardAsync.Load(), "Drain lets them hear what is queued")
		require.Equal(w.failed.Load(), st.Failures)
		require.Zero(st.Queued)
		require.Zero(st.Listeners)
	})
}

// report logs what the storm was made of, so that a law that holds because
// nothing happens is seen.
func (w *world) report(t *testing.T, n uint64, took time.Duration) {
	t.Helper()
	hs, ps, cs := w.hedger.Stats(), w.pool.Stats(), w.cache.Stats()
	t.Logf("%d calls in %v: %d good, %d bad, %d panics, %d exits; %d attempts, %d given up (%d for the budget)", n, took.Round(time.Millisecond),
		w.good.Load(), w.bad.Load(), w.ranPanic.Load(), w.ranExit.Load(), w.attempts.Load(), w.gaveUp.Load(), w.overBudget.Load())
	for i, name := range []string{"breaker", "ratelimit", "bulkhead", "pool", "fn"} {
		s := &w.station[i]
		t.Logf("%-9s %8d came, %6d refused, %6d gone", name, s.came.Load(), s.refused.Load(), s.gone.Load())
	}
	t.Logf("opened %d times; %d extra attempts, %d won, %d discarded; %d connections, %d timeouts; %d lookups, %d hits, %d loads; %d tasks",
		w.opened.Load(), hs.Hedges, hs.Wins, hs.Discarded, ps.Created, ps.TimedOut, w.lookups.Load(), cs.Hits, cs.Loads, w.tasks.Load())
}
