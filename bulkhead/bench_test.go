package bulkhead_test

import (
	"context"
	"testing"

	"github.com/bedplate/bedplate/bulkhead"
)

var background = context.Background()

func BenchmarkAcquireRelease(b *testing.B) {
	bh := bulkhead.MustNew(bulkhead.Config{})
	b.ReportAllocs()
	for b.Loop() {
		p, err := bh.Acquire(background)
		if err != nil {
			b.Fatal(err)
		}
		p.Release()
	}
}

func BenchmarkDo(b *testing.B) {
	bh := bulkhead.MustNew(bulkhead.Config{})
	fn := func(context.Context) error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		if err := bh.Do(background, fn); err != nil {
			b.Fatal(err)
		}
	}
}
