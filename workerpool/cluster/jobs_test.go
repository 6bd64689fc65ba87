//go:build unix

package cluster

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pool is Jobs in a world, with functions that do what a test needs.
type pool struct {
	*Jobs
	*world

	echo  *Func[string, string]
	sleep *Func[time.Duration, string] // heeds its context
	deaf  *Func[time.Duration, string] // does not
	odd   *Func[string, string]
}

func newPool(t *testing.T, cfg JobsConfig) *pool {
	j, w := newJobsWorld(t, cfg)
	p := &pool{Jobs: j, world: w}
	p.echo = Register(j, "echo", func(_ context.Context, s string) (string, error) { return s, nil })
	p.sleep = Register(j, "sleep", func(ctx context.Context, d time.Duration) (string, error) {
		select {
		case <-time.After(d):
			return "slept", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	p.deaf = Register(j, "deaf", func(_ context.Context, d time.Duration) (string, error) {
		pass(d)
		return "slept", nil
	})
	p.odd = Register(j, "odd", func(_ context.Context, how string) (string, error) {
		switch how {
		case "panic":
			panic("on purpose")
		case "goexit":
			runtime.Goexit()
		case "large":
			return strings.Repeat("x", 1<<21), nil
		}
		return "", errors.New(how)
	})
	w.script = jobScript(j)
	return p
}

// inBubble runs f with a pool in a bubble, and closes it.
func inBubble(t *testing.T, cfg JobsConfig, f func(t *testing.T, p *pool)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, cfg)
		defer p.Close() // also when f fails
		f(t, p)
		require.NoError(t, p.Close())
		s := p.Stats()
		require.Equal(t, []int{0, 0, 0, 0}, []int{s.Alive, s.Idle, s.Busy, s.Waiting}, "nothing is left: %+v", s)
	})
}

func TestJobsReuseTheirProcesses(t *testing.T) {
	inBubble(t, JobsConfig{Name: "j", Workers: 3}, func(t *testing.T, p *pool) {
		for range 100 {
			got, err := p.echo.Call(t.Context(), "hello")
			require.NoError(t, err)
			require.Equal(t, "hello", got)
		}
		require.Len(t, p.all(), 1)
		s := p.Stats()
		require.Equal(t, JobsStats{Name: "j", Workers: 3, Alive: 1, Idle: 1, Calls: 100, Starts: 1}, s)
	})
}

func TestJobsRunAtMostAsManyAsThereAreWorkers(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 3}, func(t *testing.T, p *pool) {
		var wg sync.WaitGroup
		start := time.Now()
		for range 9 {
			wg.Go(func() {
				if _, err := p.sleep.Call(t.Context(), time.Second); err != nil {
					t.Errorf("call: %v", err)
				}
			})
		}
		synctest.Wait()
		s := p.Stats()
		require.Equal(t, 3, s.Busy)
		require.Equal(t, 6, s.Waiting)
		wg.Wait()
		require.Equal(t, 3*time.Second, time.Since(start))
		require.Len(t, p.all(), 3)
	})
}

func TestJobsServeInTheOrderOfArrival(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1}, func(t *testing.T, p *pool) {
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				_, _ = p.sleep.Call(t.Context(), time.Second)
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
			})
			synctest.Wait()
		}
		wg.Wait()
		require.IsIncreasing(t, order)
	})
}

func TestJobsThatHeedTheirContextKeepTheirProcess(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1, Grace: time.Second}, func(t *testing.T, p *pool) {
		cause := errors.New("cause")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause)
		defer cancel()
		start := time.Now()
		_, err := p.sleep.Call(ctx, time.Hour)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start))
		_, err = p.echo.Call(t.Context(), "")
		require.NoError(t, err)
		require.Len(t, p.all(), 1)
		require.EqualValues(t, 0, p.Stats().Killed)

		ctx, cancelNow := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancelNow(cause) })
		_, err = p.sleep.Call(ctx, time.Hour)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)
		_, err = p.echo.Call(t.Context(), "")
		require.NoError(t, err)
		require.Len(t, p.all(), 1)
		require.EqualValues(t, 2, p.Stats().Canceled)
	})
}

