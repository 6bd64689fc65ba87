package stream_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

// The cases of Node's own tests of stream.pipeline (test-stream-pipeline.js,
// Node 20), as far as they concern more than Node's classes, on our terms.

// closing tells whether it was closed, as a source or sink with a resource.
type closing struct {
	bytes.Buffer
	after  int // how many writes succeed; 0: all
	closed int
	writes int
}

var errSink = errors.New("sink")

func (c *closing) Write(p []byte) (int, error) {
	if c.writes++; c.after > 0 && c.writes > c.after {
		return 0, errSink
	}
	return c.Buffer.Write(p)
}

func (c *closing) Close() error { c.closed++; return nil }

// source is a Stream with a resource that is open while it runs.
type source struct{ opened, closed, gave int }

func (r *source) stream(chunks int, then error) stream.Stream[[]byte] {
	return func(ctx context.Context, emit func([]byte) error) error {
		r.opened++
		defer func() { r.closed++ }()
		for range chunks {
			if err := ctx.Err(); err != nil {
				return err
			}
			r.gave++
			if err := emit([]byte("chunk;")); err != nil {
				return err
			}
		}
		return then
	}
}

func (r *source) requireClosed(t *testing.T) {
	t.Helper()
	require.Equal(t, r.opened, r.closed)
}

func TestPipelineDataThenEnd(t *testing.T) {
	var src source
	sink := &closing{}
	n, err := stream.WriteTo(t.Context(), src.stream(3, nil), sink)
	require.NoError(t, err)
	require.EqualValues(t, 18, n)
	require.Equal(t, "chunk;chunk;chunk;", sink.String())
	src.requireClosed(t)
	require.Zero(t, sink.closed, "the sink's owner closes it")
}

func TestPipelineSourceFails(t *testing.T) {
	var src source
	sink := &closing{}
	n, err := stream.WriteTo(t.Context(), src.stream(1, errTest), sink)
	require.Equal(t, errTest, err)
	require.EqualValues(t, 6, n)
	src.requireClosed(t)
}

func TestPipelineTransformFailsAndEveryStageEnds(t *testing.T) {
	noneLeft(t)
	var src source
	var transforms [3]closing
	s := src.stream(1<<30, nil)
	for i := range transforms {
		s = stream.Through(s, transforms[i].into)
		if i == 1 {
			s = stream.MapErr(s, func(_ context.Context, p []byte) ([]byte, error) {
				if src.gave == 10 {
					return nil, errTest
				}
				return p, nil
			})
		}
	}
	require.Equal(t, errTest, s.Run(t.Context(), nil))
	require.Equal(t, 10, src.gave)
	src.requireClosed(t)
	for i := range transforms {
		require.Equal(t, 1, transforms[i].closed)
	}
}

// into makes c a transform that passes on what is written.
func (c *closing) into(w io.Writer) (io.WriteCloser, error) { return &through{c, w}, nil }

type through struct {
	c *closing
	w io.Writer
}

func (t *through) Write(p []byte) (int, error) { return t.w.Write(p) }
func (t *through) Close() error                { t.c.closed++; return nil }

func TestPipelineSinkFailsBehindSevenTransforms(t *testing.T) {
	var src source
	var transforms [7]closing
	s := src.stream(1<<30, nil)
	for i := range transforms {
		s = stream.Through(s, transforms[i].into)
	}
	sink := &closing{after: 10}
	_, err := stream.WriteTo(t.Context(), s, sink)
	require.Equal(t, errSink, err)
	require.Equal(t, 11, src.gave)
	src.requireClosed(t)
	for i := range transforms {
		require.Equal(t, 1, transforms[i].closed)
	}
}

func TestPipelineConsumerGoneClosesTheSource(t *testing.T) {
	noneLeft(t)
	var src source
	for range src.stream(1<<30, nil).Buffer(2).All(t.Context()) {
		break
	}
	src.requireClosed(t)

	r := stream.AsReader(t.Context(), src.stream(1<<30, nil))
	_, err := io.ReadFull(r, make([]byte, 100))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close(), "once more")
	src.requireClosed(t)
	_, err = r.Read(make([]byte, 1))
	require.Equal(t, io.ErrClosedPipe, err)
	require.Equal(t, 2, src.opened)
}

func TestPipelineAbortBeforeTheStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var src source
	require.Equal(t, context.Canceled, src.stream(1, nil).Run(ctx, nil))
	require.Zero(t, src.opened)
}

func TestPipelineAbortBetweenItems(t *testing.T) {
	var src source
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := src.stream(1<<30, nil).Run(ctx, func([]byte) error {
		if calls++; calls == 3 {
			cancel()
		}
		return nil
	})
	require.Equal(t, context.Canceled, err)
	require.Equal(t, 3, calls)
	src.requireClosed(t)
}

