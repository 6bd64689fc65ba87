package stream_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

var (
	errCause = errors.New("cause")
	errTest  = errors.New("test")
)

type intStream = stream.Stream[int]

// stages are the ways in which items pass a stage one to one.
var stages = map[string]func(intStream) intStream{
	"none":   func(s intStream) intStream { return s },
	"Map":    func(s intStream) intStream { return stream.Map(s, func(v int) int { return v }) },
	"MapErr": func(s intStream) intStream { return stream.MapErr(s, same) },
	"FlatMap": func(s intStream) intStream {
		return stream.FlatMap(s, func(v int) intStream { return stream.Of(v) })
	},
	"Scan":      func(s intStream) intStream { return stream.Scan(s, 0, func(_, v int) int { return v }) },
	"Distinct":  func(s intStream) intStream { return stream.Distinct(s, 1000) },
	"Filter":    func(s intStream) intStream { return s.Filter(func(int) bool { return true }) },
	"Take":      func(s intStream) intStream { return s.Take(1 << 30) },
	"TakeWhile": func(s intStream) intStream { return s.TakeWhile(func(int) bool { return true }) },
	"Skip":      func(s intStream) intStream { return s.Skip(0) },
	"SkipWhile": func(s intStream) intStream { return s.SkipWhile(func(int) bool { return false }) },
	"Tap":       func(s intStream) intStream { return s.Tap(func(int) {}) },
	"Buffer":    func(s intStream) intStream { return s.Buffer(2) },
	"Merge":     func(s intStream) intStream { return stream.Merge(s) },
	"Concat":    func(s intStream) intStream { return stream.Concat(s, stream.Of[int]()) },
	"Zip": func(s intStream) intStream {
		return stream.Zip(stream.Range(0, 1<<30), s, func(_, v int) int { return v })
	},
	"ZipFirst": func(s intStream) intStream {
		return stream.Zip(s, stream.Range(0, 1<<30), func(v, _ int) int { return v })
	},
	"Window":     func(s intStream) intStream { return flat(stream.Window(s, 1, 1)) },
	"Batch":      func(s intStream) intStream { return flat(stream.Batch(s, 1, 0)) },
	"BatchTimed": func(s intStream) intStream { return flat(stream.Batch(s, 3, time.Nanosecond)) },
	"BatchBy": func(s intStream) intStream {
		return flat(stream.BatchBy(s, 1, 10, func(int) int { return 1 }, 0))
	},
	"GroupBy": func(s intStream) intStream {
		return stream.FlatMap(stream.GroupBy(s, 1, 1, func(v int) int { return v }), func(g stream.Group[int, int]) intStream {
			return stream.Of(g.Items...)
		})
	},
	"ParMap": func(s intStream) intStream { return stream.ParMap(s, stream.Parallel{Workers: 3}, same) },
	"ParMapUnordered": func(s intStream) intStream {
		return stream.ParMap(s, stream.Parallel{Workers: 1, Unordered: true}, same)
	},
	"Throttle": func(s intStream) intStream { return s.Throttle(1000, time.Nanosecond) },
	"Timeout":  func(s intStream) intStream { return s.Timeout(time.Hour) },
	"Retry": func(s intStream) intStream {
		return s.Retry(stream.Retries{Max: 1, If: func(error) bool { return false }})
	},
	"Recover":  func(s intStream) intStream { return s.Recover(func(error) intStream { return nil }) },
	"Metered":  func(s intStream) intStream { return s.Metered(new(stream.Meter)) },
	"Progress": func(s intStream) intStream { return s.Progress(time.Hour, func(stream.Progress) {}) },
	"Reader":   viaBytes(func(s stream.Stream[[]byte]) stream.Stream[[]byte] { return s }),
	"Lines":    viaBytes(stream.Lines),
	"Records": viaBytes(func(s stream.Stream[[]byte]) stream.Stream[[]byte] {
		return stream.Records(s, stream.CSVFormat{})
	}),
	"Through": viaBytes(func(s stream.Stream[[]byte]) stream.Stream[[]byte] {
		return stream.Lines(stream.Through(s, plainWriter))
	}),
	"Via": viaBytes(func(s stream.Stream[[]byte]) stream.Stream[[]byte] {
		return stream.Lines(stream.Via(s, plainReader))
	}),
}

func same(_ context.Context, v int) (int, error) { return v, nil }

func flat(s stream.Stream[[]int]) intStream {
	return stream.FlatMap(s, func(items []int) intStream { return stream.Of(items...) })
}