func TestJobsThatDoNotAreKilledAndReplaced(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1, Grace: time.Second}, func(t *testing.T, p *pool) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err := p.deaf.Call(ctx, time.Hour)
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, time.Minute, time.Since(start), "the caller does not wait for the grace")
		synctest.Wait()
		require.Empty(t, p.of(0).got())
		pass(time.Second)
		synctest.Wait()
		// The process gives up in the same moment: who sees its socket close
		// may send the signal once more.
		require.Equal(t, []signal{sigKill}, slices.Compact(p.of(0).got()))
		require.EqualValues(t, 1, p.Stats().Killed)
		require.Equal(t, 1, p.Stats().Alive, "until it is reaped the place is taken")
		pass(time.Hour) // the fake process only ends with its script
		synctest.Wait()
		require.Len(t, p.all(), 2, "the next one starts without being asked")
		require.Equal(t, 1, p.Stats().Idle)
		_, err = p.echo.Call(t.Context(), "")
		require.NoError(t, err)
	})
}

func TestJobsWaitersLeaveWithTheirContext(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1, MaxWaiting: 2}, func(t *testing.T, p *pool) {
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = p.sleep.Call(t.Context(), time.Hour) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var left atomic.Int64
		for range 2 {
			wg.Go(func() {
				if _, err := p.echo.Call(ctx, ""); err == context.DeadlineExceeded {
					left.Add(1)
				}
			})
		}
		synctest.Wait()
		_, err := p.echo.Call(t.Context(), "")
		require.Equal(t, ErrFull, err)
		require.EqualValues(t, 1, p.Stats().Refused)
		pass(2 * time.Second)
		require.EqualValues(t, 2, left.Load())
		require.Zero(t, p.Stats().Waiting)
		wg.Go(func() { _, _ = p.echo.Call(t.Context(), "") })
		wg.Wait()
		require.EqualValues(t, 2, p.Stats().Calls)
	})
}

func TestJobsErrorsTellWhatHappened(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1}, func(t *testing.T, p *pool) {
		_, err := p.odd.Call(t.Context(), "no such picture")
		require.Equal(t, &FuncError{Func: "odd", Text: "no such picture"}, err)
		require.EqualError(t, err, "no such picture")

		_, err = p.odd.Call(t.Context(), "large")
		require.ErrorIs(t, err, ErrTooLarge)
		require.ErrorContains(t, err, "the output of odd has 2097154 bytes, want at most 1048576")
		require.Len(t, p.all(), 1, "no process had to end for that")

		for _, how := range []string{"panic", "goexit"} {
			_, err = p.odd.Call(t.Context(), how)
			require.ErrorIs(t, err, ErrPanic)
			var panicked *PanicError
			require.ErrorAs(t, err, &panicked)
			require.Equal(t, "odd", panicked.Func)
			if how == "panic" {
				require.Contains(t, panicked.Text, "on purpose\n\ngoroutine ")
				require.Contains(t, panicked.Text, "jobs_test.go", "with the stack of the process")
			}
			_, err = p.echo.Call(t.Context(), "")
			require.NoError(t, err)
		}
		require.Len(t, p.all(), 3)
		s := p.Stats()
		require.EqualValues(t, 2, s.Panics)
		require.EqualValues(t, 2, s.Failed)

		_, err = p.echo.Call(t.Context(), strings.Repeat("x", 1<<20))
		require.ErrorIs(t, err, ErrTooLarge)
		require.ErrorContains(t, err, "the input of echo has 1048578 bytes")
		_, err = Register(p.Jobs, "chan", func(context.Context, chan int) (int, error) { return 0, nil }).Call(t.Context(), nil)
		require.ErrorContains(t, err, "cluster: input of chan: json: unsupported type")
	})
}