func TestPipelineGeneratorSourceAndTransform(t *testing.T) {
	words := []string{"hello", "world"}
	gen := stream.Generate(func(context.Context) (string, error) {
		if len(words) == 0 {
			return "", io.EOF
		}
		word := words[0]
		words = words[1:]
		return word, nil
	})
	upper := stream.FlatMap(gen, func(word string) stream.Stream[string] {
		return stream.Of(strings.ToUpper(word), " ")
	})
	got, err := stream.Reduce(t.Context(), upper, "", func(all, s string) string { return all + s })
	require.NoError(t, err)
	require.Equal(t, "HELLO WORLD ", got)

	failing := stream.Generate(func(context.Context) (string, error) { return "", errTest })
	require.Equal(t, errTest, failing.Run(t.Context(), nil))
	wrapped := stream.Generate(func(context.Context) (int, error) { return 0, errors.Join(io.EOF, errTest) })
	require.ErrorIs(t, wrapped.Run(t.Context(), nil), errTest, "only io.EOF itself is the end")
}

func TestPipelineOfBytesAndObjectsGzipped(t *testing.T) {
	noneLeft(t)
	text := strings.Repeat("line of text\n", 10_000)
	zipped := stream.Through(inChunks(text, 10, 1000), func(w io.Writer) (*gzip.Writer, error) { return gzip.NewWriter(w), nil })
	n, err := stream.Lines(stream.Via(zipped, gzip.NewReader)).Count(t.Context())
	require.NoError(t, err)
	require.Equal(t, 10_000, n)

	line, found, err := stream.Lines(stream.Via(zipped, gzip.NewReader)).First(t.Context())
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "line of text", string(line))

	whole, err := stream.Bytes(t.Context(), zipped, 1<<20)
	require.NoError(t, err)
	for _, cut := range []int{0, 5, len(whole) / 2, len(whole) - 1} {
		_, err = stream.Via(inChunks(string(whole[:cut])), gzip.NewReader).Count(t.Context())
		require.Error(t, err, "cut at %d", cut)
	}
}

func TestThroughGivesCutOffDataNoEnding(t *testing.T) {
	failing := stream.Concat(inChunks("some text"), stream.Fail[[]byte](errTest))
	zipped := stream.Through(failing, func(w io.Writer) (*gzip.Writer, error) { return gzip.NewWriter(w), nil })
	var got bytes.Buffer
	_, err := stream.WriteTo(t.Context(), zipped, &got)
	require.Equal(t, errTest, err)
	r, err := gzip.NewReader(&got)
	if err == nil {
		_, err = io.ReadAll(r)
	}
	require.Error(t, err, "what came out is not a whole file")
}

func TestViaAndThroughReportTheFirstCause(t *testing.T) {
	_, err := stream.Via(stream.Fail[[]byte](errTest), func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }).Count(t.Context())
	require.Equal(t, errTest, err)
	_, err = stream.Via(inChunks("x"), func(io.Reader) (io.Reader, error) { return nil, errTest }).Count(t.Context())
	require.Equal(t, errTest, err)
	_, err = stream.Through(inChunks("x"), func(io.Writer) (io.WriteCloser, error) { return nil, errTest }).Count(t.Context())
	require.Equal(t, errTest, err)
	// A source whose failure is io.EOF must not look like the end.
	_, err = io.ReadAll(stream.AsReader(t.Context(), stream.Concat(inChunks("x"), stream.Fail[[]byte](io.EOF))))
	require.Equal(t, io.ErrUnexpectedEOF, err)
	_, err = stream.Via(stream.Concat(inChunks("x"), stream.Fail[[]byte](io.EOF)), plainReader).Count(t.Context())
	require.Equal(t, io.EOF, err, "the error of the source as it is")
}

