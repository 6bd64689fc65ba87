package stream_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

// outcomes are pipelines with all that comes out of them.
var outcomes = []struct {
	name string
	s    stream.Stream[int]
	want []int
	err  error
}{
	{
		name: "Of nothing",
		s:    stream.Of[int](),
	},
	{
		name: "Range that is empty",
		s:    stream.Range(3, 3),
	},
	{
		name: "Range that is negative",
		s:    stream.Range(3, -3),
	},
	{
		name: "Range from below zero",
		s:    stream.Range(-2, 2),
		want: []int{-2, -1, 0, 1},
	},
	{
		name: "From an iterator",
		s:    stream.From(slices.Values([]int{1, 2, 3})),
		want: []int{1, 2, 3},
	},
	{
		name: "From an empty iterator",
		s:    stream.From(maps.Keys(map[int]int{})),
	},
	{
		name: "From2 with an error drops the value beside it",
		s: stream.From2(func(yield func(int, error) bool) {
			_ = yield(1, nil) && yield(2, errTest) && yield(3, nil)
		}),
		want: []int{1},
		err:  errTest,
	},
	{
		name: "Generate that fails after an item",
		s: stream.Generate(func() func(context.Context) (int, error) {
			n := 0
			return func(context.Context) (int, error) {
				if n++; n == 2 {
					return 2, errTest
				}
				return n, nil
			}
		}()),
		want: []int{1},
		err:  errTest,
	},
	{
		name: "Take more than there is",
		s:    stream.Range(0, 2).Take(5),
		want: []int{0, 1},
	},
	{
		name: "Take nothing does not run the source",
		s:    stream.Fail[int](errTest).Take(0),
	},
	{
		name: "Take a negative number",
		s:    stream.Fail[int](errTest).Take(-1),
	},
	{
		name: "Take all before the failure",
		s:    stream.Concat(stream.Range(0, 2), stream.Fail[int](errTest)).Take(2),
		want: []int{0, 1},
	},
	{
		name: "Take one more than there is before the failure",
		s:    stream.Concat(stream.Range(0, 2), stream.Fail[int](errTest)).Take(3),
		want: []int{0, 1},
		err:  errTest,
	},
	{
		name: "Take of Take is the smaller",
		s:    stream.Range(0, 10).Take(5).Take(3).Take(4),
		want: []int{0, 1, 2},
	},
	{
		name: "TakeWhile stops for good",
		s:    stream.Of(1, 2, 9, 1).TakeWhile(func(v int) bool { return v < 5 }),
		want: []int{1, 2},
	},
	{
		name: "Skip a negative number",
		s:    stream.Range(0, 2).Skip(-1),
		want: []int{0, 1},
	},
	{
		name: "Skip more than there is",
		s:    stream.Range(0, 2).Skip(3),
	},
	{
		name: "SkipWhile begins for good",
		s:    stream.Of(1, 9, 1).SkipWhile(func(v int) bool { return v < 5 }),
		want: []int{9, 1},
	},
	{
		name: "FlatMap of nothing",
		s:    stream.FlatMap(stream.Range(0, 3), func(int) stream.Stream[int] { return nil }),
	},
	{
		name: "FlatMap that fails",
		s: stream.FlatMap(stream.Range(0, 3), func(v int) stream.Stream[int] {
			if v == 1 {
				return stream.Fail[int](errTest)
			}
			return stream.Of(v, v)
		}),
		want: []int{0, 0},
		err:  errTest,
	},
	{
		name: "Take inside FlatMap stops the inner stream alone",
		s: stream.FlatMap(stream.Range(0, 3), func(v int) stream.Stream[int] {
			return stream.Range(v*10, v*10+5).Take(2)
		}),
		want: []int{0, 1, 10, 11, 20, 21},
	},
	{
		name: "Take around FlatMap stops both",
		s: stream.FlatMap(stream.Range(0, 3), func(v int) stream.Stream[int] {
			return stream.Range(v*10, v*10+5).Take(2)
		}).Take(3),
		want: []int{0, 1, 10},
	},
	{
		name: "Concat stops at the first failure",
		s:    stream.Concat(stream.Of(1), stream.Fail[int](errTest), stream.Of(2)),
		want: []int{1},
		err:  errTest,
	},
	{
		name: "Concat of none",
		s:    stream.Concat[int](),
	},
	{
		name: "Zip ends with the first",
		s:    stream.Zip(stream.Range(0, 2), stream.Range(10, 20), func(a, b int) int { return a + b }),
		want: []int{10, 12},
	},
	{
		name: "Zip ends with the second",
		s:    stream.Zip(stream.Range(0, 20), stream.Range(10, 12), func(a, b int) int { return a + b }),
		want: []int{10, 12},
	},
	{
		name: "Zip fails with the first",
		s: stream.Zip(stream.Concat(stream.Of(1), stream.Fail[int](errTest)), stream.Range(0, 9), func(a, b int) int {
			return a + b
		}),
		want: []int{1},
		err:  errTest,
	},
	{
		name: "Zip fails with the second",
		s: stream.Zip(stream.Range(0, 9), stream.Concat(stream.Of(1), stream.Fail[int](errTest)), func(a, b int) int {
			return a + b
		}),
		want: []int{1},
		err:  errTest,
	},
	{
		name: "Distinct forgets the oldest",
		s:    stream.Distinct(stream.Of(1, 2, 1, 3, 1, 2), 2),
		want: []int{1, 2, 3, 1, 2},
	},
	{
		name: "Recover goes on",
		s: stream.Concat(stream.Of(1), stream.Fail[int](errTest)).Recover(func(err error) stream.Stream[int] {
			if err == errTest {
				return stream.Of(2)
			}
			return nil
		}),
		want: []int{1, 2},
	},
	{
		name: "Recover declines",
		s:    stream.Fail[int](errTest).Recover(func(error) stream.Stream[int] { return nil }),
		err:  errTest,
	},
	{
		name: "Recover fails itself",
		s:    stream.Fail[int](errTest).Recover(func(error) stream.Stream[int] { return stream.Fail[int](errCause) }),
		err:  errCause,
	},
	{
		name: "Window is not cut short",
		s:    stream.Map(stream.Window(stream.Range(0, 5), 3, 1), func(w []int) int { return w[0]*100 + w[2] }),
		want: []int{2, 103, 204},
	},
	{
		name: "Window that leaves items out",
		s:    stream.Map(stream.Window(stream.Range(0, 9), 2, 4), func(w []int) int { return w[0]*100 + w[1] }),
		want: []int{1, 405},
	},
	{
		name: "ParMap of nothing",
		s:    stream.ParMap(stream.Of[int](), stream.Parallel{Workers: 5}, same),
	},
	{
		name: "ParMap of a failure",
		s:    stream.ParMap(stream.Fail[int](errTest), stream.Parallel{Workers: 5, Unordered: true}, same),
		err:  errTest,
	},
}