func TestJobsOutputThatHasNoFormIsAnErrorOfTheFunction(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1}, func(t *testing.T, p *pool) {
		bad := Register(p.Jobs, "bad", func(context.Context, int) (func(), error) { return func() {}, nil })
		_, err := bad.Call(t.Context(), 1)
		require.ErrorContains(t, err, "cluster: output of bad: json: unsupported type: func()")
	})
}

func TestJobsFunctionsThatTheWorkerDoesNotKnow(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1}, func(t *testing.T, p *pool) {
		other := newPool(t, JobsConfig{Workers: 1})
		p.script = jobScript(other.Jobs)
		late := Register(p.Jobs, "late", func(context.Context, int) (int, error) { return 0, nil })
		_, err := late.Call(t.Context(), 1)
		require.EqualError(t, err, `cluster: no function "late" is registered in the worker process`)
	})
}

func TestJobsBytesCrossAsTheyAre(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1, MaxMessage: 256}, func(t *testing.T, p *pool) {
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		reverse := Register(p.Jobs, "reverse", func(_ context.Context, b []byte) ([]byte, error) {
			out := make([]byte, 0, len(b))
			for i := range b {
				out = append(out, b[len(b)-1-i])
			}
			return out, nil
		})
		got, err := reverse.Call(t.Context(), all)
		require.NoError(t, err)
		require.Len(t, got, 256, "JSON would take more than MaxMessage")
		require.Equal(t, byte(255), got[0])
		require.Equal(t, byte(0), got[255])
	})
}

func TestJobsReplaceWornProcesses(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1, MaxCalls: 10}, func(t *testing.T, p *pool) {
		for range 100 {
			_, err := p.echo.Call(t.Context(), "")
			require.NoError(t, err)
		}
		synctest.Wait()
		require.Len(t, p.all(), 11)
		for _, worn := range p.all()[:10] {
			require.Empty(t, worn.got(), "they end when their socket closes")
		}
	})
	inBubble(t, JobsConfig{Workers: 1, MaxMemory: 1}, func(t *testing.T, p *pool) {
		for range 5 {
			_, err := p.echo.Call(t.Context(), "")
			require.NoError(t, err)
		}
		synctest.Wait()
		require.Len(t, p.all(), 6)
	})
}

func TestJobsThatDoNotStartTellEachWaiter(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 2, StartTimeout: time.Minute}, func(t *testing.T, p *pool) {
		serve := p.script
		p.script = crash
		var wg sync.WaitGroup
		var told atomic.Int64
		for range 5 {
			wg.Go(func() {
				_, err := p.echo.Call(t.Context(), "")
				if err != nil && strings.Contains(err.Error(), "ended before it called Serve: exit status 1") {
					told.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 5, told.Load())
		require.Len(t, p.all(), 5, "one start a waiter, and none for nobody")
		pass(time.Hour)
		require.Len(t, p.all(), 5)

		p.script = serve
		_, err := p.echo.Call(t.Context(), "")
		require.NoError(t, err)
		p.failing(errors.New("no more processes"))
		p.of(0).end(exit{status: "signal: killed"})
		synctest.Wait()
		_, err = p.echo.Call(t.Context(), "")
		require.EqualError(t, err, "no more processes")
		p.failing(nil)
		_, err = p.echo.Call(t.Context(), "")
		require.NoError(t, err)
	})
}

func TestJobsThatDoNotGetReadyAreKilled(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1, StartTimeout: time.Minute}, func(t *testing.T, p *pool) {
		p.script = func(q *fakeProcess) { <-q.dead }
		start := time.Now()
		_, err := p.echo.Call(t.Context(), "")
		require.ErrorContains(t, err, "signal: killed")
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestJobsWhoseProcessDiesGetItsStatus(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1}, func(t *testing.T, p *pool) {
		time.AfterFunc(time.Second, func() { p.of(0).end(exit{status: "signal: segmentation fault"}) })
		_, err := p.sleep.Call(t.Context(), time.Hour)
		require.ErrorIs(t, err, ErrLost)
		require.Equal(t, &LostError{Func: "sleep", Pid: 100, Status: "signal: segmentation fault"}, err)
		require.EqualError(t, err, "cluster: the worker process 100 of sleep is lost: signal: segmentation fault")
		require.EqualValues(t, 1, p.Stats().Lost)
		_, err = p.echo.Call(t.Context(), "")
		require.NoError(t, err)
	})
}

