package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/examples/service/api"
	"github.com/bedplate/bedplate/examples/service/load"
)

// TestSoak runs the service under load for as long as SOAK says, with every fault
// now and then, and wants the goroutines and the heap of the end to be those of
// the beginning.
//
//	SOAK=30m go test -run Soak -timeout 0 .
func TestSoak(t *testing.T) {
	text := os.Getenv("SOAK")
	if text == "" {
		t.Skip("SOAK says for how long: SOAK=30m go test -run Soak -timeout 0 .")
	}
	lasts, err := time.ParseDuration(text)
	require.NoError(t, err)
	cfg, err := parse([]string{"-addr", "127.0.0.1:0", "-data", t.TempDir(), "-rounds", "1000"}, io.Discard)
	require.NoError(t, err)
	ctx := context.Background()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.addr)
	require.NoError(t, err)
	control := &local{traffic: load.New("http://" + l.Addr().String())}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	p, err := open(ctx, cfg, 0, control.command, control.traffic.Sent, log)
	require.NoError(t, err)
	control.api = p.api
	front := &lastCall{TCPListener: l.(*net.TCPListener)}
	server, served := newServer(p.api.Handler(), log), make(chan error, 1)
	server.ConnState = control.busy.track
	go func() { served <- server.Serve(front) }()
	require.NoError(t, control.command(ctx, api.Command{What: "load", On: true, RPS: 150}))

	// Rounds of equal length, each with the same faults; the last third of a
	// round is without, and ends with what is measured.
	const rounds = 10
	var heaps, goroutines []float64
	for round := range rounds {
		for _, fault := range []string{"fail", "hang", "flood", "database"} {
			for _, on := range []bool{true, false} {
				require.NoError(t, control.command(ctx, api.Command{What: fault, On: on}))
				time.Sleep(lasts / rounds / 12)
			}
		}
		time.Sleep(lasts / rounds / 3)
		heap, n := settled()
		heaps, goroutines = append(heaps, heap), append(goroutines, n)
		t.Logf("round %d: heap %.2f MB, %v goroutines, %d requests", round, heap/1e6, n, control.traffic.Report().Requests)
	}
	require.NoError(t, control.drain(p, front, server, served, cfg))
	report := control.traffic.Report()
	t.Log(report)
	require.Zero(t, report.Lost)
	require.Zero(t, report.Status["5xx"])

	// Caches fill up in the first rounds. Of the others the last half must not be
	// above the first by more than a tenth and a megabyte, or ten goroutines.
	early, late := heaps[2:6], heaps[6:]
	require.LessOrEqual(t, median(late), median(early)*1.1+1e6, "heap: %v", heaps)
	require.LessOrEqual(t, median(goroutines[6:]), median(goroutines[2:6])+10, "goroutines: %v", goroutines)
}

// settled is the heap after collections, and the goroutines.
func settled() (heap, goroutines float64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), float64(runtime.NumGoroutine())
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