// viaBytes makes a stage of one that takes lines: an item n is n+1 bytes.
func viaBytes(stage func(stream.Stream[[]byte]) stream.Stream[[]byte]) func(intStream) intStream {
	return func(s intStream) intStream {
		lines := stage(stream.Map(s, func(v int) []byte {
			line := slices.Repeat([]byte("x"), v+2)
			line[v+1] = '\n'
			return line
		}))
		return stream.Map(lines, func(line []byte) int {
			if line[len(line)-1] == '\n' {
				line = line[:len(line)-1]
			}
			return len(line) - 1
		})
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func plainWriter(w io.Writer) (nopCloser, error) { return nopCloser{w}, nil }
func plainReader(r io.Reader) (io.Reader, error) { return r, nil }

// stuck gives n items and then waits for ctx.
func stuck(n int) intStream {
	return func(ctx context.Context, emit func(int) error) error {
		if err := stream.Range(0, n)(ctx, emit); err != nil {
			return err
		}
		<-ctx.Done()
		return stream.Of(0)(ctx, emit) // fails with the error of ctx
	}
}

// sinks are the ways to run a stream.
var sinks = map[string]func(context.Context, intStream) error{
	"Run":     func(ctx context.Context, s intStream) error { return s.Run(ctx, nil) },
	"Collect": func(ctx context.Context, s intStream) error { _, err := s.Collect(ctx); return err },
	"Count":   func(ctx context.Context, s intStream) error { _, err := s.Count(ctx); return err },
	"First": func(ctx context.Context, s intStream) error {
		_, _, err := s.Filter(func(int) bool { return false }).First(ctx)
		return err
	},
	"Reduce": func(ctx context.Context, s intStream) error {
		_, err := stream.Reduce(ctx, s, 0, func(a, b int) int { return a + b })
		return err
	},
	"All": func(ctx context.Context, s intStream) error {
		for _, err := range s.All(ctx) {
			if err != nil {
				return err
			}
		}
		return nil
	},
	"Bytes": func(ctx context.Context, s intStream) error {
		_, err := stream.Bytes(ctx, asBytes(s), stream.Unlimited)
		return err
	},
	"String": func(ctx context.Context, s intStream) error {
		_, err := stream.String(ctx, asBytes(s), 1<<20)
		return err
	},
	"WriteTo": func(ctx context.Context, s intStream) error {
		_, err := stream.WriteTo(ctx, asBytes(s), io.Discard)
		return err
	},
	"AsReader": func(ctx context.Context, s intStream) error {
		r := stream.AsReader(ctx, asBytes(s))
		defer r.Close()
		_, err := io.Copy(io.Discard, r)
		return err
	},
	"Tee": func(ctx context.Context, s intStream) error {
		drain := func(ctx context.Context, s intStream) error { return s.Run(ctx, nil) }
		return stream.Tee(ctx, s, drain, drain)
	},
	"Partition": func(ctx context.Context, s intStream) error {
		drain := func(ctx context.Context, s intStream) error { return s.Run(ctx, nil) }
		return stream.Partition(ctx, s, func(v int) int { return v % 2 }, drain, drain)
	},
}

func asBytes(s intStream) stream.Stream[[]byte] {
	return stream.Map(s, func(v int) []byte { return []byte{byte(v)} })
}

// withFile adds ToFile, which needs a folder, to sinks.
func withFile(t *testing.T) map[string]func(context.Context, intStream) error {
	all := maps.Clone(sinks)
	all["ToFile"] = func(ctx context.Context, s intStream) error {
		_, err := stream.ToFile(ctx, asBytes(s), filepath.Join(t.TempDir(), "out"))
		return err
	}
	return all
}

// Done before the call: an error, the source is not run and no file made.
func TestContractDoneBeforeCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	source := intStream(func(context.Context, func(int) error) error {
		t.Error("run")
		return nil
	})
	for name, run := range withFile(t) {
		require.Equal(t, context.Canceled, run(ctx, source), name)
	}
	for name, s := range map[string]intStream{
		"Of": stream.Of(1), "Range": stream.Range(0, 1), "From": stream.From(slices.Values([]int{1})),
		"From2": stream.From2(stream.Of(1).All(t.Context())), "Chan": stream.Chan(make(chan int)),
		"Generate": stream.Generate(func(context.Context) (int, error) { return 0, errTest }),
	} {
		err := s(ctx, func(int) error { t.Error("emitted"); return nil })
		require.Equal(t, context.Canceled, err, name)
	}
}

// Done while waiting: every stage and every sink returns at once, and leaves
// no goroutine.
func TestContractDoneWhileWaiting(t *testing.T) {
	check := func(t *testing.T, run func(context.Context) error) {
		t.Helper()
		noneLeft(t)
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var err error
			go func() { err = run(ctx) }()
			synctest.Wait()
			start := time.Now()
			cancel()
			synctest.Wait()
			require.Equal(t, context.Canceled, err)
			require.Zero(t, time.Since(start))
		})
	}
	for name, stage := range stages {
		t.Run("stage="+name, func(t *testing.T) {
			check(t, func(ctx context.Context) error { return stage(stuck(3)).Run(ctx, nil) })
		})
	}
	for name, run := range withFile(t) {
		t.Run("sink="+name, func(t *testing.T) {
			check(t, func(ctx context.Context) error { return run(ctx, stuck(3)) })
		})
	}
	t.Run("source=Chan", func(t *testing.T) {
		check(t, func(ctx context.Context) error { return stream.Chan(make(chan int)).Run(ctx, nil) })
	})
	t.Run("stage=Throttle", func(t *testing.T) {
		check(t, func(ctx context.Context) error { return stream.Range(0, 2).Throttle(1, time.Hour).Run(ctx, nil) })
	})
	t.Run("stage=Retry", func(t *testing.T) {
		noneLeft(t)
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			s := stream.Fail[int](errTest).Retry(stream.Retries{Max: 1, Delay: func(int) time.Duration { return time.Hour }})
			err := s.Run(ctx, nil)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, errTest, "what came before")
		})
	})
}

