package cluster

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Bounds and defaults of the Config.
const (
	maxWorkers = 4096
	maxListen  = 64

	defaultWorkers      = 2
	defaultStartTimeout = 30 * time.Second
	defaultStopTimeout  = 10 * time.Second
	defaultKillAfter    = 2 * time.Second
	defaultMinBackoff   = 100 * time.Millisecond
	defaultMaxBackoff   = 30 * time.Second
	defaultStableAfter  = 10 * time.Second
	defaultMaxRestarts  = 5
	defaultWindow       = time.Minute
	defaultReportEvery  = time.Second
	defaultHungAfter    = 30 * time.Second
	defaultMaxMessage   = 64 << 10
	largestMessage      = 64 << 20
)

// Config describes a Cluster. Only Work is required.
type Config struct {
	// Name appears in errors, events and Stats. Two clusters in one program
	// need different names: by it a process finds the cluster it works for.
	Name string

	// Work is what a worker does. It runs in processes of its own, once in
	// each, and its return ends the process. It must call Worker.Ready (or
	// Worker.Serve, which does) when it is ready. Its context derives from
	// that of Run, and ends when the worker is to end, with the cause
	// ErrStopping or ErrMasterGone.
	Work func(ctx context.Context, w *Worker) error

	// Workers is how many processes there are. Zero means 2: one serves while
	// the other is replaced. One Go process uses all processors, so there is no
	// need for one each.
	Workers int

	// Listen are the sockets that the workers share.
	Listen []Listen

	// StartTimeout is how long a worker may take to become ready; then it is
	// killed. Zero means 30 s.
	StartTimeout time.Duration

	// StopTimeout is how long a worker that was asked to end may take; then it
	// is sent SIGTERM. Zero means 10 s.
	StopTimeout time.Duration

	// KillAfter is how long a worker may take after SIGTERM; then it is sent
	// SIGKILL. Zero means 2 s.
	KillAfter time.Duration

	// MinBackoff and MaxBackoff bound the delay before a worker that failed is
	// started again. It doubles with each failure in a row, and is random in
	// its upper half. Zero means 100 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration

	// StableAfter is how long a worker must have lasted for the delay to begin
	// at MinBackoff again. Zero means 10 s.
	StableAfter time.Duration

	// MaxRestarts is how many failures of one slot within Window are bearable.
	// With one more it is in a crash loop and gets no new worker. Zero means 5.
	MaxRestarts int

	// Window is how far back failures count. Zero means a minute.
	Window time.Duration

	// Degrade lets the other slots go on when one is in a crash loop. The
	// default is to stop all, with a *CrashLoopError from Run; with Degrade
	// that happens when no slot is left.
	Degrade bool

	// MaxMemory is how many bytes of the machine's memory a worker may have;
	// one that has more is replaced, without a gap. Zero means no bound.
	MaxMemory uint64

	// MaxAge is how long a worker may live before it is replaced, without a
	// gap, up to a tenth earlier. Zero means for ever.
	MaxAge time.Duration

	// ReportEvery is how often a worker sends its counters, its memory and a
	// sign of life. Zero means 1 s.
	ReportEvery time.Duration

	// HungAfter is how long a worker may send nothing; then it is sent SIGQUIT,
	// so that it prints its stacks, and SIGKILL after KillAfter. Zero means
	// 30 s. It must be at least twice ReportEvery.
	HungAfter time.Duration

	// Healthy is asked in the worker before each report. While it does not
	// return, or returns an error, nothing is reported, so the worker is hung
	// after HungAfter. Its context ends after HungAfter. Nil means that a
	// process that runs at all is healthy.
	Healthy func(ctx context.Context) error

	// MaxMessage is how many bytes the data of a Message may have. Zero means
	// 64 KiB; the largest is 64 MiB.
	MaxMessage int

	// Env is added to the environment of the workers: "GOMEMLIMIT=512MiB".
	Env []string

	// NoSignals leaves signals alone. The default is that SIGTERM and SIGINT
	// stop the cluster (a second one has less patience), SIGHUP reloads it and
	// SIGUSR2 upgrades it; that workers leave those to the master, but for
	// SIGTERM, of which the first asks them to end and the second ends them.
	NoSignals bool

	// Foreground keeps the master of an upgraded cluster there until its
	// successor has ended, and passes signals on to it. It is for whoever
	// watches one process id: a container, a terminal. The default is that Run
	// returns when its own workers have ended.
	Foreground bool

	// Hooks are called when something happens. Each may be nil.
	Hooks Hooks
}

// Listen describes one socket. The master opens it once and keeps it open, so
// while no worker is there connections wait in it. A socket of the same name
// that systemd passes is used instead (FileDescriptorName in the socket unit).
type Listen struct {
	Name    string // by which a worker asks for it
	Network string // tcp, tcp4, tcp6, unix, udp, udp4, udp6 or unixgram
	Address string // as for net.Listen; "" for a socket that only systemd passes
}