func TestPipelineMissingArgumentsAreErrors(t *testing.T) {
	one := stream.Of(1)
	lines := inChunks("a\n")
	for want, err := range map[string]error{
		"stream: Map: f is nil":         stream.Map[int, int](one, nil).Run(t.Context(), nil),
		"stream: MapErr: f is nil":      stream.MapErr[int, int](one, nil).Run(t.Context(), nil),
		"stream: FlatMap: f is nil":     stream.FlatMap[int, int](one, nil).Run(t.Context(), nil),
		"stream: Scan: f is nil":        stream.Scan[int](one, 0, nil).Run(t.Context(), nil),
		"stream: Zip: f is nil":         stream.Zip[int, int, int](one, one, nil).Run(t.Context(), nil),
		"stream: ParMap: f is nil":      stream.ParMap[int, int](one, stream.Parallel{Workers: 1}, nil).Run(t.Context(), nil),
		"stream: Generate: next is nil": stream.Generate[int](nil).Run(t.Context(), nil),
		"stream: Fail: err is nil":      stream.Fail[int](nil).Run(t.Context(), nil),

		"stream: Filter: keep is nil":               one.Filter(nil).Run(t.Context(), nil),
		"stream: TakeWhile: wanted is nil":          one.TakeWhile(nil).Run(t.Context(), nil),
		"stream: SkipWhile: unwanted is nil":        one.SkipWhile(nil).Run(t.Context(), nil),
		"stream: Tap: f is nil":                     one.Tap(nil).Run(t.Context(), nil),
		"stream: Recover: f is nil":                 one.Recover(nil).Run(t.Context(), nil),
		"stream: Metered: m is nil":                 one.Metered(nil).Run(t.Context(), nil),
		"stream: Progress: f is nil":                one.Progress(1, nil).Run(t.Context(), nil),
		"stream: Progress: every is 0s, want > 0":   one.Progress(0, func(stream.Progress) {}).Run(t.Context(), nil),
		"stream: Timeout: idle is -1ns, want > 0":   one.Timeout(-1).Run(t.Context(), nil),
		"stream: Buffer: n is 0, want ≥ 1":          one.Buffer(0).Run(t.Context(), nil),
		"stream: Throttle: n is 0, want ≥ 1":        one.Throttle(0, 1).Run(t.Context(), nil),
		"stream: Throttle: span is -1ns, want ≥ 0":  one.Throttle(1, -1).Run(t.Context(), nil),
		"stream: Retry: Retries.Max is 0, want ≥ 1": one.Retry(stream.Retries{}).Run(t.Context(), nil),

		"stream: Batch: n is 0, want ≥ 1":                 stream.Batch(one, 0, 0).Run(t.Context(), nil),
		"stream: Batch: delay is -1ns, want ≥ 0":          stream.Batch(one, 1, -1).Run(t.Context(), nil),
		"stream: BatchBy: weigh is nil":                   stream.BatchBy(one, 1, 1, nil, 0).Run(t.Context(), nil),
		"stream: BatchBy: weight is 0, want ≥ 1":          stream.BatchBy(one, 1, 0, func(int) int { return 1 }, 0).Run(t.Context(), nil),
		"stream: Window: size is 0, want ≥ 1":             stream.Window(one, 0, 1).Run(t.Context(), nil),
		"stream: Window: step is -1, want ≥ 1":            stream.Window(one, 1, -1).Run(t.Context(), nil),
		"stream: DistinctBy: n is 0, want ≥ 1":            stream.Distinct(one, 0).Run(t.Context(), nil),
		"stream: DistinctBy: key is nil":                  stream.DistinctBy[int, int](one, 1, nil).Run(t.Context(), nil),
		"stream: GroupBy: size is 0, want ≥ 1":            stream.GroupBy(one, 0, 1, func(v int) int { return v }).Run(t.Context(), nil),
		"stream: GroupBy: keys is 0, want ≥ 1":            stream.GroupBy(one, 1, 0, func(v int) int { return v }).Run(t.Context(), nil),
		"stream: GroupBy: key is nil":                     stream.GroupBy[int, int](one, 1, 1, nil).Run(t.Context(), nil),
		"stream: ParMap: Parallel.Workers is 0, want ≥ 1": stream.ParMap(one, stream.Parallel{}, same).Run(t.Context(), nil),
		"stream: ParMap: Parallel.Window is 2, want ≥ 3":  stream.ParMap(one, stream.Parallel{Workers: 3, Window: 2}, same).Run(t.Context(), nil),

		"stream: Split: Splitting.MaxLen is -1, want ≥ 0":                                            stream.Split(lines, stream.Splitting{MaxLen: -1}).Run(t.Context(), nil),
		"stream: Split: Splitting.KeepDelimiter and TrimCR are both set, want one":                   stream.Split(lines, stream.Splitting{KeepDelimiter: true, TrimCR: true}).Run(t.Context(), nil),
		"stream: CSV: CSVFormat.MaxLen is -1, want ≥ 0":                                              stream.CSV(lines, stream.CSVFormat{MaxLen: -1}).Run(t.Context(), nil),
		"stream: CSV: CSVFormat.Fields is -2, want ≥ -1":                                             stream.CSV(lines, stream.CSVFormat{Fields: -2}).Run(t.Context(), nil),
		"stream: CSV: CSVFormat.Comma is '\"', want a byte of ASCII that is no quote or line end":    stream.CSV(lines, stream.CSVFormat{Comma: '"'}).Run(t.Context(), nil),
		"stream: CSV: CSVFormat.Comment is '\\n', want a byte of ASCII that is no quote or line end": stream.CSV(lines, stream.CSVFormat{Comment: '\n'}).Run(t.Context(), nil),
		"stream: CSV: CSVFormat.Comma and Comment are both ',', want different ones":                 stream.CSV(lines, stream.CSVFormat{Comment: ','}).Run(t.Context(), nil),
		"stream: Through: wrap is nil":                                                               stream.Through[io.WriteCloser](lines, nil).Run(t.Context(), nil),
		"stream: Via: wrap is nil":                                                                   stream.Via[io.Reader](lines, nil).Run(t.Context(), nil),

		"stream: Tee: consumer 0 is nil":               stream.Tee(t.Context(), one, nil),
		"stream: Partition: pick is nil":               stream.Partition(t.Context(), one, nil),
		"stream: Partition: pick returned 7, want < 0": stream.Partition(t.Context(), one, func(int) int { return 7 }),
	} {
		require.EqualError(t, err, want)
	}
	_, err := stream.Reduce[int](t.Context(), one, 0, nil)
	require.EqualError(t, err, "stream: Reduce: f is nil")
	_, err = stream.WriteTo(t.Context(), lines, nil)
	require.EqualError(t, err, "stream: WriteTo: w is nil")
}
