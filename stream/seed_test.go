package stream_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

// This file holds what a naive implementation of the same utilities on Node's
// streams does wrong, each as the behaviour to have instead.

// inChunks streams text in chunks of the given lengths, the rest as one.
func inChunks(text string, lengths ...int) stream.Stream[[]byte] {
	return func(ctx context.Context, emit func([]byte) error) error {
		rest := []byte(text)
		for _, n := range append(lengths, len(text)) {
			n = min(n, len(rest))
			// Each chunk is a buffer of its own that is spoilt afterwards: an item
			// is valid until emit returns.
			chunk := bytes.Clone(rest[:n])
			rest = rest[n:]
			if err := emit(chunk); err != nil {
				return err
			}
			for i := range chunk {
				chunk[i] = 0xff
			}
		}
		return nil
	}
}

func pieces(t *testing.T, s stream.Stream[[]byte]) []string {
	t.Helper()
	got, err := stream.Map(s, func(p []byte) string { return string(p) }).Collect(t.Context())
	require.NoError(t, err)
	return got
}

func TestSeedNumberGeneratorDoublerAndLogger(t *testing.T) {
	var logs []string
	doubled := stream.Map(stream.Range(0, 10), func(v int) int { return 2 * v })
	err := doubled.Run(t.Context(), func(v int) error {
		logs = append(logs, strconv.Itoa(v))
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, strings.Fields("0 2 4 6 8 10 12 14 16 18"), logs)
}

func TestSplitKeepsARuneThatChunksCut(t *testing.T) {
	text := "a€b\nc€"
	for cut := range len(text) {
		require.Equal(t, []string{"a€b", "c€"}, pieces(t, stream.Lines(inChunks(text, cut))))
	}
	got, err := stream.String(t.Context(), inChunks("\xff€\xfe", 1, 1, 1), 10)
	require.NoError(t, err)
	require.Equal(t, "\xff€\xfe", got, "what is no UTF-8 stays as it is")
}

func TestSplitKeepsEmptyPiecesUnlessAsked(t *testing.T) {
	text := "a\n\nb\n\n"
	require.Equal(t, []string{"a", "", "b", ""}, pieces(t, stream.Split(inChunks(text), stream.Splitting{})))
	require.Equal(t, []string{"a", "b"}, pieces(t, stream.Split(inChunks(text), stream.Splitting{SkipEmpty: true})))
	require.Equal(t, []string{"a", "last"}, pieces(t, stream.Lines(inChunks("a\nlast"))), "without a delimiter")
	require.Empty(t, pieces(t, stream.Lines(inChunks(""))))
}

func TestSplitIgnoresEmptyChunks(t *testing.T) {
	require.Equal(t, []string{"abc", "d"}, pieces(t, stream.Lines(inChunks("abc\nd", 0, 1, 0, 0, 2, 0, 1, 0))))
}

func TestSplitBoundsThePieceNotTheChunk(t *testing.T) {
	for cut := range 20 {
		s := inChunks("12345\n123456\n", cut)
		_, err := stream.Split(s, stream.Splitting{MaxLen: 5}).Count(t.Context())
		require.ErrorIs(t, err, stream.ErrTooLong)
		require.Equal(t, &stream.TooLongError{Limit: 5, Offset: 6, Index: 1}, err)
		require.EqualError(t, err, "stream: piece 2 at byte 6 is longer than 5 bytes")
		require.Equal(t, []string{"12345", "123456"}, pieces(t, stream.Split(s, stream.Splitting{MaxLen: 6})))
	}
}

func TestSplitSkipsLongPiecesWhenAsked(t *testing.T) {
	text := "ok\nmuch too long\n\nok2\nand so is the last"
	for cut := range len(text) {
		for cut2 := range 5 {
			var long []stream.TooLongError
			s := stream.Split(inChunks(text, cut, cut2), stream.Splitting{
				MaxLen: 3, OnLong: func(e *stream.TooLongError) { long = append(long, *e) },
			})
			require.Equal(t, []string{"ok", "", "ok2"}, pieces(t, s))
			require.Equal(t, []stream.TooLongError{{3, 3, 1}, {3, 22, 4}}, long)
		}
	}
}

func TestSplitBoundsMemoryOfAnEndlessLine(t *testing.T) {
	endless := stream.Map(stream.Range(0, 1<<30), func(int) []byte { return bytes.Repeat([]byte("x"), 1<<10) })
	fed := 0
	s := stream.Lines(endless.Tap(func([]byte) { fed++ }))
	_, _, err := s.First(t.Context())
	require.ErrorIs(t, err, stream.ErrTooLong)
	require.Equal(t, stream.DefaultMaxLen>>10+1, fed, "the source is stopped")
}

func TestSplitOptions(t *testing.T) {
	text := "a\r\nb\n\r\r\n"
	require.Equal(t, []string{"a", "b", "\r"}, pieces(t, stream.Lines(inChunks(text))))
	require.Equal(t, []string{"a\r", "b", "\r\r"}, pieces(t, stream.Split(inChunks(text), stream.Splitting{})))
	require.Equal(t, []string{"a\r\n", "b\n", "\r\r\n"}, pieces(t, stream.Split(inChunks(text), stream.Splitting{KeepDelimiter: true})))
	for cut := range 12 {
		s := inChunks("aENDbENENDEND", cut, 1, 1)
		require.Equal(t, []string{"a", "bEN", ""}, pieces(t, stream.Split(s, stream.Splitting{Delimiter: "END"})))
		require.Equal(t, []string{"aEND", "bENEND", "END"}, pieces(t, stream.Split(s, stream.Splitting{Delimiter: "END", KeepDelimiter: true})))
	}
}

func TestStagesWorkOnItemsNotOnChunks(t *testing.T) {
	for cut := range 6 {
		numbers := stream.MapErr(stream.Lines(inChunks("12\n345\n", cut)), func(_ context.Context, line []byte) (int, error) {
			return strconv.Atoi(string(line))
		})
		got, err := numbers.Collect(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int{12, 345}, got)
	}
}

func TestBatchCountsItsDelayFromTheFirstItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Each 30 ms one item, a delay of 50 ms: a batch of two each 60 ms.
		start := time.Now()
		var at []time.Duration
		err := stream.Batch(stream.Range(0, 6).Throttle(1, 30*time.Millisecond), 100, 50*time.Millisecond).
			Run(t.Context(), func(batch []int) error {
				at = append(at, time.Since(start))
				require.LessOrEqual(t, len(batch), 2)
				return nil
			})
		require.NoError(t, err)
		require.Equal(t, []time.Duration{50e6, 110e6, 150e6}, at)
	})
}

func TestBatchFlushesThoughTheSourceIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := make(chan int, 1)
		ch <- 1
		start := time.Now()
		batch, found, err := stream.Batch(stream.Chan(ch), 10, time.Second).First(t.Context())
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, []int{1}, batch)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestBatchEmitsWhatCameBeforeAnErrorFirst(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Hour} {
		got, err := stream.Batch(stream.Concat(stream.Range(0, 5), stream.Fail[int](errTest)), 2, delay).Collect(t.Context())
		require.Equal(t, errTest, err)
		require.Equal(t, [][]int{{0, 1}, {2, 3}, {4}}, got)
	}
}

func TestRecordsKeepQuotedLineEnds(t *testing.T) {
	text := "id,text\r\n1,\"two\nlines, and a \"\"quote\"\"\"\n\n2,plain\n"
	for cut := range len(text) {
		s := inChunks(text, cut)
		require.Equal(t, []string{"id,text", "1,\"two\nlines, and a \"\"quote\"\"\"", "2,plain"}, pieces(t, stream.Records(s, stream.CSVFormat{})))
		got, err := stream.CSV(s, stream.CSVFormat{}).Collect(t.Context())
		require.NoError(t, err)
		require.Equal(t, [][]string{{"id", "text"}, {"1", "two\nlines, and a \"quote\""}, {"2", "plain"}}, got)
	}
}

