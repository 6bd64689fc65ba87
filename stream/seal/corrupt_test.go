package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

// rejected reports what is wrong with how a corrupt message was handled, as a
// stream and by random access.
func rejected(s *seal.Sealer, message, plain []byte) string {
	if problem := rejectedAsStream(s, message, plain); problem != "" {
		return problem
	}
	if at, err := openAt(s, message, nil); err == nil || !bytes.HasPrefix(plain, at) {
		return fmt.Sprintf("was opened by random access, %v", err)
	}
	return ""
}

// rejectedAsStream wants an error of ours, and before it nothing but an
// authentic beginning of plain, in whole chunks.
func rejectedAsStream(s *seal.Sealer, message, plain []byte) string {
	r, err := s.Reader(bytes.NewReader(message), nil)
	got := make([]byte, len(plain)+1)
	n := 0
	for err == nil && n < len(got) {
		var m int
		m, err = r.Read(got[n:])
		n += m
	}
	switch {
	case err == nil || err == io.EOF:
		return "was opened"
	case !errors.Is(err, seal.ErrCorrupt) && err != seal.ErrKey && !errors.Is(err, seal.ErrFormat) && !errors.Is(err, seal.ErrCost):
		return fmt.Sprintf("ended in %v", err)
	case !bytes.HasPrefix(plain, got[:n]):
		return "gave out what was not sealed"
	case n%chunk != 0:
		return fmt.Sprintf("gave out %d bytes, a part of a chunk", n)
	}
	return ""
}

