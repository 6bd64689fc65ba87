// Package memwatch tells whether a process leaks memory, what kind, how sure
// that is, how long it can go on, and which line of the program does it; and
// how near it is to the end of its memory, and what to do then.
//
// # Usage
//
// Run one Watcher for as long as the service runs:
//
//	w := memwatch.MustNew(memwatch.Config{Name: "api", Hooks: memwatch.Hooks{
//		OnChange: func(c memwatch.Change) {
//			if c.Report.Verdict >= memwatch.Suspect {
//				log.Warn("memory", "report", c.Report)
//			}
//		},
//	}})
//	go w.Run(ctx)
//
// Analyze gives the same Report at any time; it prints itself, has JSON, and is
// a slog.LogValuer. Snapshot is one look at the process, Samples are the last
// 128 that Run took. Confirm is for an operator who wants to be certain: it
// forces two collections and says what they freed. ReadProfile and ReadGroups
// are its means by themselves: what each line has in use, compared by Since,
// and where the goroutines are. Package memwatchtest has a test of code that
// must not keep anything with each call. Package memwatchhttp shows all of this
// on a page that stays live, and serves reports and profiles to curl:
//
//	mux.Handle("/debug/memwatch/", memwatchhttp.MustNew(memwatchhttp.Config{Watcher: w}))
//
// Pressure is how near the end of memory is: a level from Normal to Critical, of
// which Hooks.OnPressure tells, the limit that it comes from, and the time
// that is left. Config.Actions are what to do about pressure or a suspicion:
// write a profile or a flight recording, or call something that frees memory.
// SetLimit derives GOMEMLIMIT from the container's limit. A Tracker counts the
// objects of a kind, and names those that should have been collected by now.
//
// Who comes from a detector that compares the first snapshot of the heap with
// the last finds all of it: its start is Run, its stop the end of Run's ctx
// (nothing is printed then: call Analyze), its snapshots are Samples, its
// duration, growth and rate are the fields of that name in the Report, its
// warning beyond 20 % is the Verdict, and its forced collection is Confirm.
//
// # Guarantees
//
//   - No stop of the world and no forced collection, but in Confirm, which says
//     so, and for grouping goroutines once they have become more, which stops
//     as a goroutine profile does.
//   - What is tested for a trend is the live heap after a collection, never the
//     heap with its garbage. All collections count, also those between two
//     samples; an interval without one adds nothing.
//   - An alarm, which is Suspect or Leak, is not a threshold. Growth must be
//     significant with autocorrelation accounted for; its lower bound must be
//     material; it must still go on, without having slowed down; and the level
//     must be one that was never seen before. What fails one of these is a
//     Watch, and says why.
//   - Where there are too few points the verdict is Insufficient, with the
//     number that is missing. It is never a guess.
//   - A sample does not allocate, and what is kept is bounded below a megabyte,
//     however long it watches.
//   - Pressure never counts the page cache, nor garbage that the collector will
//     free in time. A level that swings around a threshold is told once.
//   - An action that fails or hangs stops neither samples nor other actions. It
//     is done once in an episode, within a cool-down and a number a day. Files
//     are the worst few, bounded in bytes, mode 0600, never half written; none
//     of others is overwritten, followed or removed.
//   - A Tracker keeps no object alive, and is bounded.
//   - No goroutine is started but by Run, for an action. When Run has returned
//     nothing is left of it, or its error matches ErrAbandoned. Hooks run on
//     Run's goroutine, outside every lock. A Watcher may be a package variable
//     and works in synctest bubbles.
//
// # Context
//
// Run and Confirm take one and store it nowhere. A ctx that is done before the
// call is an error, and nothing has been sampled or collected. Run ends
// promptly when its ctx is done; Confirm ends between its two collections,
// since none can be cut short. Actions get a ctx that derives from Run's, and
// Run waits for them, five seconds at most. The error matches both ctx.Err() and
// context.Cause(ctx). Cancelling one Run or Confirm touches no other caller's.
//
// # When not to use it
//
// To find out what a program allocates, or what is in its heap, use pprof. A test that goroutines
// end is go.uber.org/goleak, or a synctest bubble. A process that lives for
// minutes will seldom collect often enough for a verdict: it takes 20
// collections in as many intervals.
//
// It watches the process it is part of, not others, and it knows memory that
// cgo or mmap took only as a sum. The race detector's own memory is of that
// kind and grows with the heap.
//
// # How it works
//
// Run samples runtime/metrics at every interval. Each collection in between is
// seen by a cleanup on an object that is garbage from the start. Of five
// quantities (the live heap, goroutines, stacks, memory outside of Go, unused
// memory inside spans) it keeps the least value of each block of time, in rings
// whose blocks last 1, 6, 60 and 720 intervals: by default 21 minutes, 2 hours,
// 21 hours and 11 days. What is least in a block is what could not be freed.
//
// Each ring is tested on its own: the test of Mann and Kendall at one percent,
// with the variance of Hamed and Rao or that of an autoregressive process,
// whichever is larger; the slope of Theil and Sen, with its interval of 95 %.
// The last half must rise too, and neither it nor the last third by less than
// 0.6 of the whole slope: that is what a cache that fills up does not do.
// Load that comes and goes rises for hours too; so what has been as large
// before, in a longer ring, is no alarm. An alarm on two spans of which one is
// three times as long is a Leak.
//
// Call sites come from memory profiles, which Run keeps six of, at ages spread
// from a minute to days. Two of them are compared line by line, by the first
// line outside the standard library; Report.SitesWindow is the time between the
// two, in which each of Report.Sites has grown by what it says. The number of sampled objects is Poisson,
// so the z-score of a difference is known, and so is the interval of its bytes.
// One object that grows, such as a slice, is found by its share of the growth.
// One line with a z-score of at least 4 makes a Leak of a suspected heap. A
// memory profile lags up to two collections behind.
//
// If goroutines become more they are the class, since what they hold grows
// with them; the report then groups them by where they wait. Confirm adds the
// goroutineleak profile where the runtime has it.
//
// Pressure is that of the limit of which most is used: GOMEMLIMIT and
// Config.Limit by what is held, the control groups of version 1 and 2 from the
// process's own up by what they use without the cache, and the machine by the
// resident memory against that and what is available. Stalls (PSI) raise the
// level whatever is used. A higher level counts at once, a lower one after a
// minute, by default. Where the operating system has none of these files only
// the first two are known.
//
// # Performance
//
// On two processors of an Intel Xeon a sample takes 0.65 microseconds and no
// allocation, one in six 1.5 since it reads the resident memory from the
// operating system. A collection costs 0.35 more. The pressure of an interval
// takes 10 microseconds, most of it in the kernel, and no allocation. An
// analysis takes one millisecond while nothing grows and 8 if everything does,
// once a minute by default, and a memory profile from 11 microseconds up.
// Together that is less than 0.01 % of one processor while nothing grows and
// 0.02 % while everything does. Less than a megabyte is kept.
// DESIGN.md has measurements, and how often the verdict is wrong.
package memwatch