func TestJobsKillWhoSendsNonsense(t *testing.T) {
	for name, send := range map[string]func(p *fakeProcess){
		"text":           func(p *fakeProcess) { _, _ = p.conn.Write([]byte("HTTP/1.1 200 OK")) },
		"ready twice":    func(p *fakeProcess) { p.send(frameReady, nil) },
		"short result":   func(p *fakeProcess) { p.send(frameResult, []byte{1}) },
		"another call's": func(p *fakeProcess) { p.send(frameResult, encodeResult(result{id: 99})) },
		"another kind":   func(p *fakeProcess) { p.send(frameReport, nil) },
		"silence, then the end": func(p *fakeProcess) {
			pass(time.Second)
			_ = p.conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, JobsConfig{Workers: 1}, func(t *testing.T, p *pool) {
				p.script = func(q *fakeProcess) {
					go func() { _, _ = io.Copy(io.Discard, q.conn) }()
					q.send(frameReady, nil)
					pass(time.Millisecond)
					send(q)
					<-q.dead
				}
				_, err := p.echo.Call(t.Context(), "")
				require.ErrorIs(t, err, ErrLost)
				require.Equal(t, []signal{sigKill}, p.all()[0].got())
			})
		})
	}
}

func TestJobsTakeTheFirstResultOfTwo(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1}, func(t *testing.T, p *pool) {
		p.script = func(q *fakeProcess) {
			go func() { _, _ = io.Copy(io.Discard, q.conn) }()
			q.send(frameReady, nil)
			pass(time.Millisecond)
			q.send(frameResult, encodeResult(result{id: 1, output: []byte(`"first"`)}))
			q.send(frameResult, encodeResult(result{id: 1, output: []byte(`"second"`)}))
			q.send(frameResult, encodeResult(result{id: 1, output: []byte(`"third"`)}))
			<-q.dead
		}
		got, err := p.echo.Call(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, "first", got)
	})
}

func TestJobsOutputThatIsNotOfItsType(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1}, func(t *testing.T, p *pool) {
		p.script = func(q *fakeProcess) {
			go func() { _, _ = io.Copy(io.Discard, q.conn) }()
			q.send(frameReady, nil)
			pass(time.Millisecond)
			q.send(frameResult, encodeResult(result{id: 1, output: []byte(`{`)}))
			<-q.dead
		}
		_, err := p.echo.Call(t.Context(), "")
		require.ErrorContains(t, err, "cluster: output of echo: ")
	})
}

func TestJobsDrainWaitsForCallsAndProcesses(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 2}, func(t *testing.T, p *pool) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := p.sleep.Call(t.Context(), time.Minute); err != nil {
					t.Errorf("call: %v", err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		require.NoError(t, p.Drain(t.Context()))
		require.Equal(t, 2*time.Minute, time.Since(start))
		wg.Wait()
		_, err := p.echo.Call(t.Context(), "")
		require.Equal(t, ErrClosed, err)
		require.Zero(t, p.Stats().Alive)
		require.NoError(t, p.Drain(t.Context()))
	})
}

func TestJobsDrainDeadlineKillsAndCounts(t *testing.T) {
	inBubble(t, JobsConfig{Name: "img", Workers: 1}, func(t *testing.T, p *pool) {
		var wg sync.WaitGroup
		errs := make(chan error, 3)
		for range 3 {
			wg.Go(func() {
				_, err := p.sleep.Call(t.Context(), time.Hour)
				errs <- err
			})
		}
		synctest.Wait()
		cause := errors.New("cause")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause)
		defer cancel()
		err := p.Drain(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, cause)
		require.EqualError(t, err, "cluster: img: drain left 3 calls: context deadline exceeded: cause")
		wg.Wait()
		for range 3 {
			require.Equal(t, ErrClosed, <-errs)
		}
	})
}

