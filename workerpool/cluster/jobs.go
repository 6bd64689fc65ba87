package cluster

import (
	"container/list"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"time"
)

// Defaults of the JobsConfig fields that are left zero.
const (
	defaultMaxWaiting = 1024
	defaultGrace      = 100 * time.Millisecond
	defaultJobMessage = 1 << 20
)

// JobsConfig describes Jobs. The zero JobsConfig is usable.
type JobsConfig struct {
	// Name appears in errors, events and Stats. Two Jobs in one program need
	// different names: by it a process finds the Jobs it works for.
	Name string

	// Workers is how many processes there are at most, each with one call at
	// a time. They are started when calls need them, and kept. Zero means
	// GOMAXPROCS.
	Workers int

	// MaxWaiting is how many calls may wait for a process; the next one is
	// refused with ErrFull. Zero means 1024.
	MaxWaiting int

	// StartTimeout is how long a process may take to reach Serve; then it is
	// killed. Zero means 30 s.
	StartTimeout time.Duration

	// Grace is how long a function may go on when its caller has left, before
	// its process is killed. The caller does not wait for that. Zero means
	// 100 ms.
	Grace time.Duration

	// MaxCalls is after how many calls a process is replaced. Zero means never.
	MaxCalls int

	// MaxMemory is how many bytes of the machine's memory a process may have
	// after a call; one that has more is replaced. Zero means no bound.
	MaxMemory uint64

	// MaxMessage is how many bytes an encoded input or output may have. Zero
	// means 1 MiB; the largest is 64 MiB.
	MaxMessage int

	// Env is added to the environment of the processes: "GOMAXPROCS=1".
	Env []string

	// Hooks are called when something happens. Each may be nil.
	Hooks JobsHooks
}

// JobsHooks are called outside every lock, on the goroutine that looks after
// the process. Drain and Close wait for that goroutine, so a hook must not call
// them itself.
type JobsHooks struct {
	// OnStart is called when a process is ready for calls.
	OnStart func(pid int)

	// OnExit is called when a process is gone and reaped, with how it ended.
	OnExit func(pid int, status string)
}

// Jobs runs registered functions in processes of their own, copies of this
// program, so that a call can be killed and a crash stays with its caller. Make
// one with NewJobs or MustNewJobs, register functions, and call Serve first
// thing in main. It is safe for use by many goroutines.
type Jobs struct {
	// Set by NewJobs and never written again.
	cfg   JobsConfig
	start starter
	exit  func(int) // ends a process whose caller is gone
	base  time.Time
	quit  chan struct{} // closed when nothing is to be started any more

	mu       sync.Mutex // guards all that follows, and the workers; never held over a wait or a hook
	funcs    map[string]handler
	idle     []*jobWorker // the one used last is at the end
	workers  map[*jobWorker]struct{}
	alive    int       // processes, those about to be started included; at most cfg.Workers
	starting int       // of those: not ready yet
	waiters  list.List // of *jobWaiter, the oldest first
	busy     int       // calls that have a process, or whose process is being freed
	draining bool      // no new calls
	closed   bool      // none at all
	quitted  bool      // quit is closed
	history  restarts
	notYet   time.Duration // no start before
	changed  chan struct{} // closed and renewed when busy, waiters or alive fall; nil while nobody waits
	tasks    sync.WaitGroup
	stats    JobsStats
}

// handler is a registered function with its types erased.
type handler func(ctx context.Context, input []byte) ([]byte, error)

// NewJobs returns Jobs as described by cfg. It starts nothing. It fails if a
// field of cfg has a value that makes no sense, and the error names the field;
// and with ErrUnsupported on systems other than Unix.
func NewJobs(cfg JobsConfig) (*Jobs, error) {
	setDefault(&cfg.Workers, runtime.GOMAXPROCS(0))
	setDefault(&cfg.MaxWaiting, defaultMaxWaiting)
	setDefault(&cfg.StartTimeout, defaultStartTimeout)
	setDefault(&cfg.Grace, defaultGrace)
	setDefault(&cfg.MaxMessage, defaultJobMessage)
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if !supported {
		return nil, fmt.Errorf("%w: %s", ErrUnsupported, runtime.GOOS)
	}
	return &Jobs{
		cfg: cfg, start: startProcess, base: time.Now(), quit: make(chan struct{}),
		//bedplate:allow quiet: a call that does not heed its context would outlive its caller
		exit:  os.Exit,
		funcs: make(map[string]handler), workers: make(map[*jobWorker]struct{}),
	}, nil
}

// MustNewJobs is NewJobs for package variables: it panics where NewJobs returns
// an error.
func MustNewJobs(cfg JobsConfig) *Jobs {
	j, err := NewJobs(cfg)
	if err != nil {
		panic(err.Error())
	}
	return j
}

func (c JobsConfig) check() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("cluster: JobsConfig.%s is %v, want %s", field, value, want)
	}
	switch {
	case c.Workers < 1 || c.Workers > maxWorkers:
		return bad("Workers", c.Workers, "0 to 4096")
	case c.MaxWaiting < 0:
		return bad("MaxWaiting", c.MaxWaiting, "≥ 0")
	case c.StartTimeout < 0:
		return bad("StartTimeout", c.StartTimeout, "≥ 0")
	case c.Grace < 0:
		return bad("Grace", c.Grace, "≥ 0")
	case c.MaxCalls < 0:
		return bad("MaxCalls", c.MaxCalls, "≥ 0")
	case c.MaxMessage < 1 || c.MaxMessage > largestMessage:
		return bad("MaxMessage", c.MaxMessage, "0 to 67108864")
	}
	return nil
}

