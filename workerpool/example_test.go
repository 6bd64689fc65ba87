package workerpool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/bedplate/bedplate/workerpool"
)

func warm(context.Context) {}

func count(_ context.Context, s string) (int, error) { return len(s), nil }

func Example() {
	ctx := context.Background()
	run := func() error {
		p := workerpool.MustNew(workerpool.Config{Name: "thumbs", Max: 4})
		defer p.Close()

		err := p.Go(ctx, func(ctx context.Context) { warm(ctx) })
		if err != nil {
			return err
		}
		f, err := workerpool.Submit(ctx, p, func(ctx context.Context) (int, error) { return count(ctx, "a") })
		if err != nil {
			return err // not accepted
		}
		n, err := f.Wait(ctx) // the outcome of the task
		if err != nil {
			return err
		}
		out, err := workerpool.Map(ctx, p, []string{"a", "b"}, count)
		fmt.Println(n, out, err)
		return err
	}
	fmt.Println(run())
	// Output:
	// 1 [1 1] <nil>
	// <nil>
}

func ExampleNew() {
	_, err := workerpool.New(workerpool.Config{Max: -1})
	fmt.Println(err)
	// Output: workerpool: Config.Max is -1, want 0 to 2147483647
}

func ExamplePool_TryGo() {
	p := workerpool.MustNew(workerpool.Config{Max: 1, NoQueue: true})
	defer p.Close()
	ctx := context.Background()
	release := make(chan struct{})
	fmt.Println(p.TryGo(ctx, func(context.Context) { <-release }))
	fmt.Println(p.TryGo(ctx, func(context.Context) {}))
	close(release)
	// Output:
	// true
	// false
}

func ExamplePool_GoKey() {
	p := workerpool.MustNew(workerpool.Config{Max: 8})
	ctx := context.Background()
	accounts := map[string]*[]int{"ann": {}, "bob": {}}
	for i := range 4 {
		for name, events := range accounts {
			_ = p.GoKey(ctx, name, func(context.Context) { *events = append(*events, i) }) // needs no mutex
		}
	}
	_ = p.Drain(ctx)
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		fmt.Println(name, *accounts[name])
	}
	// Output:
	// ann [0 1 2 3]
	// bob [0 1 2 3]
}

