package seal_test

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

// entries are the ways into the package that take a ctx; the user's function is
// Progress. Each runs over a source of two blocks, named src, to one named dst.
var entries = map[string]func(ctx context.Context, s *seal.Sealer, f folder, progress func(context.Context, int64, int64)) error{
	"EncryptFile": func(ctx context.Context, s *seal.Sealer, f folder, progress func(context.Context, int64, int64)) error {
		return s.EncryptFile(ctx, f.at("dst"), f.at("src"), seal.File{Progress: progress})
	},
	"DecryptFile": func(ctx context.Context, s *seal.Sealer, f folder, progress func(context.Context, int64, int64)) error {
		return s.DecryptFile(ctx, f.at("dst"), f.at("src"), seal.File{Progress: progress})
	},
}

// prepared is a Sealer and a folder with a source for every entry.
func prepared(t *testing.T) (*seal.Sealer, folder) {
	s, f := newSealer(), newFolder(t)
	f.write("src", sealAll(t, s, make([]byte, 17*chunk), nil), 0o600)
	return s, f
}

// Done before the call: nothing happens, and Progress is not called.
func TestContractDoneBeforeCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, enter := range entries {
		s, f := prepared(t)
		require.Equal(t, context.Canceled, enter(ctx, s, f, func(context.Context, int64, int64) { t.Error("called") }), name)
		f.holds("src")
	}
}

// Done while it runs: the next block is not begun, and nothing is left.
func TestContractDoneWhileWaiting(t *testing.T) {
	for name, enter := range entries {
		s, f := prepared(t)
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		require.Equal(t, context.Canceled, enter(ctx, s, f, func(context.Context, int64, int64) { calls++; cancel() }), name)
		require.Equal(t, 1, calls)
		f.holds("src")
		require.NoError(t, enter(t.Context(), s, f, nil), "and the Sealer is as it was")
	}
}

// The error matches ctx.Err() and context.Cause(ctx), before and while it runs.
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	for name, enter := range entries {
		s, f := prepared(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		for range 2 {
			err := enter(ctx, s, f, func(context.Context, int64, int64) { cancel(errCause) })
			require.ErrorIs(t, err, context.Canceled, name)
			require.ErrorIs(t, err, errCause, name)
		}
		late, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer stop()
		require.Equal(t, context.DeadlineExceeded, enter(late, s, f, nil))
	}
}

type ctxKey struct{}

// Progress gets the caller's ctx.
func TestContractFnContextDerives(t *testing.T) {
	for name, enter := range entries {
		s, f := prepared(t)
		ctx := context.WithValue(t.Context(), ctxKey{}, "v")
		called := false
		require.NoError(t, enter(ctx, s, f, func(ctx context.Context, _, _ int64) {
			called = true
			require.Equal(t, "v", ctx.Value(ctxKey{}), name)
		}))
		require.True(t, called)
	}
}

// Cancelling one caller leaves another of the same Sealer, at the same source,
// alone.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	for name, enter := range entries {
		s, f := prepared(t)
		other := newFolder(t)
		other.write("src", f.read("src"), 0o600)
		ctx, cancel := context.WithCancel(t.Context())
		var otherErr error
		err := enter(ctx, s, f, func(context.Context, int64, int64) {
			cancel()
			otherErr = enter(t.Context(), s, other, nil)
		})
		require.Equal(t, context.Canceled, err, name)
		require.NoError(t, otherErr, name)
		other.holds("src", "dst")
	}
}

// broken is a user's reader, writer and reader at, that fails.
type broken struct{}

func (broken) Read([]byte) (int, error)          { return 0, errCause }
func (broken) Write([]byte) (int, error)         { return 0, errCause }
func (broken) ReadAt([]byte, int64) (int, error) { return 0, errCause }

// The errors of what the user supplies come back as they are.
func TestContractFnErrorUnwrapped(t *testing.T) {
	s := newSealer()
	_, err := s.Reader(broken{}, nil)
	require.Equal(t, errCause, err)
	_, err = s.ReaderAt(broken{}, 1000, nil)
	require.Equal(t, errCause, err)
	w, err := s.Writer(broken{}, nil)
	require.NoError(t, err)
	_, err = w.Write(text(chunk))
	require.Equal(t, errCause, err)
	derive := func([]byte, []byte, uint32) ([]byte, error) { return nil, errCause }
	_, err = password("p", seal.KDF{ID: 128, Cost: 1, Derive: derive}).Writer(io.Discard, nil)
	require.Equal(t, errCause, err)
}

func explode(context.Context, int64, int64) { panic(errCause) }

// A panic or Goexit in Progress passes through untouched, and no file is left.
func TestContractPanicAndGoexit(t *testing.T) {
	for name, enter := range entries {
		s, f := prepared(t)
		func() {
			defer func() {
				require.Equal(t, errCause, recover(), name)
				// The stack still has the frame that panicked: nothing
				// recovered and panicked again on the way.
				require.Contains(t, string(debug.Stack()), "seal_test.explode")
			}()
			_ = enter(t.Context(), s, f, explode)
		}()
		f.holds("src")
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = enter(context.Background(), s, f, func(context.Context, int64, int64) { runtime.Goexit() })
		})
		wg.Wait()
		f.holds("src")
		require.NoError(t, enter(t.Context(), s, f, nil))
	}
}

// Close may be called again, and that of a Sealer by many at once.
func TestContractCloseIdempotent(t *testing.T) {
	s := newSealer()
	w, err := s.Writer(io.Discard, nil)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
}

// After Close every way in answers ErrClosed.
func TestContractClosedRefuses(t *testing.T) {
	s, f := prepared(t)
	w, err := s.Writer(io.Discard, nil)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, err = w.Write(text(1))
	require.Equal(t, seal.ErrClosed, err)
	require.NoError(t, s.Close())
	for name, enter := range entries {
		require.Equal(t, seal.ErrClosed, enter(t.Context(), s, f, nil), name)
	}
	_, err = s.Writer(io.Discard, nil)
	require.Equal(t, seal.ErrClosed, err)
	_, err = s.Reader(bytes.NewReader(f.read("src")), nil)
	require.Equal(t, seal.ErrClosed, err)
	_, err = s.ReaderAt(bytes.NewReader(f.read("src")), 100, nil)
	require.Equal(t, seal.ErrClosed, err)
	f.holds("src")
}

// There is nothing to drain: no type has goroutines. What has a deadline is the
// work on a file, which ends there and leaves nothing.
func TestContractDrainDeadline(t *testing.T) {
	for name, enter := range entries {
		s, f := prepared(t)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errCause)
		defer cancel()
		err := enter(ctx, s, f, func(ctx context.Context, _, _ int64) { <-ctx.Done() })
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		require.ErrorIs(t, err, errCause, name)
		f.holds("src")
	}
}
