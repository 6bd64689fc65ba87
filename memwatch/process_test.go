package memwatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
)

const (
	childMode = "MEMWATCH_TEST_CHILD"
	childDir  = "MEMWATCH_TEST_DIR"
	patience  = 40 * time.Second
)

// garbage is written so that what is allocated escapes.
var garbage [][]byte

// churn allocates a megabyte that nothing keeps.
func churn() {
	garbage = garbage[:0]
	for range 16 {
		garbage = append(garbage, make([]byte, 64<<10))
	}
}

var kept struct {
	byKey     map[int][]byte
	views     [][]byte
	listeners []func()
	bodies    []io.ReadCloser
	log       []byte
}

// The leaks. Each step keeps some 128 KiB for ever.
var leaks = map[string]func(i int){
	"churn":      func(int) {},
	"map":        leakMap,
	"subslice":   leakSubslice,
	"listener":   leakListener,
	"goroutines": leakGoroutines,
	"body":       leakBody,
	"append":     leakAppend,
}

// leakAppend lets one slice grow. It is one object at any time.
func leakAppend(int) {
	kept.log = append(kept.log, make([]byte, 128<<10)...)
}

func leakMap(i int) {
	if kept.byKey == nil {
		kept.byKey = make(map[int][]byte)
	}
	for j := range 128 {
		kept.byKey[i*128+j] = make([]byte, 1<<10)
	}
}

// leakSubslice keeps eight bytes, and with them the array they are in.
func leakSubslice(int) {
	whole := make([]byte, 128<<10)
	kept.views = append(kept.views, whole[:8])
}

// leakListener subscribes and never unsubscribes.
func leakListener(int) {
	state := make([]byte, 128<<10)
	kept.listeners = append(kept.listeners, func() { state[0]++ })
}

// leakGoroutines starts receivers that nobody sends to.
func leakGoroutines(int) {
	for range 8 {
		go waitForever(make(chan int))
	}
}

func waitForever(c chan int) {
	buffer := make([]byte, 8<<10)
	buffer[0] = byte(<-c)
	churnByte = buffer[0]
}

var churnByte byte

var server *httptest.Server

// leakBody drops a response without closing its body, which keeps the
// connection with its buffers and two goroutines.
func leakBody(int) {
	if server == nil {
		server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 64<<10))
		}))
	}
	resp, err := http.Get(server.URL)
	if err != nil {
		panic(err)
	}
	kept.bodies = append(kept.bodies, resp.Body)
}

// child leaks in one way until its watcher is sure, or, if it must not be, for
// a few seconds. It prints the last report.
func child(mode string) {
	switch mode {
	case "pressure":
		childPressure()
		return
	case "panic":
		childPanic()
		return
	}
	w := memwatch.MustNew(memwatch.Config{Name: mode, Interval: 20 * time.Millisecond})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	until := time.Now().Add(patience)
	if mode == "churn" {
		until = time.Now().Add(4 * time.Second)
	}
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	var r memwatch.Report
	for i := 0; time.Now().Before(until); i++ {
		leaks[mode](i)
		churn()
		if i%50 == 49 {
			r = w.Analyze()
			if mode != "churn" && r.Verdict >= memwatch.Suspect && r.Class <= memwatch.Heap && (len(r.Sites) > 0 && (r.Sites[0].Z > 5 || mode == "append") || len(r.Goroutines) > 0) {
				break
			}
		}
		<-pace.C
	}
	if mode == "goroutines" {
		r, _ = w.Confirm(ctx)
	}
	cancel()
	<-done
	_ = json.NewEncoder(os.Stdout).Encode(r)
}

// childPressure sets GOMEMLIMIT and leaks towards it until the level is
// Critical. It prints each change of the level.
func childPressure() {
	debug.SetMemoryLimit(96 << 20)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var changes []memwatch.PressureChange
	w := memwatch.MustNew(memwatch.Config{Interval: 5 * time.Millisecond, Pressure: memwatch.PressureConfig{Stall: 1}, Hooks: memwatch.Hooks{
		OnPressure: func(c memwatch.PressureChange) {
			changes = append(changes, c)
			if c.Pressure.Level == memwatch.Critical {
				cancel()
			}
		},
	}})
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		leakMap(i)
		<-pace.C
	}
	<-done
	_ = json.NewEncoder(os.Stdout).Encode(changes)
}

// childPanic has an action that writes half of a file and panics.
func childPanic() {
	w := memwatch.MustNew(memwatch.Config{
		Limit: 1,
		Files: memwatch.FilesConfig{Dir: os.Getenv(childDir)},
		Actions: []memwatch.Action{{Name: "bad", Write: func(to io.Writer, _ memwatch.Episode) error {
			_, _ = to.Write(make([]byte, 100))
			panic("in the action")
		}}},
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = w.Run(ctx)
}

// A panic in an action ends the process as any other does, with its own stack,
// and leaves no half of a file.
func TestProcessWhoseActionPanicsEnds(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childMode+"=panic", childDir+"="+dir)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 2, exit.ExitCode())
	require.Contains(t, string(out), "panic: in the action")
	require.Contains(t, string(out), "memwatch_test.childPanic.func1")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// output is what a child prints.
func output(t *testing.T, mode string) []byte {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childMode+"="+mode)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", stderr.String())
	return out
}

