// Package memwatchhttp shows what package memwatch knows on a page that stays
// live: is there a leak, of what kind, how sure is that, how long can it go on,
// and which line of the program does it.
//
// # Usage
//
// Mount a Handler below any path that ends in a slash:
//
//	page := memwatchhttp.MustNew(memwatchhttp.Config{Watcher: watcher})
//	mux.Handle("/debug/memwatch/", page)
//	server.RegisterOnShutdown(func() { page.Close() })
//
// http.StripPrefix works too, with other routers than http.ServeMux it is
// needed. Every address on the page is relative, so a proxy may change the path.
//
// Without a browser there are, below the same path:
//
//	$ curl …/report.txt              # the report in words
//	$ curl …/report.json             # the same as memwatch.Report
//	$ curl …/samples.json?since=…    # what Run has sampled, after a time of RFC 3339
//	$ curl -N …/stream               # server-sent events: hello, report, sample
//	$ curl -X POST …/confirm         # force two collections and report what they left
//	$ go tool pprof …/profile/heap   # or allocs, goroutine; ?debug=1 is text
//
// A goroutineleak profile is there where the runtime has it.
//
// # Who may see it
//
// There is no authentication here. A profile names functions and files and the
// page tells how a service is doing, so mount it on a listener that only
// operators reach, or behind the middleware that guards the rest:
//
//	mux.Handle("/debug/memwatch/", guard.Handler(page))
//
// Requests that a browser sends for another site are refused with 403 by all
// that costs: the stream, the profiles and Confirm (POST alone) are guarded by
// http.CrossOriginProtection. Config.ReadOnly leaves the last two out.
//
// # Guarantees
//
//   - The page loads nothing from elsewhere. Its Content-Security-Policy allows
//     its own files alone, no inline script or style, and no frame around it. It
//     is less than 30 kB.
//   - Nothing runs while nobody watches: there is no goroutine, timer or sample.
//     However many watch, each point is sampled and encoded once, and a report
//     is made every ten seconds.
//   - A stream is bounded in number (503 beyond) and in time for each write, so
//     a reader that reads no more is dropped. It holds no queue for a reader:
//     one that comes again goes on after the last point it had, none missing
//     and none twice.
//   - Costly requests, which are profiles and Confirm, are served one at a time,
//     four at once and one every ten seconds thereafter. Those beyond get 429
//     with Retry-After.
//   - After Close or Drain every stream ends, so that http.Server.Shutdown does
//     not wait for ever, and new requests are answered with 503.
//
// A stream begins with the history: 1,024 points at most, less dense the older
// they are. Times in which nobody watched are filled with what the Watcher has
// sampled.
//
// # Context
//
// A request ends with its context. The context of Drain bounds how long it
// waits; the error matches it and its cause.
//
// # When not to use it
//
// For many processes at once use a system that stores metrics: this page is of
// one process, and what it shows is gone with it. A middleware that hides the
// write deadline of the ResponseWriter, such as http.TimeoutHandler, makes a
// stream impossible; it is refused with 500 then, and the reports still work.
//
// # How it works
//
// The page is an HTML, a style sheet and two scripts that are part of the
// binary. Its charts are SVG, so they are crisp at any density and follow the
// colours of light and dark.
//
// A point has a number, and the id of its event is the number behind a word
// that another process does not have. So a browser that reconnects, which tells
// the last id it got, gets the rest of the history from this process, or the
// whole of the next one's.
//
// # Performance
//
// A point takes some 6 microseconds for all who watch, and each reader adds 26
// nanoseconds and the write of 227 bytes. An analysis, one to nine milliseconds,
// is made every ten seconds. Some 0.4 MB are kept. DESIGN.md has how that was
// measured.
package memwatchhttp