func TestJobsDrainKillsProcessesThatDoNotEnd(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 1}, func(t *testing.T, p *pool) {
		serve := p.script
		p.script = func(q *fakeProcess) {
			serve(q)
			<-q.dead // main does not return
		}
		_, err := p.echo.Call(t.Context(), "")
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, p.Drain(t.Context()))
		require.Equal(t, jobExit, time.Since(start))
		require.Equal(t, []signal{sigKill}, p.of(0).got())
	})
	inBubble(t, JobsConfig{Workers: 1}, func(t *testing.T, p *pool) {
		p.script = func(q *fakeProcess) { <-q.dead }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.echo.Call(ctx, "")
		require.Equal(t, context.DeadlineExceeded, err)
		require.NoError(t, p.Drain(t.Context()), "who has not begun is killed")
	})
}

func TestJobsHooksTellOfProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var events []string
		note := func(s string) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, s)
		}
		p := newPool(t, JobsConfig{Workers: 1, Hooks: JobsHooks{
			OnStart: func(int) { note("start") },
			OnExit:  func(_ int, status string) { note(status) },
		}})
		_, err := p.echo.Call(t.Context(), "")
		require.NoError(t, err)
		require.NoError(t, p.Close())
		require.Equal(t, []string{"start", "signal: killed"}, events)
	})
}

func TestRegisterRefusesMistakes(t *testing.T) {
	j, err := NewJobs(JobsConfig{})
	require.NoError(t, err)
	fn := func(context.Context, int) (int, error) { return 0, nil }
	Register(j, "f", fn)
	for want, bad := range map[string]func(){
		`cluster: a function "f" is registered already`:                 func() { Register(j, "f", fn) },
		`cluster: the name "" of a function has 0 bytes, want 1 to 255`: func() { Register(j, "", fn) },
		`cluster: fn is nil`: func() { Register[int, int](j, "g", nil) },
	} {
		require.PanicsWithValue(t, want, bad)
	}
	require.Panics(t, func() { Register(j, strings.Repeat("n", 256), fn) })
}

func TestJobsConfigNamesTheFieldThatIsWrong(t *testing.T) {
	for want, cfg := range map[string]JobsConfig{
		"cluster: JobsConfig.Workers is -1, want 0 to 4096":              {Workers: -1},
		"cluster: JobsConfig.MaxWaiting is -1, want ≥ 0":                 {MaxWaiting: -1},
		"cluster: JobsConfig.StartTimeout is -1s, want ≥ 0":              {StartTimeout: -time.Second},
		"cluster: JobsConfig.Grace is -1s, want ≥ 0":                     {Grace: -time.Second},
		"cluster: JobsConfig.MaxCalls is -1, want ≥ 0":                   {MaxCalls: -1},
		"cluster: JobsConfig.MaxMessage is 67108865, want 0 to 67108864": {MaxMessage: largestMessage + 1},
	} {
		_, err := NewJobs(cfg)
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { MustNewJobs(cfg) })
	}
}

// Callers that leave at any moment leave nothing behind.
func TestJobsUnderAStormOfCancellations(t *testing.T) {
	inBubble(t, JobsConfig{Workers: 4, Grace: time.Millisecond}, func(t *testing.T, p *pool) {
		var wg sync.WaitGroup
		for i := range 400 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%50)*time.Millisecond)
				defer cancel()
				switch i % 3 {
				case 0:
					_, _ = p.echo.Call(ctx, "")
				case 1:
					_, _ = p.sleep.Call(ctx, 10*time.Millisecond)
				case 2:
					_, _ = p.deaf.Call(ctx, 10*time.Millisecond)
				}
			})
		}
		wg.Wait()
		pass(time.Minute)
		s := p.Stats()
		require.Zero(t, s.Busy)
		require.Zero(t, s.Waiting)
		require.LessOrEqual(t, s.Alive, 4)
		for range 4 {
			_, err := p.echo.Call(t.Context(), "")
			require.NoError(t, err)
		}
	})
}
