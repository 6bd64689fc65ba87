// Package cluster runs copies of the program it is in as worker processes that
// share listening sockets, and sees to them: what crashes is started again, what
// hangs is killed, all can be replaced without losing a request. Jobs runs single
// calls in processes, so that they can really be killed.
//
// # Usage
//
// A Cluster is made and run by master and workers alike. Run finds out which of
// them this process is:
//
//	c := cluster.MustNew(cluster.Config{
//		Name:   "web",
//		Listen: []cluster.Listen{{Name: "http", Network: "tcp", Address: ":8080"}},
//		Work: func(ctx context.Context, w *cluster.Worker) error {
//			return w.Serve(ctx, "http", &http.Server{Handler: hello})
//		},
//	})
//
// and main ends with
//
//	err := c.Run(context.Background())
//
// In the master, SIGTERM and SIGINT stop all, SIGHUP replaces the workers one
// after the other, SIGUSR2 starts the program anew and hands the sockets over;
// Drain, Reload and Upgrade do the same. Worker.Serve is for servers with a
// Shutdown; other work takes a Listener, calls Ready, and ends with ctx.
// Messages go both ways, Counters and memory are in the master's Stats.
//
// Jobs calls registered functions in processes. Serve, first thing in main,
// makes a worker of a process that was started as one:
//
//	var jobs = cluster.MustNewJobs(cluster.JobsConfig{Name: "images", Workers: 2})
//	var thumbnail = cluster.Register(jobs, "thumbnail", makeThumbnail)
//
// and in main
//
//	if jobs.Serve(ctx) {
//		return
//	}
//	small, err := thumbnail.Call(ctx, picture)
//
// # Guarantees
//
//   - The master opens each socket once and keeps it open. Connections that come
//     while no worker is there wait in it; a worker's end closes none of them.
//   - A Reload asks a worker to end only when its successor is ready, one slot
//     at a time. A worker under Serve answers what it has accepted, and only
//     then shuts down. A successor that does not get ready ends the Reload, and
//     the old worker goes on.
//   - Workers that fail are started again after a delay that doubles, with
//     jitter. More failures than MaxRestarts within Window are a crash loop, an
//     error; failures of last week do not count.
//   - Stopping ends: who was asked has StopTimeout, then SIGTERM, KillAfter,
//     SIGKILL. All are reaped, and the error names those that were forced.
//   - Workers end with their master, however it dies: their control socket
//     closes. One whose Work does not heed that is ended after StopTimeout.
//   - Counters of a slot are summed over its processes, and over masters when one
//     is upgraded. No sum ever falls. What a killed process counted after its
//     last report is lost.
//   - Nothing that a process sends can make the other side panic, block or
//     allocate more than the bounds of the Config. One that sends nonsense is
//     killed.
//   - A program that was started as a worker and does not serve cannot start
//     workers of its own by mistake: that is ErrRole, not a fork bomb.
//
// # Context
//
// The end of Run's ctx stops the master in order; Run returns its error then.
// The ctx of Work derives from that of Run in the worker process, and ends when
// the worker is to end, with the cause ErrStopping or ErrMasterGone;
// Worker.Grace is for what is left to do then. Reload and Upgrade return when
// their ctx ends; a reload goes on, an upgrade is undone. A Call whose ctx ends
// returns at once, and its function is told, then killed. The function has the
// caller's deadline, and not its values.
//
// # When not to use it
//
// Not to use all processors: one Go process does. Workers share no memory, so
// caches, limits and pools are per worker, and each needs its own memory. It is
// worth that for code that may crash or leak or hang for good (C libraries,
// plug-ins, hostile input), for heaps that are collected separately, and to
// change program or configuration without a gap. Where an orchestrator does
// that with containers, let it. To bound goroutines use a worker pool; to see
// to goroutines, a supervisor of goroutines. A Call costs some 200 µs: not for
// small work.
//
// It works on Unix. Elsewhere New and NewJobs return ErrUnsupported.
//
// # How it works
//
// A process is a copy of the running program with a variable in its
// environment, one end of a socket pair as descriptor 3 and the shared sockets
// from 4 on. Frames on the socket pair have a version, a kind and a length that
// is bounded before anything is allocated.
//
// In the master one goroutine steps a state machine that touches neither
// processes nor clocks; others start, read and reap processes and post to it.
// Hooks run on a goroutine of their own, in order, so a slow hook delays no
// restart.
//
// An upgrade starts the program from the path it was called by, with the same
// sockets. Its workers get ready first, then the old ones drain, and the old
// master hands its counters over and ends; or stays, with Config.Foreground.
// From systemd the master takes sockets (LISTEN_FDS), and tells it of readiness,
// reloads, the new main process and signs of life (NOTIFY_SOCKET).
//
// # Performance
//
// A worker is ready some 10 ms after it is started, most of it the start of a
// Go program. Accepting costs what it costs without a cluster, and a Counter one
// atomic addition. The connections under Serve cost two atomic operations more
// for each change between reading and writing. An idle cluster wakes up once
// for each report. A Call takes some 200 µs beyond its function, and about 7 ms
// for a megabyte. DESIGN.md has measurements.
package cluster
