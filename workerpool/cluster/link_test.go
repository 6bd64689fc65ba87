//go:build unix

package cluster

import (
	"bytes"
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLinkCarriesFramesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		left, right := newLink(a, 1<<20), newLink(b, 1<<20)
		var got []string
		read := make(chan error, 1)
		go func() {
			read <- right.read(func(f frame) error {
				got = append(got, string(f.body[:min(len(f.body), 5)]))
				return nil
			})
		}()
		require.NoError(t, left.send(t.Context(), frameMessage, []byte("one")))
		require.NoError(t, left.send(t.Context(), frameMessage, bytes.Repeat([]byte("b"), 200_000)))
		require.NoError(t, left.control(frameReady, []byte("three")))
		left.close(time.Second)
		require.NoError(t, <-read, "the end of the other side is no error")
		require.Equal(t, []string{"one", "bbbbb", "three"}, got)
		require.Equal(t, ErrGone, left.send(t.Context(), frameMessage, nil))
		require.Equal(t, ErrGone, left.control(frameMessage, nil))
		right.close(0)
	})
}

func TestLinkGivesUpOnWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		l := newLink(a, 1000)
		start := time.Now()
		require.NoError(t, l.send(t.Context(), frameMessage, []byte("unread")))
		require.NoError(t, l.read(func(frame) error { return nil }), "it ends when the writer has closed the socket")
		require.Equal(t, writeTimeout, time.Since(start))
		require.Equal(t, ErrGone, l.send(t.Context(), frameMessage, nil))
		l.close(time.Second)
	})
}

func TestLinkSendWaitsForRoomAsLongAsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		l := newLink(a, 1000)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sent, err := 0, error(nil)
		for err == nil {
			if err = l.send(ctx, frameMessage, nil); err == nil {
				sent++
			}
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.GreaterOrEqual(t, sent, 1024)
		require.LessOrEqual(t, sent, 1026)
		require.NoError(t, l.control(frameStop, nil), "orders find room")
		require.ErrorIs(t, l.send(ctx, frameMessage, nil), context.DeadlineExceeded)
		b.Close()
		l.close(0)
	})
}

func TestLinkReadsNoNonsense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		l := newLink(a, 1000)
		go func() { _, _ = b.Write([]byte("SSH-2.0-OpenSSH\r\n")) }()
		require.ErrorIs(t, l.read(func(frame) error { return nil }), errFrame)
		l.close(0)
		b.Close()
	})
}

func TestLinkCloseBoundsTheFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		l := newLink(a, 1000)
		require.NoError(t, l.control(frameReady, nil))
		start := time.Now()
		l.close(time.Second)
		require.Equal(t, time.Second, time.Since(start))
	})
}
