package workerpool_test

import (
	"context"
	"testing"

	"github.com/bedplate/bedplate/workerpool"
)

func BenchmarkGo(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	views := map[string]func(*workerpool.Pool) func(context.Context, func(context.Context)) error{
		"plain": func(p *workerpool.Pool) func(context.Context, func(context.Context)) error { return p.Go },
		"priority": func(p *workerpool.Pool) func(context.Context, func(context.Context)) error {
			return p.WithPriority(workerpool.High).Go
		},
		"limit": func(p *workerpool.Pool) func(context.Context, func(context.Context)) error { return p.Limit(1).Go },
		"key": func(p *workerpool.Pool) func(context.Context, func(context.Context)) error {
			return func(ctx context.Context, fn func(context.Context)) error { return p.GoKey(ctx, 1, fn) }
		},
	}
	for name, view := range views {
		b.Run("by="+name, func(b *testing.B) {
			b.ReportAllocs()
			p := newPool(b, workerpool.Config{})
			bring := view(p)
			for b.Loop() {
				if err := bring(ctx, nothing); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSubmitWait(b *testing.B) {
	for name, ctx := range map[string]context.Context{"background": context.Background(), "cancellable": b.Context()} {
		b.Run("ctx="+name, func(b *testing.B) {
			b.ReportAllocs()
			p := newPool(b, workerpool.Config{})
			for b.Loop() {
				f, err := workerpool.Submit(ctx, p, zero)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := f.Wait(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNestedWait brings a task from within one, and waits for it there.
func BenchmarkNestedWait(b *testing.B) {
	b.ReportAllocs()
	p := newPool(b, workerpool.Config{Max: 1})
	f := submit(b, context.Background(), p, func(ctx context.Context) (int, error) {
		for b.Loop() {
			f, err := workerpool.Submit(ctx, p, zero)
			if err != nil {
				return 0, err
			}
			if _, err := f.Wait(ctx); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	if _, err := f.Wait(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func nothing(context.Context) {}

func zero(context.Context) (int, error) { return 0, nil }