// inParallel calls f for 0 to n-1, each with a copy of message of its own.
func inParallel(t *testing.T, n int, message []byte, f func(i int, own []byte) string) {
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			own := bytes.Clone(message)
			for i := worker; i < n; i += workers {
				if problem := f(i, own); problem != "" {
					t.Errorf("%d: %s", i, problem)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestEveryBitFlipIsDetected changes each bit of a message of two chunks, header
// included, for each kind of header.
func TestEveryBitFlipIsDetected(t *testing.T) {
	step := 1
	if slow {
		step = 63 // has no factor in common with 8, so all bits of a byte are met
	}
	for name, s := range sealers(t) {
		t.Run(name, func(t *testing.T) {
			plain := text(chunk + 5)
			if name != "256" {
				plain = text(5) // chunks are the same for all
			}
			message := sealAll(t, s, plain, nil)
			inParallel(t, len(message)*8/step, message, func(i int, own []byte) string {
				bit := i * step
				own[bit/8] ^= 1 << (bit % 8)
				defer func() { own[bit/8] ^= 1 << (bit % 8) }()
				if i%13 != 0 && len(own)-bit/8 > 100 { // the last chunk, which random access reads first, always
					return rejectedAsStream(s, own, plain)
				}
				return rejected(s, own, plain)
			})
		})
	}
}

// TestEveryTruncationIsDetected cuts a message of two chunks at each length. At
// the end of a chunk only the length can tell.
func TestEveryTruncationIsDetected(t *testing.T) {
	for name, s := range sealers(t) {
		t.Run(name, func(t *testing.T) {
			plain := text(chunk + 5)
			message := sealAll(t, s, plain, nil)
			header := len(message) - len(plain) - 2*16
			inParallel(t, len(message), message, func(i int, own []byte) string {
				inChunk := i > header+20 && i < header+sealed-20
				if inChunk && (name != "256" || slow) && i%97 != 0 {
					return "" // chunks are the same for all
				}
				return rejected(s, own[:i], plain)
			})
			for cut, want := range map[int]error{
				0: seal.ErrTruncated, header - 1: seal.ErrTruncated, header: seal.ErrTruncated,
				header + 15: seal.ErrTruncated, header + 16: seal.ErrCorrupt,
				header + sealed: seal.ErrTruncated, header + sealed + 15: seal.ErrTruncated, header + sealed + 16: seal.ErrCorrupt,
			} {
				_, err := openAll(s, message[:cut], nil)
				require.ErrorIs(t, err, want, "%d", cut)
				_, err = openAt(s, message[:cut], nil)
				require.ErrorIs(t, err, want, "%d", cut)
			}
		})
	}
}

func TestEveryExtensionIsDetected(t *testing.T) {
	s := newSealer()
	for _, n := range lengths {
		message := sealAll(t, s, text(n), nil)
		other := sealAll(t, s, text(n), nil)
		for _, more := range [][]byte{{0}, make([]byte, 16), make([]byte, sealed), message[prelude:], other, message[len(message)-16:]} {
			require.Empty(t, rejected(s, slices.Concat(message, more), text(n)), "%d and %d", n, len(more))
		}
	}
}

// TestEveryRearrangementOfChunksIsDetected swaps, repeats and drops chunks, and
// puts in those of another message with the same key.
func TestEveryRearrangementOfChunksIsDetected(t *testing.T) {
	s := newSealer()
	plain := text(4*chunk + 100)
	message, other := sealAll(t, s, plain, nil), sealAll(t, s, plain, nil)
	pieces := func(m []byte) [][]byte {
		return slices.Collect(slices.Chunk(m[prelude:], sealed))
	}
	mine, theirs := pieces(message), pieces(other)
	require.Len(t, mine, 5)
	try := func(what string, parts [][]byte) {
		t.Helper()
		require.Empty(t, rejected(s, slices.Concat(message[:prelude], slices.Concat(parts...)), plain), what)
	}
	for i := range mine {
		for j := range mine {
			if i == j {
				continue
			}
			swapped := slices.Clone(mine)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			try(fmt.Sprintf("%d and %d swapped", i, j), swapped)
			repeated := slices.Clone(mine)
			repeated[i] = repeated[j]
			try(fmt.Sprintf("%d in place of %d", j, i), repeated)
		}
		try(fmt.Sprintf("without %d", i), slices.Delete(slices.Clone(mine), i, i+1))
		foreign := slices.Clone(mine)
		foreign[i] = theirs[i]
		try(fmt.Sprintf("%d of another message", i), foreign)
	}
	require.Empty(t, rejected(s, slices.Concat(other[:prelude], message[prelude:]), plain), "the prelude of another message")
	require.Empty(t, rejected(s, slices.Concat(other[:24], message[24:]), plain), "the salt of another message")
}

// Nothing of a chunk is left in the caller's buffer when its tag is wrong.
func TestNoPlaintextIsLeftOfAForgedChunk(t *testing.T) {
	s := newSealer()
	plain := bytes.Repeat([]byte("secret! "), 3*chunk/8)
	message := sealAll(t, s, plain, nil)
	message[prelude+2*sealed+100] ^= 1
	for _, size := range []int{8, chunk - 1, chunk, 3 * chunk, 5 * chunk} {
		r, err := s.Reader(bytes.NewReader(message), nil)
		require.NoError(t, err)
		p := make([]byte, size)
		total := 0
		for err == nil {
			clear(p)
			var n int
			n, err = r.Read(p)
			total += n
			require.NotContains(t, string(p[n:]), "secret", "behind what was read")
		}
		require.ErrorIs(t, err, seal.ErrCorrupt)
		require.Equal(t, 2*chunk, total)
	}
	at, err := s.ReaderAt(bytes.NewReader(message), int64(len(message)), nil)
	require.NoError(t, err, "the last chunk is authentic")
	p := make([]byte, 3*chunk)
	n, err := at.ReadAt(p, 0)
	require.ErrorIs(t, err, seal.ErrCorrupt)
	require.Equal(t, 2*chunk, n)
	require.NotContains(t, string(p[n:]), "secret")
}

func TestCorruptErrorSaysWhere(t *testing.T) {
	s := newSealer()
	message := sealAll(t, s, text(2*chunk+9), nil)
	changed := bytes.Clone(message)
	changed[prelude+sealed+3] ^= 0x80
	for want, m := range map[string][]byte{
		"seal: chunk 1 is not authentic":     changed,
		"seal: cut off in or before chunk 1": message[:prelude+sealed],
		"seal: chunk 2 is not authentic":     message[:len(message)-1],
		"seal: cut off in the header":        message[:prelude-1],
		seal.ErrKey.Error():                  append([]byte{message[0] ^ 1}, message[1:]...),
		"seal: cut off in or before chunk 2": message[:prelude+2*sealed+15],
	} {
		_, err := openAll(s, m, nil)
		require.EqualError(t, err, want)
	}
	_, err := openAll(s, changed, nil)
	corrupt, ok := errors.AsType[*seal.CorruptError](err)
	require.True(t, ok)
	require.Equal(t, int64(1), corrupt.Chunk)
	require.NotErrorIs(t, err, seal.ErrTruncated)
	require.NotErrorIs(t, err, io.EOF)
}
