// Command bulkhead shows how walls keep a slow dependency from sinking the
// rest: who runs, who waits, who is refused, and what each is told.
//
//	go run ./examples/bulkhead
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bedplate/bedplate/bulkhead"
)

func main() {
	run(os.Stdout)
}

func run(w io.Writer) {
	ctx := context.Background()
	// Each dependency has slots of its own. The slow one also has a short
	// queue, and nobody waits in it for more than a second.
	orders := bulkhead.MustNew(bulkhead.Config{Name: "orders", Limit: 10})
	reports := bulkhead.MustNew(bulkhead.Config{Name: "reports", Limit: 2, MaxWaiting: 6, MaxWait: time.Second})

	fmt.Fprintln(w, "1. Ten want a report, which takes 50 ms. Two may run, six may wait.")
	var served, refused, running, most atomic.Int64
	report := func(context.Context) error {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(50 * time.Millisecond)
		running.Add(-1)
		return nil
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			switch err := reports.Do(ctx, report); {
			case err == nil:
				served.Add(1)
			case errors.Is(err, bulkhead.ErrFull):
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	fmt.Fprintf(w, "   served %d, refused %d, never more than %d at once\n", served.Load(), refused.Load(), most.Load())

	fmt.Fprintln(w, "2. Reports hang. Orders have their own slots and do not notice.")
	hang := make(chan struct{})
	for range 2 {
		wg.Go(func() { _ = reports.Do(ctx, func(context.Context) error { <-hang; return nil }) })
	}
	for reports.Stats().InUse < 2 {
		time.Sleep(time.Millisecond)
	}
	err := orders.Do(ctx, func(context.Context) error { return nil })
	fmt.Fprintf(w, "   order: %v\n", err)

	fmt.Fprintln(w, "3. A caller with little time is told at once, not when its time is over,")
	fmt.Fprintln(w, "   because the turns so far say that its own comes too late.")
	hurried, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	err = reports.Do(hurried, report)
	if full, ok := errors.AsType[*bulkhead.FullError](err); ok {
		fmt.Fprintf(w, "   %s; worth coming again: %v\n", full.Reason, full.RetryAfter() > 0)
	} else {
		fmt.Fprintf(w, "   %v\n", err) // on a machine so slow that nothing was learned
	}

	fmt.Fprintln(w, "4. One more slot, while everything runs.")
	if err := reports.Resize(3); err != nil {
		fmt.Fprintf(w, "   resize: %v\n", err)
	}
	err = reports.Do(ctx, report)
	fmt.Fprintf(w, "   report: %v\n", err)

	fmt.Fprintln(w, "5. Shutdown: nobody new, and wait for those who run.")
	time.AfterFunc(20*time.Millisecond, func() { close(hang) })
	fmt.Fprintf(w, "   drain: %v\n", reports.Drain(ctx))
	fmt.Fprintf(w, "   then: %v\n", reports.Do(ctx, report))
	wg.Wait()

	s := reports.Stats()
	fmt.Fprintf(w, "%s: %d waited, %d in use, %d waiting\n", s.Name, s.Waits.Count, s.InUse, s.Waiting)
}
