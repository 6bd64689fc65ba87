//go:build unix

package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errShut = errors.New("shut")

func text(s string) frame { return frame{frameMessage, []byte(s)} }

func TestMailboxKeepsTheOrder(t *testing.T) {
	b := newMailbox(10, 1000)
	for _, s := range []string{"a", "b", "c"} {
		require.NoError(t, b.put(t.Context(), text(s)))
	}
	b.close(errShut, false)
	for _, s := range []string{"a", "b", "c"} {
		f, err := b.take(t.Context())
		require.NoError(t, err, "what was put before the end is taken after it")
		require.Equal(t, s, string(f.body))
	}
	for range 2 {
		_, err := b.take(t.Context())
		require.Equal(t, errShut, err)
	}
	require.Equal(t, errShut, b.put(t.Context(), text("d")))
	require.Equal(t, errShut, b.force(text("d")))
	require.False(t, b.offer(text("d")))
	b.close(errors.New("later"), true)
	require.Equal(t, errShut, b.put(t.Context(), text("d")), "the first reason counts")
}

func TestMailboxIsBoundedInNumberAndBytes(t *testing.T) {
	b := newMailbox(2, 1000)
	require.True(t, b.offer(text("a")))
	require.True(t, b.offer(text("b")))
	require.False(t, b.offer(text("c")))
	require.NoError(t, b.force(text("c")), "what controls finds room")

	b = newMailbox(100, 20)
	require.True(t, b.offer(text("0123456789"))) // 16 with its header
	require.False(t, b.offer(text("")))
	_, err := b.take(t.Context())
	require.NoError(t, err)
	require.True(t, b.offer(text("much larger than all of the mailbox")), "an empty one takes anything")
	require.False(t, b.offer(text("")))
	_, err = b.take(t.Context())
	require.NoError(t, err)
	require.Zero(t, b.bytes)
}

func TestMailboxPutWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newMailbox(1, 1000)
		require.NoError(t, b.put(t.Context(), text("a")))
		var err error
		done := false
		go func() {
			err = b.put(t.Context(), text("b"))
			done = true
		}()
		synctest.Wait()
		require.False(t, done)
		_, takeErr := b.take(t.Context())
		require.NoError(t, takeErr)
		synctest.Wait()
		require.True(t, done)
		require.NoError(t, err)
	})
}

func TestMailboxWaitsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newMailbox(1, 1000)
		cause := errors.New("cause")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		_, err := b.take(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, cause)
		require.NoError(t, b.put(t.Context(), text("a")))
		require.ErrorIs(t, b.put(ctx, text("b")), cause)
		f, err := b.take(t.Context())
		require.NoError(t, err)
		require.Equal(t, "a", string(f.body))
		require.Empty(t, b.frames, "nothing of the one who left")
	})
}

func TestMailboxCloseWakesEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full, empty := newMailbox(1, 1000), newMailbox(1, 1000)
		require.NoError(t, full.put(t.Context(), text("a")))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := full.put(t.Context(), text("b")); err != errShut {
					t.Errorf("put: %v", err)
				}
			})
			wg.Go(func() {
				if _, err := empty.take(t.Context()); err != errShut {
					t.Errorf("take: %v", err)
				}
			})
		}
		synctest.Wait()
		full.close(errShut, true)
		empty.close(errShut, false)
		wg.Wait()
		_, err := full.take(t.Context())
		require.Equal(t, errShut, err, "discarded")
	})
}

func TestMailboxUnderManyLosesNothing(t *testing.T) {
	b := newMailbox(4, 100)
	const senders, each = 8, 500
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range each {
				if err := b.put(context.Background(), text("x")); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	for range senders * each {
		_, err := b.take(t.Context())
		require.NoError(t, err)
	}
	wg.Wait()
	require.Empty(t, b.frames)
}