func TestBytesRequiresALimit(t *testing.T) {
	s := inChunks(strings.Repeat("x", 100), 30, 30)
	for limit, want := range map[int]error{0: stream.ErrTooLarge, 99: stream.ErrTooLarge, 100: nil, stream.Unlimited: nil} {
		got, err := stream.Bytes(t.Context(), s, limit)
		require.Equal(t, want, err)
		if err == nil {
			require.Len(t, got, 100)
		} else {
			require.Nil(t, got)
		}
	}
	_, err := stream.Bytes(t.Context(), s, -2)
	require.EqualError(t, err, "stream: Bytes: limit is -2, want ≥ -1")
	got, err := stream.Bytes(t.Context(), inChunks(""), 0)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestBytesJoinsBlocks(t *testing.T) {
	want := make([]byte, 1<<20+17)
	for i := range want {
		want[i] = byte(rand.Uint32())
	}
	got, err := stream.Bytes(t.Context(), stream.Reader(iotest.HalfReader(bytes.NewReader(want))), stream.Unlimited)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
}

func TestToFileLeavesNothingBehindOnFailure(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	failing := stream.Concat(inChunks("half"), stream.Fail[[]byte](errTest))
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := inChunks("half", 1).Tap(func([]byte) { cancel() })

	for _, before := range []string{"", "old"} {
		if before != "" {
			require.NoError(t, os.WriteFile(path, []byte(before), 0o600))
		}
		for _, want := range []error{errTest, context.Canceled} {
			s := failing
			if want == context.Canceled {
				s = stream.MapErr(cancelled, func(_ context.Context, p []byte) ([]byte, error) { return p, nil })
			}
			n, err := stream.ToFile(ctx, s, path)
			require.ErrorIs(t, err, want)
			require.Zero(t, n)
			requireFiles(t, dir, before)
			if want == context.Canceled {
				ctx, cancel = context.WithCancel(t.Context())
			}
		}
		require.PanicsWithValue(t, "boom", func() {
			_, _ = stream.ToFile(ctx, inChunks("half").Tap(func([]byte) { panic("boom") }), path)
		})
		requireFiles(t, dir, before)
	}
	cancel()
}

// requireFiles checks that dir holds a file "out" with a text or, if that is
// empty, nothing.
func requireFiles(t *testing.T, dir, text string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	if text == "" {
		require.Empty(t, entries)
		return
	}
	require.Len(t, entries, 1)
	got, err := os.ReadFile(filepath.Join(dir, "out"))
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

func TestToFileReplacesAndKeepsPermissions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o640))
	require.NoError(t, os.Chmod(path, 0o640))
	n, err := stream.ToFile(t.Context(), inChunks("new text", 3), path)
	require.NoError(t, err)
	require.EqualValues(t, 8, n)
	requireFiles(t, dir, "new text")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o640, info.Mode().Perm())

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))
	_, err = stream.ToFile(t.Context(), inChunks("by link"), link)
	require.NoError(t, err)
	requireFiles(t, dir, "by link")

	_, err = stream.ToFile(t.Context(), inChunks("x"), dir)
	require.ErrorContains(t, err, "is not a regular file")
	_, err = stream.ToFile(t.Context(), inChunks("x"), filepath.Join(dir, "none", "out"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFileReportsWhatCannotBeOpened(t *testing.T) {
	_, err := stream.File(filepath.Join(t.TempDir(), "none")).Count(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)

	path := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(path, []byte("a\nb"), 0o600))
	require.Equal(t, []string{"a", "b"}, pieces(t, stream.Lines(stream.File(path))))
}

func TestReaderTakesAllKindsOfReaders(t *testing.T) {
	text := strings.Repeat("some text\n", 20_000)
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader,
		"half": iotest.HalfReader, "error with data": iotest.DataErrReader,
	} {
		got, err := stream.String(t.Context(), stream.Reader(wrap(strings.NewReader(text))), len(text))
		require.NoError(t, err, name)
		require.Equal(t, text, got, name)
	}
	n, err := stream.WriteTo(t.Context(), stream.Reader(iotest.TimeoutReader(iotest.HalfReader(strings.NewReader(text)))), io.Discard)
	require.Equal(t, iotest.ErrTimeout, err)
	require.EqualValues(t, 32<<10, n, "what came before")
	_, err = stream.Reader(neverReader{}).Count(t.Context())
	require.Equal(t, io.ErrNoProgress, err)
	_, err = stream.Reader(nil).Count(t.Context())
	require.EqualError(t, err, "stream: Reader: r is nil")
}

type neverReader struct{}

func (neverReader) Read([]byte) (int, error) { return 0, nil }

func TestReaderIsInterruptedWhereItCanBe(t *testing.T) {
	noneLeft(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer w.Close()
	defer r.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err = w.WriteString("first")
	require.NoError(t, err)
	err = stream.Reader(r).Run(ctx, func(p []byte) error {
		require.Equal(t, "first", string(p))
		time.AfterFunc(time.Millisecond, func() { cancel(errCause) })
		return nil
	})
	require.ErrorIs(t, err, errCause)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}
