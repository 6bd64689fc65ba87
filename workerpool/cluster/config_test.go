//go:build unix

package cluster

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func nothing(context.Context, *Worker) error { return nil }

func TestConfigDefaults(t *testing.T) {
	c, err := New(Config{Work: nothing})
	require.NoError(t, err)
	cfg := c.cfg
	cfg.Work = nil
	require.Equal(t, Config{
		Workers:      2,
		StartTimeout: 30 * time.Second,
		StopTimeout:  10 * time.Second,
		KillAfter:    2 * time.Second,
		MinBackoff:   100 * time.Millisecond,
		MaxBackoff:   30 * time.Second,
		StableAfter:  10 * time.Second,
		MaxRestarts:  5,
		Window:       time.Minute,
		ReportEvery:  time.Second,
		HungAfter:    30 * time.Second,
		MaxMessage:   64 << 10,
	}, cfg)
}

func TestConfigDefaultsFollowWhatIsSet(t *testing.T) {
	c, err := New(Config{Work: nothing, MinBackoff: time.Hour, ReportEvery: time.Minute})
	require.NoError(t, err)
	require.Equal(t, time.Hour, c.cfg.MaxBackoff)
	require.Equal(t, 2*time.Minute, c.cfg.HungAfter)
}

func TestConfigNamesTheFieldThatIsWrong(t *testing.T) {
	listen := func(l ...Listen) Config { return Config{Work: nothing, Listen: l} }
	for want, cfg := range map[string]Config{
		"cluster: Config.Work is nil, want a function": {},
		"cluster: Config.Workers is -1, want 0 to 4096": {
			Work: nothing, Workers: -1,
		},
		"cluster: Config.Workers is 4097, want 0 to 4096": {
			Work: nothing, Workers: 4097,
		},
		"cluster: Config.StartTimeout is -1ns, want ≥ 0": {
			Work: nothing, StartTimeout: -1,
		},
		"cluster: Config.StopTimeout is -1ns, want ≥ 0": {
			Work: nothing, StopTimeout: -1,
		},
		"cluster: Config.KillAfter is -1ns, want ≥ 0": {
			Work: nothing, KillAfter: -1,
		},
		"cluster: Config.MinBackoff is -1ns, want ≥ 0": {
			Work: nothing, MinBackoff: -1,
		},
		"cluster: Config.MaxBackoff is 1ms, want ≥ MinBackoff, which is 100ms": {
			Work: nothing, MaxBackoff: time.Millisecond,
		},
		"cluster: Config.StableAfter is -1ns, want ≥ 0": {
			Work: nothing, StableAfter: -1,
		},
		"cluster: Config.MaxRestarts is -1, want ≥ 0": {
			Work: nothing, MaxRestarts: -1,
		},
		"cluster: Config.Window is -1ns, want ≥ 0": {
			Work: nothing, Window: -1,
		},
		"cluster: Config.MaxAge is -1ns, want ≥ 0": {
			Work: nothing, MaxAge: -1,
		},
		"cluster: Config.ReportEvery is -1ns, want ≥ 0": {
			Work: nothing, ReportEvery: -1,
		},
		"cluster: Config.HungAfter is 1s, want ≥ twice ReportEvery, which is 1s": {
			Work: nothing, HungAfter: time.Second,
		},
		"cluster: Config.MaxMessage is -1, want 0 to 67108864": {
			Work: nothing, MaxMessage: -1,
		},
		"cluster: Config.MaxMessage is 67108865, want 0 to 67108864": {
			Work: nothing, MaxMessage: largestMessage + 1,
		},
		"cluster: Config.Listen is 65 sockets, want at most 64": listen(make([]Listen, 65)...),
		`cluster: Config.Listen[0].Network is "", want tcp, tcp4, tcp6, unix, udp, udp4, udp6 or unixgram`: listen(
			Listen{Name: "a"}),
		`cluster: Config.Listen[0].Name is "", want a name of its own`: listen(
			Listen{Network: "tcp"}),
		`cluster: Config.Listen[1].Name is "a", want a name of its own`: listen(
			Listen{Name: "a", Network: "tcp"},
			Listen{Name: "a", Network: "tcp"}),
	} {
		_, err := New(cfg)
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { MustNew(cfg) })
	}
}

