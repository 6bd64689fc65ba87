package bulkhead_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"time"

	"github.com/bedplate/bedplate/bulkhead"
)

// Two resources, each with its own slots: a slow report cannot take the
// connections that orders need.
func Example() {
	ctx := context.Background()
	orders := bulkhead.MustNew(bulkhead.Config{Name: "orders", Limit: 8, MaxWait: time.Second})
	reports := bulkhead.MustNew(bulkhead.Config{Name: "reports", Limit: 1, NoWait: true})

	err := reports.Do(ctx, func(ctx context.Context) error {
		// While this report runs, another is refused,
		err := reports.Do(ctx, func(context.Context) error { return nil })
		fmt.Println(err)

		// and orders go on.
		return orders.Do(ctx, func(context.Context) error {
			fmt.Println("order placed")
			return nil
		})
	})
	fmt.Println(err)
	// Output:
	// bulkhead: reports: full, queue full, 1 of 1 in use, 0 waiting
	// order placed
	// <nil>
}

func ExampleNew() {
	_, err := bulkhead.New(bulkhead.Config{Limit: -1})
	fmt.Println(err)
	// Output: bulkhead: Config.Limit is -1, want 0 to 2147483647
}

func ExampleMustNew() {
	b := bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 4})
	fmt.Println(b.Stats().Limit)
	// Output: 4
}

func query(ctx context.Context) error { return ctx.Err() }

func ExampleBulkhead_Do() {
	ctx := context.Background()

	var db = bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 20, MaxWait: time.Second})

	err := db.Do(ctx, query)

	fmt.Println(err)
	// Output: <nil>
}

// The slot comes back and fn's error comes through.
func ExampleBulkhead_Do_error() {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 2})
	err := b.Do(context.Background(), func(context.Context) error {
		fmt.Println("in use:", b.Stats().InUse)
		return errors.New("fn's own error")
	})
	fmt.Println(err)
	fmt.Println("in use:", b.Stats().InUse)
	// Output:
	// in use: 1
	// fn's own error
	// in use: 0
}

func ExampleDoValue() {
	b := bulkhead.MustNew(bulkhead.Config{})
	n, err := bulkhead.DoValue(context.Background(), b, func(context.Context) (int, error) { return 42, nil })
	fmt.Println(n, err)
	// Output: 42 <nil>
}

func ExampleWrap() {
	b := bulkhead.MustNew(bulkhead.Config{})
	fetch := bulkhead.Wrap(b, func(context.Context) (string, error) { return "page", nil })
	page, err := fetch(context.Background())
	fmt.Println(page, err)
	// Output: page <nil>
}

func ExampleBulkhead_Acquire() {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	p, err := b.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Release()

	// Waiting ends with the ctx.
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = b.Acquire(ctx)
	fmt.Println(err)
	// Output: context deadline exceeded
}

// Slots can stand for anything that is limited, here megabytes.
func ExampleBulkhead_AcquireN() {
	memory := bulkhead.MustNew(bulkhead.Config{Name: "memory", Limit: 512})
	ctx := context.Background()
	p, err := memory.AcquireN(ctx, 300)
	fmt.Println(memory.Stats().InUse, err)
	p.Release()
	_, err = memory.AcquireN(ctx, 600)
	fmt.Println(err)
	// Output:
	// 300 <nil>
	// bulkhead: memory: weight out of range, 600 is not 1 to 512
}

func ExampleBulkhead_TryAcquire() {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	p, ok := b.TryAcquire()
	_, second := b.TryAcquire()
	fmt.Println(ok, second)
	p.Release()
	// Output: true false
}

func ExampleBulkhead_TryAcquireN() {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 3})
	p, ok := b.TryAcquireN(2)
	_, second := b.TryAcquireN(2)
	fmt.Println(ok, second)
	p.Release()
	// Output: true false
}

func ExamplePermit_Release() {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	p, _ := b.TryAcquire()
	p.Release()
	p.Release() // does nothing
	fmt.Println(b.Stats().InUse)
	// Output: 0
}

// With an adaptive limit, Done tells how the call ended.
func ExamplePermit_Done() {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 20, Adaptive: bulkhead.Adaptive{Max: 100}})
	p, err := b.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	err = context.DeadlineExceeded // from the call
	p.Done(err)
	fmt.Println(b.Stats().InUse)
	// Output: 0
}

func ExampleBulkhead_Resize() {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 3, Hooks: bulkhead.Hooks{
		OnLimitChange: func(c bulkhead.LimitChange) { fmt.Println("limit", c.From, "to", c.To) },
	}})
	p, _ := b.TryAcquireN(3)
	fmt.Println(b.Resize(2)) // what runs goes on
	s := b.Stats()
	fmt.Println(s.InUse, "of", s.Limit)
	p.Release()
	// Output:
	// limit 3 to 2
	// <nil>
	// 3 of 2
}

func ExampleBulkhead_Drain() {
	b := bulkhead.MustNew(bulkhead.Config{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	fmt.Println(b.Drain(ctx))
	fmt.Println(b.Do(ctx, func(context.Context) error { return nil }))
	// Output:
	// <nil>
	// bulkhead: closed
}

func ExampleBulkhead_Close() {
	b := bulkhead.MustNew(bulkhead.Config{})
	fmt.Println(b.Close())
	_, err := b.Acquire(context.Background())
	fmt.Println(errors.Is(err, bulkhead.ErrClosed))
	// Output:
	// <nil>
	// true
}

func ExampleBulkhead_Stats() {
	b := bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 4})
	v := expvar.Func(func() any { return b.Stats() }) // for expvar.Publish

	var s bulkhead.Stats
	_ = json.Unmarshal([]byte(v.String()), &s)
	fmt.Println(s.Name, s.InUse, "of", s.Limit)
	// Output: db 0 of 4
}

func ExampleFullError() {
	b := bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 1, NoWait: true})
	p, _ := b.TryAcquire()
	defer p.Release()
	_, err := b.Acquire(context.Background())
	if full, ok := errors.AsType[*bulkhead.FullError](err); ok {
		fmt.Println(full.Name, full.Reason, full.InUse, full.Limit)
	}
	fmt.Println(errors.Is(err, bulkhead.ErrFull))
	// Output:
	// db queue full 1 1
	// true
}

func ExampleFullError_RetryAfter() {
	err := error(&bulkhead.FullError{Name: "db", Expected: 250 * time.Millisecond})
	var hint interface{ RetryAfter() time.Duration }
	if errors.As(err, &hint) {
		fmt.Println(hint.RetryAfter())
	}
	// Output: 250ms
}

func ExampleWeightError() {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 4})
	_, err := b.AcquireN(context.Background(), 5)
	if weight, ok := errors.AsType[*bulkhead.WeightError](err); ok {
		fmt.Println(weight.Weight, "above", weight.Limit, errors.Is(err, bulkhead.ErrWeight))
	}
	// Output: 5 above 4 true
}

func ExampleHistogram_Bound() {
	h := bulkhead.MustNew(bulkhead.Config{Limit: 4}).Stats().Waits
	fmt.Println(h.Bound(0), h.Bound(1), h.Bound(10))
	// Output: 64µs 128µs 65.536ms
}

func ExampleReason_String() {
	fmt.Println(bulkhead.TurnTooLate)
	// Output: turn too late
}