func run(t *testing.T, mode string) memwatch.Report {
	t.Helper()
	out := output(t, mode)
	var r memwatch.Report
	require.NoError(t, json.Unmarshal(out, &r), "%s", out)
	return r
}

// A real heap that approaches a real GOMEMLIMIT passes the levels in order.
func TestProcessUnderPressureTellsOfEachLevel(t *testing.T) {
	var changes []memwatch.PressureChange
	require.NoError(t, json.Unmarshal(output(t, "pressure"), &changes))
	require.NotEmpty(t, changes)
	level := memwatch.Normal
	for _, c := range changes {
		require.Equal(t, level, c.From)
		level = c.Pressure.Level
		require.Equal(t, memwatch.GoLimit, c.Pressure.Kind, "%s", c.Pressure)
		require.EqualValues(t, 96<<20, c.Pressure.Bound.Limit)
		require.Equal(t, c.Pressure.Bound.Headroom(), c.Pressure.Headroom)
	}
	require.Equal(t, memwatch.Critical, level)
}

func TestProcessThatLeaksIsNamedByItsLine(t *testing.T) {
	for mode, want := range map[string]string{
		"map":      "memwatch_test.leakMap",
		"subslice": "memwatch_test.leakSubslice",
		"listener": "memwatch_test.leakListener",
		"append":   "memwatch_test.leakAppend",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel() // a process is idle for most of its life
			r := run(t, mode)
			require.GreaterOrEqual(t, r.Verdict, memwatch.Suspect, "%s", r)
			require.Equal(t, memwatch.Heap, r.Class, "%s", r)
			require.NotEmpty(t, r.Sites, "%s", r)
			require.Positive(t, r.SitesWindow, "%s", r)
			require.LessOrEqual(t, r.SitesWindow, r.Duration+time.Second, "%s", r)
			site := r.Sites[0]
			require.True(t, strings.HasSuffix(site.Func, want), "%s", r)
			require.True(t, strings.HasSuffix(site.File, "process_test.go"), "%s", r)
			require.Contains(t, site.Stack[0], fmt.Sprintf("process_test.go:%d", site.Line))
			require.Contains(t, strings.Join(site.Stack, "\n"), "memwatch_test.child")
			require.Less(t, site.Lo, site.Growth)
			require.Less(t, site.Growth, site.Hi)
		})
	}
}

func TestProcessThatLeaksGoroutinesIsNamedByWhereTheyWait(t *testing.T) {
	r := run(t, "goroutines")
	require.GreaterOrEqual(t, r.Verdict, memwatch.Suspect, "%s", r)
	require.Equal(t, memwatch.Goroutines, r.Class, "%s", r)
	require.NotEmpty(t, r.Goroutines, "%s", r)
	require.True(t, strings.HasSuffix(r.Goroutines[0].Func, "memwatch_test.waitForever"), "%s", r)
	require.Greater(t, r.Goroutines[0].Count, 100)
	if pprof.Lookup("goroutineleak") != nil { // only some runtimes have the profile
		require.NotEmpty(t, r.Leaked, "%s", r)
		require.True(t, strings.HasSuffix(r.Leaked[0].Func, "memwatch_test.waitForever"), "%s", r)
	}
}

func TestProcessThatClosesNoBodyIsFoundAsGoroutines(t *testing.T) {
	r := run(t, "body")
	require.GreaterOrEqual(t, r.Verdict, memwatch.Suspect, "%s", r)
	require.Equal(t, memwatch.Goroutines, r.Class, "%s", r)
	require.NotEmpty(t, r.Goroutines)
	require.Contains(t, strings.Join(r.Goroutines[0].Stack, "\n"), "net/http.")
}

// raceDetector reports whether this binary is built with -race.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func TestProcessThatChurnsIsNotAccused(t *testing.T) {
	r := run(t, "churn")
	if !raceDetector() || r.Class != memwatch.OffHeap { // its shadow memory grows outside of Go
		require.Less(t, r.Verdict, memwatch.Suspect, "%s", r)
	}
	for _, trend := range r.Trends {
		require.False(t, trend.Class <= memwatch.Heap && trend.Verdict >= memwatch.Suspect, "%s", r)
	}
	require.Greater(t, r.Verdict, memwatch.Insufficient, "%s", r)
	for _, s := range r.Sites {
		require.NotContains(t, s.Func, "memwatch_test.churn", "%s", r)
	}
}
