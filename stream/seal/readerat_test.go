package seal_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

func newReaderAt(t testing.TB, s *seal.Sealer, message []byte) *seal.ReaderAt {
	r, err := s.ReaderAt(bytes.NewReader(message), int64(len(message)), nil)
	require.NoError(t, err)
	return r
}

// Every way to read a part gives what a bytes.Reader over the plaintext gives.
func TestReaderAtIsLikeAReaderOfThePlaintext(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for name, s := range sealers(t) {
		for _, n := range lengths {
			plain := text(n)
			r := newReaderAt(t, s, sealAll(t, s, plain, nil))
			want := bytes.NewReader(plain)
			require.Equal(t, int64(n), r.Size())
			for range 30 {
				off := int64(random.IntN(n + 3))
				size := random.IntN(1 + random.IntN(3*chunk))
				a, b := make([]byte, size), make([]byte, size)
				an, aerr := r.ReadAt(a, off)
				bn, berr := want.ReadAt(b, off)
				if size == 0 {
					berr = nil // it says io.EOF beyond the end, which nobody can need
				}
				require.Equal(t, bn, an, "%s: %d at %d of %d", name, size, off, n)
				require.Equal(t, berr, aerr, "%s: %d at %d of %d", name, size, off, n)
				require.True(t, bytes.Equal(a[:an], b[:bn]))
			}
		}
	}
}

func TestReaderAtSeeks(t *testing.T) {
	s := newSealer()
	for _, n := range []int{0, 5, chunk, 2*chunk + 3} {
		r := newReaderAt(t, s, sealAll(t, s, text(n), nil))
		section := io.NewSectionReader(r, 0, r.Size())
		require.NoError(t, iotest.TestReader(section, text(n)))
		end, err := section.Seek(0, io.SeekEnd)
		require.NoError(t, err)
		require.Equal(t, int64(n), end)
	}
}

func TestReaderAtIsForManyGoroutines(t *testing.T) {
	s := newSealer()
	plain := text(6*chunk + 11)
	r := newReaderAt(t, s, sealAll(t, s, plain, nil))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(5, uint64(i)))
			p := make([]byte, 2*chunk)
			for range 100 {
				off := random.IntN(len(plain))
				want := plain[off:min(off+1+random.IntN(len(p)), len(plain))]
				if n, err := r.ReadAt(p[:len(want)], int64(off)); err != nil || !bytes.Equal(p[:n], want) {
					t.Errorf("%d at %d: %d, %v", len(want), off, n, err)
				}
			}
		})
	}
	wg.Wait()
}

// counted counts what is read of a source.
type counted struct {
	src   io.ReaderAt
	bytes int
	err   error
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	c.bytes += len(p)
	return c.src.ReadAt(p, off)
}

// silent returns less than it was asked for, and does not say why.
type silent struct{}

func (silent) ReadAt([]byte, int64) (int, error) { return 0, nil }

func TestReaderAtReadsOnlyTheChunksItNeeds(t *testing.T) {
	s := newSealer()
	message := sealAll(t, s, text(50*chunk), nil)
	src := &counted{src: bytes.NewReader(message)}
	r, err := s.ReaderAt(src, int64(len(message)), nil)
	require.NoError(t, err)
	require.Equal(t, prelude+16, src.bytes, "the prelude and the last chunk, which is empty")
	src.bytes = 0
	_, err = r.ReadAt(make([]byte, 100), 20*chunk-50)
	require.NoError(t, err)
	require.Equal(t, 2*sealed, src.bytes)
}

func TestSmallStepsDecryptAChunkOnce(t *testing.T) {
	if raceEnabled {
		t.Skip("pools lose things under the race detector")
	}
	s := newSealer()
	message := sealAll(t, s, text(10*chunk), nil)
	src := &counted{src: bytes.NewReader(message)}
	r, err := s.ReaderAt(src, int64(len(message)), nil)
	require.NoError(t, err)
	src.bytes = 0
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{io.NewSectionReader(r, 0, r.Size())}, make([]byte, 512))
	require.NoError(t, err)
	require.Less(t, src.bytes, 20*sealed, "not 32 times, even if the goroutine moved to another processor now and then")
}

func TestReaderAtReturnsTheErrorOfItsSource(t *testing.T) {
	s := newSealer()
	message := sealAll(t, s, text(3*chunk), nil)
	src := &counted{src: bytes.NewReader(message), err: errCause}
	_, err := s.ReaderAt(src, int64(len(message)), nil)
	require.Equal(t, errCause, err)
	src.err = nil
	r, err := s.ReaderAt(src, int64(len(message)), nil)
	require.NoError(t, err)
	src.err = errCause
	n, err := r.ReadAt(make([]byte, 10), 0)
	require.Zero(t, n)
	require.Equal(t, errCause, err)
	src.err = nil
	_, err = r.ReadAt(make([]byte, 10), 0)
	require.NoError(t, err, "the next try may succeed")

	src.src = silent{}
	_, err = r.ReadAt(make([]byte, 10), 2*chunk)
	require.Equal(t, io.ErrNoProgress, err)
	src.src = bytes.NewReader(message[:prelude+sealed+5]) // it has become shorter
	n, err = r.ReadAt(make([]byte, 3*chunk), 0)
	require.ErrorIs(t, err, seal.ErrTruncated)
	require.Equal(t, chunk, n, "what was authentic")
}

func TestReaderAtRefusesNegativeOffsetsAndSizes(t *testing.T) {
	s := newSealer()
	message := sealAll(t, s, text(3), nil)
	r := newReaderAt(t, s, message)
	_, err := r.ReadAt(make([]byte, 1), -1)
	require.EqualError(t, err, "seal: negative offset")
	_, err = s.ReaderAt(bytes.NewReader(message), -1, nil)
	require.ErrorIs(t, err, seal.ErrTruncated)
}

// The length is refused by itself if it is that of no message: nothing is read
// but the header.
func TestReaderAtChecksTheLength(t *testing.T) {
	s := newSealer()
	message := sealAll(t, s, text(3), nil)
	for _, size := range []int64{prelude, prelude + 15, prelude + sealed, prelude + 5*sealed + 15} {
		_, err := s.ReaderAt(bytes.NewReader(message), size, nil)
		require.ErrorIs(t, err, seal.ErrTruncated, "%d", size)
	}
	const longest = prelude + (1<<38)*sealed
	_, err := s.ReaderAt(bytes.NewReader(message), longest+16, nil)
	require.Equal(t, seal.ErrTooLong, err)
	_, err = s.ReaderAt(bytes.NewReader(message), longest-1, nil)
	require.ErrorIs(t, err, seal.ErrCorrupt, "possible, but not there")
}
