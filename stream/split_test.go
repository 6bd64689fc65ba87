package stream_test

import (
	"bufio"
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

// The cases of bufio's own tests of ScanLines, and what Lines makes of them.
func TestLinesOfAllKinds(t *testing.T) {
	for _, c := range []struct {
		name string
		text string
		want []string
	}{
		{
			name: "no end of line",
			text: "abc",
			want: []string{"abc"},
		},
		{
			name: "only a carriage return",
			text: "abc\r",
			want: []string{"abc"},
		},
		{
			name: "one line",
			text: "abc\n",
			want: []string{"abc"},
		},
		{
			name: "one empty line",
			text: "\n",
			want: []string{""},
		},
		{
			name: "empty lines",
			text: "\n\n\r\n\n",
			want: []string{"", "", "", ""},
		},
		{
			name: "empty line at the end",
			text: "a\n\n",
			want: []string{"a", ""},
		},
		{
			name: "carriage return alone in a line",
			text: "a\n\r\nb",
			want: []string{"a", "", "b"},
		},
		{
			name: "two carriage returns",
			text: "a\r\r\nb\r\r",
			want: []string{"a\r", "b\r"},
		},
		{
			name: "form feed and vertical tab, the neighbours of a newline",
			text: "a\x09b\x0bc\nd\x0be\x09",
			want: []string{"a\x09b\x0bc", "d\x0be\x09"},
		},
		{
			name: "newline with its top bit set",
			text: "a\x8ab\n\x8a",
			want: []string{"a\x8ab", "\x8a"},
		},
		{
			name: "zero bytes",
			text: "\x00\n\x00\x00\n",
			want: []string{"\x00", "\x00\x00"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for cut := range len(c.text) + 1 {
				require.Equal(t, c.want, pieces(t, stream.Lines(inChunks(c.text, cut, 1))))
			}
			require.Equal(t, c.want, pieces(t, stream.Lines(stream.Reader(iotest.OneByteReader(strings.NewReader(c.text))))))
		})
	}
}

// TestLinesMatchesTheScannerWhateverTheLength has runs of short and of long
// lines, between which the search changes.
func TestLinesMatchesTheScannerWhateverTheLength(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var text bytes.Buffer
	for _, mean := range []int{1, 10, 1000, 3, 90, 20_000, 40, 300, 250} {
		for text.Len()%300_000 < 250_000 && rng.IntN(2000) > 0 {
			text.Write(bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, rng.IntN(2*mean)))
			if rng.IntN(5) == 0 {
				text.WriteByte('\r')
			}
			text.WriteByte('\n')
		}
		text.WriteByte('\n')
	}
	all := text.Bytes()
	for _, chunk := range []int{17, 1000, 4096, 64 << 10, len(all)} {
		scanner := bufio.NewScanner(bytes.NewReader(all))
		scanner.Buffer(nil, 1<<20)
		var source stream.Stream[[]byte] = func(ctx context.Context, emit func([]byte) error) error {
			for rest := all; len(rest) > 0; {
				n := min(chunk, len(rest))
				if err := emit(rest[:n:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			return nil
		}
		n := 0
		err := stream.Lines(source).Run(t.Context(), func(line []byte) error {
			n++
			if !scanner.Scan() || !bytes.Equal(scanner.Bytes(), line) {
				t.Fatalf("chunks of %d: line %d differs", chunk, n)
			}
			return nil
		})
		require.NoError(t, err)
		require.False(t, scanner.Scan())
	}
}

func TestSplitTellsWhereALongPieceIsInABigChunk(t *testing.T) {
	short := strings.Repeat("0123456789\n", 5000)
	text := short + strings.Repeat("x", 200) + "\n" + short + strings.Repeat("y", 101) + "\nlast"
	var got []stream.TooLongError
	n, err := stream.Split(inChunks(text), stream.Splitting{
		MaxLen: 100, OnLong: func(e *stream.TooLongError) { got = append(got, *e) },
	}).Count(t.Context())
	require.NoError(t, err)
	require.Equal(t, 10_001, n)
	require.Equal(t, []stream.TooLongError{
		{Limit: 100, Offset: 55_000, Index: 5000},
		{Limit: 100, Offset: 110_201, Index: 10_001},
	}, got)

	n, err = stream.Split(inChunks(text), stream.Splitting{MaxLen: 100}).Count(t.Context())
	require.Equal(t, &stream.TooLongError{Limit: 100, Offset: 55_000, Index: 5000}, err)
	require.Equal(t, 5000, n)
}

func TestSplitLooksAtCtxWithinAChunk(t *testing.T) {
	for _, delimiter := range []string{"\n", "--"} {
		for _, line := range []string{"", "short", strings.Repeat("long", 500)} {
			ctx, cancel := context.WithCancel(t.Context())
			calls := 0
			err := stream.Split(inChunks(strings.Repeat(line+delimiter, 1000)), stream.Splitting{Delimiter: delimiter}).Run(ctx, func([]byte) error {
				if calls++; calls == 10 {
					cancel()
				}
				return nil
			})
			require.Equal(t, context.Canceled, err)
			require.LessOrEqual(t, calls, 10+16)
		}
	}
}

func TestSplitPiecesDoNotReachIntoTheNext(t *testing.T) {
	for _, c := range []stream.Splitting{{}, {KeepDelimiter: true}, {Delimiter: "\n\n"}} {
		s := stream.Split(inChunks("a\n\nb\n\nc\n\n"), c)
		require.NoError(t, s.Run(t.Context(), func(p []byte) error {
			require.Equal(t, len(p), cap(p))
			return nil
		}))
	}
}

func TestSplitSkipsLongPiecesOfLongDelimiters(t *testing.T) {
	text := "ok<end>" + strings.Repeat("<en", 50) + "<end>ok<end>" + strings.Repeat("<end", 3)
	for cut := range len(text) {
		for step := 1; step < 6; step++ {
			long := 0
			s := stream.Split(inChunks(text, cut, step, step, step), stream.Splitting{
				Delimiter: "<end>", MaxLen: 5, OnLong: func(*stream.TooLongError) { long++ },
			})
			require.Equal(t, []string{"ok", "ok"}, pieces(t, s))
			require.Equal(t, 2, long)
		}
	}
}
