package stream_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bedplate/bedplate/stream"
)

// inFolder runs f in a folder that has some files.
func inFolder(f func() error) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	here, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	if err := os.Chdir(dir); err != nil {
		panic(err)
	}
	defer func() { _ = os.Chdir(here) }()
	for name, text := range map[string]string{
		"access.log": "GET / 200 1ms\nGET /x 500 3ms\nGET /y 200 1ms\n",
		"users.csv":  "ada,1815\ngrace,1906\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			panic(err)
		}
	}
	if err := f(); err != nil {
		fmt.Println("failed:", err)
	}
}

func Example() {
	ctx := context.Background()
	inFolder(func() error {
		lines := stream.Lines(stream.File("access.log"))
		errors := lines.Filter(func(line []byte) bool { return bytes.Contains(line, []byte(" 500 ")) })
		n, err := errors.Count(ctx)
		fmt.Println(n, err)
		return nil
	})
	// Output: 1 <nil>
}

func Example_parallel() {
	ctx := context.Background()
	ids := stream.Range(1, 6)
	fetch := func(_ context.Context, id int) (string, error) { return fmt.Sprint("user ", id), nil }
	insert := func(users []string) error {
		fmt.Println(strings.Join(users, ", "))
		return nil
	}
	func() {
		users := stream.ParMap(ids, stream.Parallel{Workers: 8}, fetch)
		err := stream.Batch(users, 500, time.Second).Run(ctx, insert)
		fmt.Println(err)
	}()
	// Output:
	// user 1, user 2, user 3, user 4, user 5
	// <nil>
}

func ExampleStream_All() {
	ctx := context.Background()
	inFolder(func() error {
		for record, err := range stream.CSV(stream.File("users.csv"), stream.CSVFormat{}).All(ctx) {
			if err != nil {
				return err
			}
			fmt.Println(record[0])
		}
		return nil
	})
	// Output:
	// ada
	// grace
}

func ExampleToFile() {
	ctx := context.Background()
	r := strings.NewReader("to be kept\n")
	inFolder(func() error {
		zip := func(w io.Writer) (*gzip.Writer, error) { return gzip.NewWriter(w), nil }
		n, err := stream.ToFile(ctx, stream.Through(stream.Reader(r), zip), "out.gz")
		fmt.Println(n > 0, err)

		text, err := stream.String(ctx, stream.Via(stream.File("out.gz"), gzip.NewReader), 1<<20)
		fmt.Print(text)
		return err
	})
	// Output:
	// true <nil>
	// to be kept
}

func twice(s stream.Stream[int]) stream.Stream[int] {
	return func(ctx context.Context, emit func(int) error) error {
		return s(ctx, func(v int) error {
			if err := emit(v); err != nil {
				return err
			}
			return emit(v)
		})
	}
}

func ExampleStream() {
	got, err := twice(stream.Of(1, 2)).Collect(context.Background())
	fmt.Println(got, err)
	// Output: [1 1 2 2] <nil>
}

func show[T any](s stream.Stream[T]) {
	got, err := s.Collect(context.Background())
	if err != nil {
		fmt.Println(got, err)
		return
	}
	fmt.Println(got)
}

func Example_sources() {
	ch := make(chan string, 2)
	ch <- "a"
	ch <- "b"
	close(ch)
	show(stream.Chan(ch))
	show(stream.From(slices.Values([]int{1, 2})))
	show(stream.From2(stream.Of(3, 4).All(context.Background())))
	page := 0
	show(stream.Generate(func(context.Context) (int, error) {
		if page++; page > 3 {
			return 0, io.EOF
		}
		return page, nil
	}))
	show(stream.Fail[int](errors.New("nothing there")))
	// Output:
	// [a b]
	// [1 2]
	// [3 4]
	// [1 2 3]
	// [] nothing there
}

func Example_stages() {
	n := stream.Range(0, 10)
	show(stream.Map(n, func(v int) int { return v * v }).Skip(1).Take(4))
	show(stream.MapErr(stream.Of("1", "x"), func(_ context.Context, s string) (int, error) {
		var v int
		_, err := fmt.Sscan(s, &v)
		return v, err
	}))
	show(stream.FlatMap(n.Take(4), func(v int) stream.Stream[int] { return stream.Range(0, v) }))
	show(stream.Scan(n, 0, func(sum, v int) int { return sum + v }).TakeWhile(func(v int) bool { return v < 20 }))
	show(n.SkipWhile(func(v int) bool { return v < 8 }))
	show(stream.Window(n, 3, 3))
	show(stream.Distinct(stream.Of(1, 2, 1, 3), 100))
	show(stream.DistinctBy(stream.Of("a", "A", "b"), 100, strings.ToLower))
	show(stream.Concat(stream.Of(1), stream.Of(2)))
	show(stream.Zip(n, stream.Of("a", "b"), func(v int, s string) string { return fmt.Sprint(s, v) }))
	// Output:
	// [1 4 9 16]
	// [1] expected integer
	// [0 0 1 0 1 2]
	// [0 1 3 6 10 15]
	// [8 9]
	// [[0 1 2] [3 4 5] [6 7 8]]
	// [1 2 3]
	// [a b]
	// [1 2]
	// [a0 b1]
}

func ExampleGroupBy() {
	words := stream.Of("apple", "bee", "ant", "bat", "cow")
	groups := stream.GroupBy(words, 100, 1000, func(s string) string { return s[:1] })
	show(stream.Map(groups, func(g stream.Group[string, string]) string { return fmt.Sprint(g.Key, len(g.Items)) }))
	// Output: [a2 b2 c1]
}