// setDefault gives a field that is zero its default.
func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) withDefaults() Config {
	setDefault(&c.Workers, defaultWorkers)
	setDefault(&c.StartTimeout, defaultStartTimeout)
	setDefault(&c.StopTimeout, defaultStopTimeout)
	setDefault(&c.KillAfter, defaultKillAfter)
	setDefault(&c.MinBackoff, defaultMinBackoff)
	setDefault(&c.MaxBackoff, max(defaultMaxBackoff, c.MinBackoff))
	setDefault(&c.StableAfter, defaultStableAfter)
	setDefault(&c.MaxRestarts, defaultMaxRestarts)
	setDefault(&c.Window, defaultWindow)
	setDefault(&c.ReportEvery, defaultReportEvery)
	setDefault(&c.HungAfter, max(defaultHungAfter, 2*min(c.ReportEvery, math.MaxInt64/2)))
	setDefault(&c.MaxMessage, defaultMaxMessage)
	return c
}

func badField(field string, value any, want string) error {
	return fmt.Errorf("cluster: Config.%s is %v, want %s", field, value, want)
}

// check reports the first field that makes no sense. Defaults are filled in.
func (c Config) check() error {
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"StartTimeout", c.StartTimeout}, {"StopTimeout", c.StopTimeout}, {"KillAfter", c.KillAfter},
		{"MinBackoff", c.MinBackoff}, {"StableAfter", c.StableAfter}, {"Window", c.Window},
		{"MaxAge", c.MaxAge}, {"ReportEvery", c.ReportEvery},
	} {
		if d.value < 0 {
			return badField(d.field, d.value, "≥ 0")
		}
	}
	switch {
	case c.Work == nil:
		return badField("Work", "nil", "a function")
	case c.Workers < 1 || c.Workers > maxWorkers:
		return badField("Workers", c.Workers, "0 to 4096")
	case c.MaxBackoff < c.MinBackoff:
		return badField("MaxBackoff", c.MaxBackoff, fmt.Sprintf("≥ MinBackoff, which is %v", c.MinBackoff))
	case c.MaxRestarts < 0:
		return badField("MaxRestarts", c.MaxRestarts, "≥ 0")
	case c.HungAfter < 2*c.ReportEvery:
		return badField("HungAfter", c.HungAfter, fmt.Sprintf("≥ twice ReportEvery, which is %v", c.ReportEvery))
	case c.MaxMessage < 1 || c.MaxMessage > largestMessage:
		return badField("MaxMessage", c.MaxMessage, "0 to 67108864")
	case len(c.Listen) > maxListen:
		return badField("Listen", fmt.Sprintf("%d sockets", len(c.Listen)), "at most 64")
	}
	return c.checkListen()
}

func (c Config) checkListen() error {
	seen := make(map[string]bool)
	for i, l := range c.Listen {
		switch l.Network {
		case "tcp", "tcp4", "tcp6", "unix", "udp", "udp4", "udp6", "unixgram":
		default:
			return badField(fmt.Sprintf("Listen[%d].Network", i), fmt.Sprintf("%q", l.Network), "tcp, tcp4, tcp6, unix, udp, udp4, udp6 or unixgram")
		}
		if l.Name == "" || seen[l.Name] {
			return badField(fmt.Sprintf("Listen[%d].Name", i), fmt.Sprintf("%q", l.Name), "a name of its own")
		}
		seen[l.Name] = true
	}
	return nil
}

// rule is what the machine has to know. Times are far below the largest
// Duration, so that sums do not overflow.
func (c Config) rule() rule {
	const long = math.MaxInt64 / 8
	return rule{
		restartRule: restartRule{
			min: min(c.MinBackoff, long), max: min(c.MaxBackoff, long), stable: c.StableAfter,
			limit: c.MaxRestarts, window: min(c.Window, long),
		},
		startTimeout: min(c.StartTimeout, long), stopTimeout: min(c.StopTimeout, long), killAfter: min(c.KillAfter, long),
		hung: min(c.HungAfter, long), maxAge: min(c.MaxAge, long),
		maxMemory: c.MaxMemory, degrade: c.Degrade,
	}
}

// limit bounds the frames on a control socket.
func (c Config) limit() int { return max(maxControl, c.MaxMessage+1+maxTopic) }

// checkMessage refuses what would not fit.
func (c Config) checkMessage(m Message) error {
	switch {
	case len(m.Topic) > maxTopic:
		return fmt.Errorf("%w: the topic of a message has %d bytes, want at most %d", ErrTooLarge, len(m.Topic), maxTopic)
	case len(m.Data) > c.MaxMessage:
		return fmt.Errorf("%w: the data of a message has %d bytes, want at most %d", ErrTooLarge, len(m.Data), c.MaxMessage)
	}
	return nil
}