func TestStagesHaveTheirOutcome(t *testing.T) {
	for _, c := range outcomes {
		t.Run(c.name, func(t *testing.T) {
			noneLeft(t)
			got, err := c.s.Collect(t.Context())
			require.Equal(t, c.err, err)
			require.Equal(t, c.want, got)
		})
	}
}

// A Stream has no state of its own: it can be run by several goroutines.
func TestStreamIsRunByManyAtOnce(t *testing.T) {
	for name, stage := range stages {
		t.Run(name, func(t *testing.T) {
			s := stage(stream.Range(0, 50))
			var wg sync.WaitGroup
			results := make([][]int, 8)
			for i := range results {
				wg.Go(func() { results[i], _ = s.Collect(context.Background()) })
			}
			wg.Wait()
			for _, got := range results {
				require.Equal(t, upTo(50), got)
			}
		})
	}
}

// stubborn is a source that breaks the rules: it goes on when emit has failed,
// and reports success.
func stubborn(n int) stream.Stream[int] {
	return func(_ context.Context, emit func(int) error) error {
		for v := range n {
			_ = emit(v)
		}
		return nil
	}
}

func TestEarlyEndsHoldAgainstASourceThatDoesNotStop(t *testing.T) {
	for name, s := range map[string]stream.Stream[int]{
		"Take":      stubborn(10).Take(2),
		"TakeWhile": stubborn(10).TakeWhile(func(v int) bool { return v < 2 }),
		"Zip":       stream.Zip(stubborn(10), stream.Range(0, 2), func(v, _ int) int { return v }),
		"ParMap":    stream.ParMap(stubborn(10), stream.Parallel{Workers: 2}, same).Take(2),
		"Buffer":    stubborn(10).Buffer(1).Take(2),
		"Timeout":   stubborn(10).Timeout(1 << 40).Take(2),
		"Retry":     stubborn(10).Retry(stream.Retries{Max: 1}).Take(2),
	} {
		noneLeft(t)
		got, err := s.Collect(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, []int{0, 1}, got, name)
	}
	seen := 0
	for range stubborn(10).All(t.Context()) {
		seen++
		break
	}
	require.Equal(t, 1, seen)
}

