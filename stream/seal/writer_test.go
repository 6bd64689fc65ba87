package seal_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

// A failing writer takes left bytes and then fails with err, or, if err is nil,
// takes fewer than it was given without saying so.
type failing struct {
	left int
	err  error
	got  bytes.Buffer
}

func (f *failing) Write(p []byte) (int, error) {
	n := min(f.left, len(p))
	f.left -= n
	f.got.Write(p[:n])
	if n < len(p) {
		return n, f.err
	}
	return n, nil
}

// A destination that is full at any point ends the message: the error comes
// back as it is, stays, and Close adds nothing that would make the rest look
// complete.
func TestWriterOverADestinationThatFails(t *testing.T) {
	s := newSealer()
	whole := prelude + 5*sealed + 100 + 16
	for _, failure := range []error{errCause, nil} {
		want := failure
		if failure == nil {
			want = io.ErrShortWrite
		}
		for _, left := range []int{0, 1, prelude, prelude + 1, prelude + sealed, prelude + 4*sealed - 1, whole - 1} {
			for _, step := range []int{100, chunk, 5*chunk + 100} {
				dst := &failing{left: left, err: failure}
				w, err := s.Writer(dst, nil)
				require.NoError(t, err)
				plain, n := text(5*chunk+100), 0
				for err == nil && n < len(plain) {
					var m int
					m, err = w.Write(plain[n:min(n+step, len(plain))])
					n += m
				}
				if err != nil {
					require.Equal(t, want, err)
					_, err = w.Write(plain)
					require.Equal(t, want, err, "it stays")
				}
				require.Equal(t, want, w.Close())
				require.Equal(t, want, w.Close())
				w.Abort()
				require.Equal(t, want, w.Close(), "the first failure is the one that counts")
				require.Equal(t, left, dst.got.Len())
				_, err = openAll(s, dst.got.Bytes(), nil)
				require.Error(t, err)
			}
		}
	}
}

// A Writer over a Writer that is closed must not take its ErrClosed for its own.
func TestWriterOverAClosedWriterFails(t *testing.T) {
	s := newSealer()
	inner, err := s.Writer(io.Discard, nil)
	require.NoError(t, err)
	require.NoError(t, inner.Close())
	outer, err := s.Writer(inner, nil)
	require.NoError(t, err)
	require.Equal(t, seal.ErrClosed, outer.Close())
	require.Equal(t, seal.ErrClosed, outer.Close())
}

func TestWriterIsClosedOnce(t *testing.T) {
	s := newSealer()
	var out bytes.Buffer
	w, err := s.Writer(&out, nil)
	require.NoError(t, err)
	_, err = w.Write(text(3))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	before := bytes.Clone(out.Bytes())
	require.NoError(t, w.Close())
	w.Abort()
	require.NoError(t, w.Close())
	n, err := w.Write(text(3))
	require.Zero(t, n)
	require.Equal(t, seal.ErrClosed, err)
	require.Equal(t, before, out.Bytes())
	plain, err := openAll(s, before, nil)
	require.NoError(t, err)
	require.Equal(t, text(3), plain)
}

func TestAbortedMessageIsNotOpened(t *testing.T) {
	s := newSealer()
	for _, n := range lengths {
		var out bytes.Buffer
		w, err := s.Writer(&out, nil)
		require.NoError(t, err)
		_, err = w.Write(text(n))
		require.NoError(t, err)
		w.Abort()
		require.Equal(t, seal.ErrAborted, w.Close())
		_, err = w.Write(text(1))
		require.Equal(t, seal.ErrAborted, err)
		require.Empty(t, rejected(s, out.Bytes(), text(n)))
		if n >= chunk {
			require.Equal(t, prelude+n/chunk*sealed, out.Len(), "whole chunks had been written")
		}
	}
}

// Whole chunks are at the destination when Write returns, and nothing before
// the first: a message that fails early leaves an empty file.
func TestWriterWritesWholeChunksAtOnce(t *testing.T) {
	s := newSealer()
	var out bytes.Buffer
	w, err := s.Writer(&out, nil)
	require.NoError(t, err)
	require.Zero(t, out.Len())
	for n := range 3 * chunk / 1000 {
		_, err = w.Write(text(1000))
		require.NoError(t, err)
		want := (n + 1) * 1000 / chunk * sealed
		if want > 0 {
			want += prelude
		}
		require.Equal(t, want, out.Len())
	}
	_, err = w.Write(nil)
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

// writes counts calls and remembers the largest.
type writes struct{ calls, most int }

func (w *writes) Write(p []byte) (int, error) {
	w.calls++
	w.most = max(w.most, len(p))
	return len(p), nil
}

func TestLargeWritesAreWrittenInBatches(t *testing.T) {
	var dst writes
	w, err := newSealer().Writer(&dst, nil)
	require.NoError(t, err)
	_, err = w.Write(text(64 * chunk))
	require.NoError(t, err)
	require.Equal(t, 16, dst.calls)
	require.LessOrEqual(t, dst.most, prelude+4*sealed)
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and empties pools")
	}
	s := newSealer()
	w, err := s.Writer(io.Discard, nil)
	require.NoError(t, err)
	block := text(4 * chunk)
	for name, size := range map[string]int{"small": 1000, "chunk": chunk, "large": 4 * chunk} {
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = w.Write(block[:size]) }), "Write "+name)
	}

	message := sealAll(t, s, make([]byte, 2000*chunk), nil)
	r, err := s.Reader(bytes.NewReader(message), nil)
	require.NoError(t, err)
	for name, size := range map[string]int{"small": 1000, "chunk": chunk, "large": 4 * chunk} {
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if _, err := r.Read(block[:size]); err != nil {
				t.Error(err)
			}
		}), "Read "+name)
	}

	at, err := s.ReaderAt(bytes.NewReader(message), int64(len(message)), nil)
	require.NoError(t, err)
	off := int64(0)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, err := at.ReadAt(block[:1000], off)
		off = (off + 1_000_003) % (at.Size() - 1000)
		if err != nil {
			t.Error(err)
		}
	}), "ReadAt")
}

// The plaintext of a message is not larger in memory than a few chunks, however
// long it is.
func TestMemoryDoesNotDependOnLength(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := newSealer()
	run := func(chunks int) float64 {
		message := sealAll(t, s, make([]byte, chunks*chunk), nil)
		p := make([]byte, chunk)
		return testing.AllocsPerRun(5, func() {
			w, _ := s.Writer(io.Discard, nil)
			r, _ := s.Reader(bytes.NewReader(message), nil)
			for {
				n, err := r.Read(p)
				if err != nil {
					if err != io.EOF {
						t.Error(err)
					}
					break
				}
				if _, err := w.Write(p[:n]); err != nil {
					t.Error(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	require.Equal(t, run(20), run(400))
}

// panicking is a destination that panics, as a user's may.
type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic(errCause) }

func TestPanicOfTheDestinationPassesThrough(t *testing.T) {
	w, err := newSealer().Writer(panicking{}, nil)
	require.NoError(t, err)
	require.PanicsWithValue(t, errCause, func() { _, _ = w.Write(text(chunk)) })
}

func TestErrorsAreDistinct(t *testing.T) {
	all := []error{
		seal.ErrKey, seal.ErrCorrupt, seal.ErrTruncated, seal.ErrFormat, seal.ErrCost, seal.ErrTooLong,
		seal.ErrClosed, seal.ErrAborted, seal.ErrNoRecipient, seal.ErrNoIdentity, seal.ErrNotRegular,
	}
	for i, a := range all {
		for j, b := range all {
			require.Equal(t, i == j, errors.Is(a, b))
		}
	}
}