func ExamplePool_Group() {
	p := workerpool.MustNew(workerpool.Config{Max: 2})
	defer p.Close()
	g := p.Group(context.Background())
	g.Go(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	fmt.Println(g.TryGo(func(context.Context) error { return errors.New("no such page") }))
	fmt.Println(g.Wait())
	// Output:
	// true
	// no such page
}

func ExampleStream() {
	p := workerpool.MustNew(workerpool.Config{Max: 4})
	defer p.Close()
	square := func(_ context.Context, v int) (int, error) { return v * v, nil }
	for v, err := range workerpool.Stream(context.Background(), p, 0, slices.Values([]int{1, 2, 3}), square) {
		fmt.Println(v, err)
	}
	// Output:
	// 1 <nil>
	// 4 <nil>
	// 9 <nil>
}

func ExamplePool_WithPriority() {
	p := workerpool.MustNew(workerpool.Config{Max: 1})
	ctx := context.Background()
	p.Pause()
	_ = p.WithPriority(workerpool.Low).Go(ctx, func(context.Context) { fmt.Println("report") })
	_ = p.Go(ctx, func(context.Context) { fmt.Println("mail") })
	_ = p.WithPriority(workerpool.High).Go(ctx, func(context.Context) { fmt.Println("alarm") })
	p.Resume()
	_ = p.Drain(ctx)
	// Output:
	// alarm
	// mail
	// report
}

func ExamplePool_Limit() {
	p := workerpool.MustNew(workerpool.Config{Max: 8})
	ctx := context.Background()
	tenant := p.Limit(1) // no more than one of the eight places
	for i := range 3 {
		_ = tenant.Go(ctx, func(context.Context) { fmt.Println(i) })
	}
	_ = p.Drain(ctx)
	// Output:
	// 0
	// 1
	// 2
}

func ExampleNewStateful() {
	s, err := workerpool.NewStateful(workerpool.Config{Max: 1},
		func(context.Context) (*bytes.Buffer, error) { return new(bytes.Buffer), nil },
		func(b *bytes.Buffer) { fmt.Println("freed with room for", b.Cap() > 0) })
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	_ = s.Go(ctx, func(_ context.Context, b *bytes.Buffer) { b.WriteString("warm") })
	f, err := workerpool.SubmitState(ctx, s, func(_ context.Context, b *bytes.Buffer) (string, error) {
		b.Reset() // it keeps its memory from task to task
		fmt.Fprint(b, "hello")
		return b.String(), nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Wait(ctx))
	_ = s.Pool().Close()
	// Output:
	// hello <nil>
	// freed with room for true
}

func ExampleMustNewStateful() {
	s := workerpool.MustNewStateful(workerpool.Config{}, func(context.Context) (int, error) { return 42, nil }, nil)
	defer s.Pool().Close()
	f, _ := workerpool.SubmitState(context.Background(), s, func(_ context.Context, state int) (int, error) { return state, nil })
	fmt.Println(f.Wait(context.Background()))
	// Output: 42 <nil>
}

func ExampleFuture() {
	p := workerpool.MustNew(workerpool.Config{Max: 1})
	defer p.Close()
	ctx := context.Background()
	f, _ := workerpool.Submit(ctx, p, func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	})
	_, _, ok := f.TryResult()
	fmt.Println(ok)
	f.Cancel()
	<-f.Done()
	_, err := f.Wait(ctx)
	fmt.Println(err)
	// Output:
	// false
	// workerpool: task: context canceled
}

func ExamplePool_Resize() {
	p := workerpool.MustNew(workerpool.Config{Max: 2})
	defer p.Close()
	fmt.Println(p.Resize(4), p.Stats().Max)
	fmt.Println(p.Resize(0))
	// Output:
	// <nil> 4
	// workerpool: Resize to 0, want 1 to 2147483647
}

func ExamplePool_Drain() {
	p := workerpool.MustNew(workerpool.Config{Name: "mail", Max: 1})
	for range 3 {
		_ = p.Go(context.Background(), func(ctx context.Context) { <-ctx.Done() })
	}
	for p.Stats().Queued > 2 {
		time.Sleep(time.Millisecond) //bedplate:allow sleep: an example has no bubble
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(p.Drain(ctx))
	_ = p.Close()
	fmt.Println(p.Go(ctx, func(context.Context) {}))
	// Output:
	// workerpool: mail: drain dropped 2 and left 1 running: context deadline exceeded
	// context deadline exceeded
}

func ExampleFullError() {
	p := workerpool.MustNew(workerpool.Config{Max: 1, Queue: 1, Overflow: workerpool.Reject})
	defer p.Close()
	ctx := context.Background()
	release := make(chan struct{})
	begun := make(chan struct{})
	_ = p.Go(ctx, func(context.Context) { close(begun); <-release })
	<-begun
	_ = p.Go(ctx, func(context.Context) {})
	err := p.Go(ctx, func(context.Context) {})
	fmt.Println(err, errors.Is(err, workerpool.ErrFull))
	if full, ok := errors.AsType[*workerpool.FullError](err); ok {
		fmt.Println(full.RetryAfter())
	}
	close(release)
	// Output:
	// workerpool: full, 1 of 1 queued true
	// 0s
}

func ExampleHistogram_Bound() {
	var runs workerpool.Histogram // as in Stats.Runs
	fmt.Println(runs.Bound(0), runs.Bound(10), runs.Bound(workerpool.Buckets-1) > time.Hour)
	// Output: 1µs 1.024ms true
}
