package emitter_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/bedplate/bedplate/emitter"
)

// heard is written by the listeners of the benchmarks if they get a negative
// number, which they never do: the compiler cannot know that.
var heard atomic.Int64

func listener(i int) func(int) {
	return func(v int) {
		if v < 0 {
			heard.Add(int64(i))
		}
	}
}

func BenchmarkEmit(b *testing.B) {
	for _, n := range []int{0, 1, 10, 100} {
		b.Run(fmt.Sprintf("listeners=%d", n), func(b *testing.B) {
			var t emitter.Topic[int]
			for i := range n {
				t.On(listener(i))
			}
			b.ReportAllocs()
			for b.Loop() {
				t.Emit(1)
			}
		})
	}
}

// BenchmarkEmitContext is what the kinds of listeners cost.
func BenchmarkEmitContext(b *testing.B) {
	kinds := map[string]func(*emitter.Topic[int]){
		"on":    func(t *emitter.Topic[int]) { t.On(listener(1)) },
		"onerr": func(t *emitter.Topic[int]) { t.OnErr(func(context.Context, int) error { return nil }) },
		"tracked": func(t *emitter.Topic[int]) {
			t.Subscribe(emitter.SubConfig{Track: true}, func(context.Context, int) error { return nil })
		},
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	for kind, add := range kinds {
		b.Run("kind="+kind, func(b *testing.B) {
			var t emitter.Topic[int]
			add(&t)
			b.ReportAllocs()
			for b.Loop() {
				if err := t.EmitContext(ctx, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEmitName(b *testing.B) {
	for _, pattern := range []string{"none", "order.*"} {
		b.Run("pattern="+pattern, func(b *testing.B) {
			var e emitter.Emitter
			e.On("order.created", func(any) {})
			if pattern != "none" {
				e.OnMatch(pattern, func(string, any) {})
			}
			b.ReportAllocs()
			for b.Loop() {
				e.Emit("order.created", nil)
			}
		})
	}
}

func BenchmarkOnOff(b *testing.B) {
	for _, n := range []int{0, 100, 10000} {
		b.Run(fmt.Sprintf("others=%d", n), func(b *testing.B) {
			var t emitter.Topic[int]
			for i := range n {
				t.On(listener(i))
			}
			fn := listener(-1)
			b.ReportAllocs()
			for b.Loop() {
				t.On(fn).Off()
			}
		})
	}
}

// BenchmarkAsync is an event through the queue of a listener, which has had all
// of them in the end.
func BenchmarkAsync(b *testing.B) {
	for _, policy := range []emitter.Overflow{emitter.Block, emitter.DropOldest, emitter.Unbounded} {
		b.Run("policy="+policy.String(), func(b *testing.B) {
			t := emitter.Topic[int]{}
			sub, err := t.Subscribe(emitter.SubConfig{Async: true, Overflow: policy}, func(context.Context, int) error { return nil })
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				t.Emit(1)
			}
			if err := sub.Drain(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