func TestConfigOfTheLongestTimesDoesNotOverflow(t *testing.T) {
	const most = math.MaxInt64
	c, err := New(Config{
		Work: nothing, StartTimeout: most, StopTimeout: most, KillAfter: most, MinBackoff: most, MaxBackoff: most,
		StableAfter: most, Window: most, MaxAge: most, ReportEvery: most / 2, HungAfter: most,
	})
	require.NoError(t, err)
	m := newMachine(c.cfg.rule(), 1, func() float64 { return 0 })
	m.start(time.Hour)
	require.Greater(t, m.next(), time.Hour)
	m.ready(time.Hour, 1)
	require.Greater(t, m.next(), time.Hour)
	m.exited(time.Hour, 1, false)
	require.Greater(t, m.next(), time.Hour)
	m.stop(time.Hour)
	require.True(t, m.over())
}

func TestMessagesOutOfBoundsAreNamed(t *testing.T) {
	cfg := Config{MaxMessage: 10}
	require.NoError(t, cfg.checkMessage(Message{Topic: strings.Repeat("t", maxTopic), Data: make([]byte, 10)}))
	err := cfg.checkMessage(Message{Data: make([]byte, 11)})
	require.ErrorIs(t, err, ErrTooLarge)
	require.EqualError(t, err, "cluster: too large: the data of a message has 11 bytes, want at most 10")
	err = cfg.checkMessage(Message{Topic: strings.Repeat("t", maxTopic+1)})
	require.EqualError(t, err, "cluster: too large: the topic of a message has 256 bytes, want at most 255")
	require.Equal(t, maxControl, cfg.limit(), "reports must fit, however small messages are")
	require.Equal(t, largestMessage+256, Config{MaxMessage: largestMessage}.limit())
}

func TestErrorsMatchTheirSentinelsAlone(t *testing.T) {
	cause := errors.New("cause")
	all := []error{ErrUnsupported, ErrClosed, ErrNotRunning, ErrBusy, ErrRole, ErrGone, ErrTooLarge, ErrFull, ErrCrashLoop, ErrForced, ErrPanic, ErrLost}
	for _, c := range []struct {
		err  error
		is   error
		text string
	}{
		{&CrashLoopError{Name: "web", Slot: 1, Failures: 6, Last: "exit status 1"}, ErrCrashLoop,
			"cluster: web: crash loop, slot 1 failed 6 times, the last worker: exit status 1"},
		{&StopError{Forced: []Forced{{1, 2, "signal: killed"}}}, ErrForced,
			"cluster: 1 workers had to be forced to stop: slot 1 pid 2 (signal: killed)"},
		{&StopError{Name: "web", Forced: []Forced{{0, 7, "abandoned"}, {1, 8, "signal: killed"}}, cause: cause}, ErrForced,
			"cluster: web: 2 workers had to be forced to stop: slot 0 pid 7 (abandoned), slot 1 pid 8 (signal: killed): cause"},
		{&ReloadError{Name: "web", Slot: 3, Last: "exit status 1"}, nil,
			"cluster: web: reload stopped at slot 3, whose new worker did not become ready: exit status 1"},
		{&FuncError{Func: "f", Text: "the text"}, nil, "the text"},
		{&PanicError{Func: "f", Text: "the value"}, ErrPanic, "cluster: panic in f: the value"},
		{&LostError{Func: "f", Pid: 9, Status: "signal: killed"}, ErrLost, "cluster: the worker process 9 of f is lost: signal: killed"},
	} {
		require.EqualError(t, c.err, c.text)
		for _, sentinel := range all {
			require.Equal(t, sentinel == c.is, errors.Is(c.err, sentinel), "%v is %v", c.err, sentinel)
		}
	}
	require.ErrorIs(t, &StopError{cause: cause}, cause)
	require.ErrorIs(t, ErrUnsupported, errors.ErrUnsupported)
}