func ExampleBatchBy() {
	lines := stream.Lines(stream.Reader(strings.NewReader("one\ntwo\nthree\nfour\n")))
	size := func(line []byte) int { return len(line) }
	// At most a thousand lines, and at most 8 bytes, and no line waits longer than a second.
	batches := stream.BatchBy(lines, 1000, 8, size, time.Second)
	show(stream.Map(batches, func(b [][]byte) string { return string(bytes.Join(b, []byte("+"))) }))
	// Output: [one+two three four]
}

func ExampleSplit() {
	chunks := stream.Of([]byte("a;b"), []byte("b;;too long;c"))
	parts := stream.Split(chunks, stream.Splitting{
		Delimiter: ";", MaxLen: 5, SkipEmpty: true,
		OnLong: func(e *stream.TooLongError) { fmt.Println(e) },
	})
	show(stream.Map(parts, func(p []byte) string { return string(p) }))
	// Output:
	// stream: piece 4 at byte 6 is longer than 5 bytes
	// [a bb c]
}

func ExampleRecords() {
	text := stream.Reader(strings.NewReader("1,\"two\nlines\"\n2,one\n"))
	show(stream.Map(stream.Records(text, stream.CSVFormat{}), func(record []byte) string { return fmt.Sprintf("%q", record) }))
	// Output: ["1,\"two\nlines\"" "2,one"]
}

func ExampleMerge() {
	s := stream.Merge(stream.Of(1), stream.Of(2)).Buffer(16)
	sum, err := stream.Reduce(context.Background(), s, 0, func(sum, v int) int { return sum + v })
	fmt.Println(sum, err)
	// Output: 3 <nil>
}

func ExampleTee() {
	ctx := context.Background()
	lines := stream.Lines(stream.Reader(strings.NewReader("a\nbb\nccc\n")))
	var n int
	var first string
	err := stream.Tee(ctx, lines,
		func(ctx context.Context, s stream.Stream[[]byte]) (err error) {
			n, err = s.Count(ctx)
			return err
		},
		func(ctx context.Context, s stream.Stream[[]byte]) error {
			line, _, err := s.First(ctx)
			first = string(line)
			return err
		})
	fmt.Println(n, first, err)
	// Output: 3 a <nil>
}

func ExamplePartition() {
	ctx := context.Background()
	sums := make([]int, 2)
	add := func(i int) func(context.Context, stream.Stream[int]) error {
		return func(ctx context.Context, s stream.Stream[int]) error {
			return s.Run(ctx, func(v int) error { sums[i] += v; return nil })
		}
	}
	err := stream.Partition(ctx, stream.Range(0, 10), func(v int) int { return v % 2 }, add(0), add(1))
	fmt.Println(sums, err)
	// Output: [20 25] <nil>
}

func ExampleStream_Retry() {
	runs := 0
	flaky := stream.Stream[int](func(ctx context.Context, emit func(int) error) error {
		if runs++; runs < 3 {
			return errors.New("connection reset")
		}
		return stream.Range(0, 3)(ctx, emit)
	})
	policy := stream.Retries{Max: 5, Delay: func(n int) time.Duration { return time.Duration(n) * time.Millisecond }}
	show(flaky.Timeout(time.Minute).Retry(policy))
	show(stream.Fail[int](errors.New("down")).Recover(func(error) stream.Stream[int] { return stream.Of(42) }))
	// Output:
	// [0 1 2]
	// [42]
}

func ExampleStream_Metered() {
	var meter stream.Meter
	s := stream.Of("a", "bc").Throttle(100, time.Second).Tap(func(string) {}).Metered(&meter).
		Progress(time.Second, func(p stream.Progress) { fmt.Println(p.Items, p.Done) })
	if err := s.Run(context.Background(), nil); err != nil {
		fmt.Println(err)
	}
	fmt.Println(meter.Stats().Items, meter.Stats().Bytes)
	// Output:
	// 2 true
	// 2 3
}

func ExampleAsReader() {
	ctx := context.Background()
	r := stream.AsReader(ctx, stream.Of([]byte("any "), []byte("chunks")))
	defer r.Close()
	data, err := io.ReadAll(r)
	fmt.Println(string(data), err)

	var out strings.Builder
	n, err := stream.WriteTo(ctx, stream.Reader(strings.NewReader("text")), &out)
	fmt.Println(n, err, out.String())

	all, err := stream.Bytes(ctx, stream.Reader(strings.NewReader("text")), 3)
	fmt.Println(len(all), err)
	// Output:
	// any chunks <nil>
	// 4 <nil> text
	// 0 stream: too large
}

// Lines are counted by their first word, with errors told apart.
func Example_errors() {
	ctx := context.Background()
	counts := make(map[string]int)
	err := stream.Lines(stream.File(filepath.Join("no", "such", "file"))).Run(ctx, func(line []byte) error {
		word, _, _ := bytes.Cut(line, []byte(" "))
		counts[string(word)]++
		return nil
	})
	fmt.Println(errors.Is(err, os.ErrNotExist), len(slices.Collect(maps.Keys(counts))))

	_, err = stream.CSV(stream.Of([]byte("a,b\n\"c\n")), stream.CSVFormat{}).Count(ctx)
	fmt.Println(err)
	// Output:
	// true 0
	// stream: record 2 on line 2: stream: quoted field not closed, or text behind it
}