// limit bounds the frames on a control socket.
func (c JobsConfig) limit() int { return c.MaxMessage + callHeader + math.MaxUint8 + maxBye }

// Func is a function that runs in the processes of Jobs. Make one with
// Register.
type Func[In, Out any] struct {
	jobs *Jobs
	name string
}

// Register lets fn run in the processes of j under this name. It must happen
// before Serve, in every process alike: as a package variable, or early in
// main. A name that is empty, longer than 255 bytes or taken, and an fn that is
// nil, are mistakes in the program, and panic.
//
// In and Out cross as JSON, but []byte as it is: encode what JSON cannot say
// yourself. fn's context ends when the caller's does, and has its deadline, but
// not its values.
func Register[In, Out any](j *Jobs, name string, fn func(context.Context, In) (Out, error)) *Func[In, Out] {
	if fn == nil {
		panic("cluster: fn is nil")
	}
	j.register(name, func(ctx context.Context, input []byte) ([]byte, error) {
		var in In
		if err := unmarshal(input, &in); err != nil {
			return nil, fmt.Errorf("cluster: input of %s: %w", name, err)
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		output, err := marshal(out)
		if err != nil {
			return nil, fmt.Errorf("cluster: output of %s: %w", name, err)
		}
		return output, nil
	})
	return &Func[In, Out]{jobs: j, name: name}
}

func (j *Jobs) register(name string, h handler) {
	if name == "" || len(name) > math.MaxUint8 {
		panic(fmt.Sprintf("cluster: the name %q of a function has %d bytes, want 1 to 255", name, len(name)))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.funcs[name] != nil {
		panic(fmt.Sprintf("cluster: a function %q is registered already", name))
	}
	j.funcs[name] = h
}

func marshal(v any) ([]byte, error) {
	if b, ok := v.([]byte); ok {
		return b, nil
	}
	return json.Marshal(v)
}

func unmarshal(b []byte, v any) error {
	if p, ok := v.(*[]byte); ok {
		*p = b
		return nil
	}
	return json.Unmarshal(b, v)
}

// Call runs the function with in, in a process of its own, and returns what it
// returns. It waits for a process if all are busy.
//
// When ctx ends, Call returns the error of ctx at once; a process that was at
// it already is told, has Grace to answer, and is then killed and replaced. The
// error of the function comes back as a *FuncError, a panic or Goexit as a
// *PanicError, the end of its process as a *LostError. ErrTooLarge tells of an
// input or output above MaxMessage, ErrFull of too many who wait, ErrClosed of
// Close or Drain; ErrRole of a process that is about to start copies of itself
// because it did not call Serve.
func (f *Func[In, Out]) Call(ctx context.Context, in In) (Out, error) {
	var out Out
	if ctx.Err() != nil {
		return out, ctxError(ctx)
	}
	input, err := marshal(in)
	if err != nil {
		return out, fmt.Errorf("cluster: input of %s: %w", f.name, err)
	}
	output, err := f.jobs.call(ctx, f.name, input)
	if err != nil {
		return out, err
	}
	if err := unmarshal(output, &out); err != nil {
		return out, fmt.Errorf("cluster: output of %s: %w", f.name, err)
	}
	return out, nil
}

// Drain refuses new calls with ErrClosed, waits for those that run or wait, and
// then for the processes to end. When ctx is done first they are killed, their
// calls get ErrClosed, and the error says how many those were and matches the
// error of ctx and its cause.
func (j *Jobs) Drain(ctx context.Context) error {
	j.mu.Lock()
	j.draining = true
	j.mu.Unlock()
	if !j.waitFor(ctx, func() bool { return j.busy == 0 && j.waiters.Len() == 0 }) {
		left := j.shut()
		j.tasks.Wait()
		return fmt.Errorf("cluster: %sdrain left %d calls: %w", prefix(j.cfg.Name), left, ctxError(ctx))
	}
	j.retireAll()
	if !j.waitFor(ctx, func() bool { return j.alive == 0 }) {
		j.shut() // nobody is hurt: they have nothing to do
	}
	j.tasks.Wait()
	return nil
}

// Close kills all processes, gives ErrClosed to their calls and to those that
// wait, and returns when the processes are gone. It is idempotent.
func (j *Jobs) Close() error {
	j.shut()
	j.tasks.Wait()
	return nil
}

// waitFor waits until cond holds, which is asked with mu held, or ctx is done.
func (j *Jobs) waitFor(ctx context.Context, cond func() bool) bool {
	for {
		j.mu.Lock()
		if cond() {
			j.mu.Unlock()
			return true
		}
		if j.changed == nil {
			j.changed = make(chan struct{})
		}
		changed := j.changed
		j.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (j *Jobs) changedLocked() {
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
}

func (j *Jobs) now() time.Duration { return time.Since(j.base) }