// wrapping is a stage that wraps what emit returns, as a careless one does.
func wrapping(s stream.Stream[int]) stream.Stream[int] {
	return func(ctx context.Context, emit func(int) error) error {
		return s(ctx, func(v int) error {
			if err := emit(v); err != nil {
				return fmt.Errorf("item %d: %w", v, err)
			}
			return nil
		})
	}
}

func TestEarlyEndsHoldAgainstAStageThatWraps(t *testing.T) {
	got, err := wrapping(stream.Range(0, 10)).Take(2).Collect(t.Context())
	require.NoError(t, err)
	require.Equal(t, upTo(2), got)
	got, err = wrapping(wrapping(stream.Range(0, 10)).Take(5)).Take(2).Collect(t.Context())
	require.NoError(t, err)
	require.Equal(t, upTo(2), got)
}

func TestNestedRunsKeepTheirEndsApart(t *testing.T) {
	// The inner First ends inside a stage of the outer Take, with the outer
	// stream as its source's source.
	outer := stream.MapErr(stream.Range(0, 10), func(ctx context.Context, v int) (int, error) {
		w, _, err := stream.Range(v, v+5).Take(3).First(ctx)
		return w, err
	}).Take(4)
	got, err := outer.Collect(t.Context())
	require.NoError(t, err)
	require.Equal(t, upTo(4), got)
}

func TestAllYieldsTheErrorLastAndOnce(t *testing.T) {
	var items []int
	var errs []error
	for v, err := range stream.Concat(stream.Range(0, 2), stream.Fail[int](errTest)).All(t.Context()) {
		if err != nil {
			require.Zero(t, v)
			errs = append(errs, err)
			continue
		}
		items = append(items, v)
	}
	require.Equal(t, upTo(2), items)
	require.Equal(t, []error{errTest}, errs)
}

func TestAllCanBeLeftFromWithinAndByPanic(t *testing.T) {
	noneLeft(t)
	ended := false
	source := stream.Stream[int](func(ctx context.Context, emit func(int) error) error {
		defer func() { ended = true }()
		return stream.Range(0, 100)(ctx, emit)
	})
	require.PanicsWithValue(t, "boom", func() {
		for range source.Buffer(3).All(t.Context()) {
			panic("boom")
		}
	})
	require.True(t, ended)
	find := func() int {
		for v, err := range source.All(t.Context()) {
			if err != nil || v == 7 {
				return v
			}
		}
		return -1
	}
	ended = false
	require.Equal(t, 7, find())
	require.True(t, ended)
}

func TestFirstItemOfBytesIsACopy(t *testing.T) {
	line, found, err := stream.Lines(inChunks("abc\ndef\n", 2, 3, 1)).First(t.Context())
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "abc", string(line))
}

func TestWriteToReportsShortWrites(t *testing.T) {
	n, err := stream.WriteTo(t.Context(), inChunks("text"), shortWriter{})
	require.Equal(t, io.ErrShortWrite, err)
	require.EqualValues(t, 3, n)
}

type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) - 1, nil }

func TestAsReaderGivesAllBytesInAnySteps(t *testing.T) {
	noneLeft(t)
	text := strings.Repeat("0123456789", 50)
	for _, size := range []int{1, 3, 7, 1000} {
		r := stream.AsReader(t.Context(), inChunks(text, 5, 0, 1, 100, 64))
		var got []byte
		buf := make([]byte, size)
		for {
			n, err := r.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			require.Positive(t, n)
		}
		n, err := r.Read(nil)
		require.Equal(t, io.EOF, err)
		require.Zero(t, n)
		require.Equal(t, text, string(got))
	}
	r := stream.AsReader(t.Context(), inChunks("x"))
	n, err := r.Read(nil)
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, r.Close(), "before it has begun")
}