// The error matches ctx.Err() and context.Cause(ctx), before and while waiting.
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	check := func(t *testing.T, run func(context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errCause) })
		for range 2 {
			err := run(ctx)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, errCause)
		}
		late, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		require.Equal(t, context.DeadlineExceeded, run(late))
	}
	for name, stage := range stages {
		t.Run("stage="+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				check(t, func(ctx context.Context) error { return stage(stuck(1)).Run(ctx, nil) })
			})
		})
	}
	for name, run := range withFile(t) {
		t.Run("sink="+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				check(t, func(ctx context.Context) error { return run(ctx, stuck(1)) })
			})
		})
	}
}

type ctxKey struct{}

// The ctx that a source and a function get derives from the caller's.
func TestContractFnContextDerives(t *testing.T) {
	ctx := context.WithValue(t.Context(), ctxKey{}, "value")
	for name, stage := range stages {
		s := stage(func(ctx context.Context, emit func(int) error) error {
			require.Equal(t, "value", ctx.Value(ctxKey{}), name)
			return emit(1)
		})
		got, err := s.Collect(ctx)
		require.NoError(t, err, name)
		require.Equal(t, []int{1}, got, name)
	}
	seen := func(ctx context.Context, v int) (int, error) {
		if ctx.Value(ctxKey{}) != "value" {
			return 0, errTest
		}
		return v, nil
	}
	require.NoError(t, stream.MapErr(stream.Of(1), seen).Run(ctx, nil))
	require.NoError(t, stream.ParMap(stream.Of(1), stream.Parallel{Workers: 1}, seen).Run(ctx, nil))
	require.NoError(t, stream.Generate(func(ctx context.Context) (int, error) {
		if _, err := seen(ctx, 0); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}).Run(ctx, nil))
	require.NoError(t, stream.Tee(ctx, stream.Of(1), func(ctx context.Context, s intStream) error {
		_, err := seen(ctx, 0)
		return err
	}))
}

// Cancelling one run leaves another of the same Stream alone.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	for name, stage := range stages {
		t.Run(name, func(t *testing.T) {
			s := stage(stream.Range(0, 100))
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				_ = s.Run(ctx, func(int) error { cancel(); return nil })
			})
			got, err := s.Collect(t.Context())
			wg.Wait()
			require.NoError(t, err)
			require.Len(t, got, 100)
		})
	}
}

// An error of the source and one of the sink come back as they are, through
// every stage, and stop the rest.
func TestContractFnErrorUnwrapped(t *testing.T) {
	for name, stage := range stages {
		t.Run(name, func(t *testing.T) {
			noneLeft(t)
			source := stream.Concat(stream.Range(0, 5), stream.Fail[int](errTest))
			got, err := stage(source).Collect(t.Context())
			require.Equal(t, errTest, err)
			require.Equal(t, []int{0, 1, 2, 3, 4}, got, "what came before")

			calls := 0
			err = stage(stream.Range(0, 1<<30)).Run(t.Context(), func(v int) error {
				if calls++; v == 3 {
					return errTest
				}
				return nil
			})
			require.Equal(t, errTest, err)
			require.Equal(t, 4, calls)
		})
	}
	for name, run := range withFile(t) {
		require.Equal(t, errTest, run(t.Context(), stream.Concat(stream.Range(0, 5), stream.Fail[int](errTest))), name)
	}
}

// A panic and a Goexit, in the source or in the sink, pass through every
// stage to the runner, and leave no goroutine.
func TestContractPanicAndGoexit(t *testing.T) {
	fail := func(how string) {
		if how == "panic" {
			panic("boom")
		}
		runtime.Goexit()
	}
	for name, stage := range stages {
		for _, how := range []string{"panic", "Goexit"} {
			for _, where := range []string{"source", "sink"} {
				t.Run(name+"/"+how+"/"+where, func(t *testing.T) {
					noneLeft(t)
					source := stream.Range(0, 1<<30).Tap(func(v int) {
						if where == "source" && v == 3 {
							fail(how)
						}
					})
					got := outcome(func() {
						_ = stage(source).Run(t.Context(), func(v int) error {
							if where == "sink" && v == 3 {
								fail(how)
							}
							return nil
						})
					})
					require.Equal(t, how, got)
				})
			}
		}
	}
}

// outcome tells how f ends on a goroutine of its own: it returns, panics with
// "boom", there or on a goroutine that it has started, or calls Goexit.
func outcome(f func()) string {
	how := "Goexit"
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() {
			switch v := recover().(type) {
			case nil:
			case *stream.PanicError:
				if v.Value == "boom" {
					how = "panic"
				}
			case string:
				if v == "boom" {
					how = "panic"
				}
			}
		}()
		f()
		how = "return"
	})
	wg.Wait()
	return how
}
