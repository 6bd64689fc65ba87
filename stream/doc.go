// Package stream moves data through a service item by item: from files,
// readers, channels and generators, through stages that map, filter, split,
// batch and parallelise, into sinks. Memory stays bounded however much flows,
// one context stops all of it, and when a run returns nothing of it is left
// running.
//
// # Usage
//
// A Stream is a recipe. It is put together from a source and stages, and
// nothing happens until a sink runs it:
//
//	lines := stream.Lines(stream.File("access.log"))
//	errors := lines.Filter(func(line []byte) bool { return bytes.Contains(line, []byte(" 500 ")) })
//	n, err := errors.Count(ctx)
//
// Stages that change the type of the items are functions, the others methods.
// ParMap calls a slow function for several items at a time and keeps their
// order; Batch puts items together by number and time:
//
//	users := stream.ParMap(ids, stream.Parallel{Workers: 8}, fetch)
//	err := stream.Batch(users, 500, time.Second).Run(ctx, insert)
//
// A range loop is a sink too, and leaving it stops the run:
//
//	for record, err := range stream.CSV(stream.File("users.csv"), stream.CSVFormat{}).All(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(record[0])
//	}
//
// Bytes are items of type []byte, chunks as they come. Through and Via let them
// pass writers and readers, such as those of compress/gzip, and ToFile replaces
// a file with all of them or not at all:
//
//	zip := func(w io.Writer) (*gzip.Writer, error) { return gzip.NewWriter(w), nil }
//	n, err := stream.ToFile(ctx, stream.Through(stream.Reader(r), zip), "out.gz")
//
// A stage of your own is a function around emit:
//
//	func twice(s stream.Stream[int]) stream.Stream[int] {
//		return func(ctx context.Context, emit func(int) error) error {
//			return s(ctx, func(v int) error {
//				if err := emit(v); err != nil {
//					return err
//				}
//				return emit(v)
//			})
//		}
//	}
//
// Sub-package seal encrypts streams and files.
//
// # Guarantees
//
//   - When a run returns, every goroutine that it started has ended, and no
//     function that it was given is called any more.
//   - A run returns the first cause as it is: the error of your function, of
//     the source or of ctx, never that of a cancellation of its own.
//   - A sink that has enough stops the source with the item that was enough.
//   - emit is called on the goroutine that runs the stream, for one item at a
//     time, in order. Backpressure is the call stack: a source goes on when all
//     that comes behind is done with the item.
//   - Memory is bounded: what a stage may hold is in its documentation, and a
//     line that never ends is an error, or left out, and not a full heap.
//   - Items before an error come out before it, also from batches.
//   - A panic, and runtime.Goexit, reach the runner also from goroutines that a
//     stage has started, after those have ended: there as a *PanicError.
//   - Bytes are never changed or decoded. Splitting gives the same pieces
//     however the input is chunked.
//
// An item of type []byte is valid until emit returns. What this package keeps
// longer it copies; what you keep you copy. An argument that makes no sense
// does not panic: it gives a Stream that fails and names it.
//
// # Context
//
// A ctx that is done before the run is an error: nothing is called. The ctx of
// the run reaches each source and each function that takes one. Who waits,
// in a channel, for a worker, for time, returns at once when it is done.
// Sources that never wait look at it before every eighth item, MapErr, ParMap
// and Generate before each call, and a Reader before each Read, which it
// interrupts if the reader has deadlines. The error matches ctx.Err() and
// context.Cause(ctx). A run whose ctx is done drops what its stages hold.
//
// A source or function that ignores ctx is waited for: none is left behind.
//
// # When not to use it
//
// For a slice that fits in memory a loop is clearer and faster, and package
// iter has what composes loops. To spread work that is not a sequence over
// goroutines use a worker pool. To hand events to listeners use an emitter.
// Data that must survive a crash belongs into a broker or a database.
//
// # How it works
//
// A Stream is a func(ctx, emit) error, so a stage is one function around
// another, errors and early ends travel by return in both directions, and
// deferred clean-up runs in order. Only what needs them has goroutines: Buffer,
// Merge, Batch with a delay, ParMap, Tee and Partition. Zip, Via and AsReader
// pull, which takes a coroutine. Buffer, Merge, Batch, Tee and Partition share
// one bounded queue whose content is taken all at once. ParMap has a ring of
// slots that pass from the source to workers to the runner without a lock.
// Lines searches a window for all its line ends before it emits the first.
//
// A stage that has enough returns an error of its own to the source, and takes
// that error, and no other, for success. DESIGN.md has the interleavings and
// the roads not taken.
//
// # Performance
//
// A stage costs a call, some nanoseconds an item, and no allocation. Lines
// of 40 bytes pass in less than half the time that bufio.Scanner takes. Buffer
// costs some 30 ns an item, ParMap 90 ns beside the work itself, a coroutine
// 100 ns. Batch allocates its slices, CSV two objects a record, Lines nothing.
// DESIGN.md has measurements.
package stream
