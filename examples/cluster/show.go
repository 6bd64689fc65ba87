package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bedplate/bedplate/workerpool/cluster"
)

const (
	tick    = 200 * time.Millisecond
	clients = 4
	recent  = 8 // events that the table shows
)

// journal keeps what happened.
type journal struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

// since returns the lines from the nth on.
func (j *journal) since(n int) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.lines[min(n, len(j.lines)):]...)
}

// load is clients that ask as fast as they are answered, each time on a new
// connection, so that all workers get their share.
type load struct {
	url        string
	ok, failed atomic.Int64
}

func newLoad(addr string) *load { return &load{url: "http://" + addr} }

func (l *load) run(ctx context.Context) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				l.ask(ctx, client)
			}
		})
	}
	wg.Wait()
}

func (l *load) ask(ctx context.Context, client *http.Client) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, http.NoBody)
	if err != nil {
		return
	}
	res, err := client.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	switch {
	case ctx.Err() != nil: // it was cut off by us
	case err != nil:
		l.failed.Add(1)
	default:
		l.ok.Add(1)
	}
}

// table shows the cluster while it runs: drawn over itself on a terminal, event
// by event elsewhere.
type table struct {
	out      io.Writer
	terminal bool
	cluster  *cluster.Cluster
	events   *journal
	load     *load

	lines int // drawn last time
	told  int // events written to a log
}

func (t *table) watch(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		t.frame()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (t *table) frame() {
	if !t.terminal {
		t.log()
		return
	}
	var b strings.Builder
	if t.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", t.lines)
	}
	t.draw(&b)
	all := t.events.since(0)
	b.WriteString("\n")
	for _, line := range all[max(0, len(all)-recent):] {
		fmt.Fprintln(&b, line)
	}
	t.lines = strings.Count(b.String(), "\n")
	_, _ = io.WriteString(t.out, b.String())
}

// draw writes the workers as they are.
func (t *table) draw(w io.Writer) {
	s := t.cluster.Stats()
	fmt.Fprintf(w, "%s, %d of %d ready   requests %d answered, %d failed\n\n", s.State, s.Ready, s.Workers, t.load.ok.Load(), t.load.failed.Load())
	fmt.Fprintf(w, "%4s  %-11s %7s %6s %8s %8s %9s\n", "slot", "state", "pid", "starts", "age", "memory", "requests")
	for _, slot := range s.Slots {
		fmt.Fprintf(w, "%4d  %-11s %7d %6d %8s %5.1f MB %9d\n", slot.Slot, slot.State, slot.Pid, slot.Starts,
			slot.Age.Round(100*time.Millisecond), float64(slot.RSS)/1e6, slot.Counters["requests"])
	}
}

// log writes the events that are new.
func (t *table) log() {
	for _, line := range t.events.since(t.told) {
		fmt.Fprintf(t.out, "%6d answered, %d failed   %s\n", t.load.ok.Load(), t.load.failed.Load(), line)
		t.told++
	}
}

// report is the last word, when all workers are gone.
func (t *table) report() {
	if !t.terminal {
		t.log()
	}
	s := t.cluster.Stats()
	fmt.Fprintf(t.out, "\nall workers are gone: %d processes were started, %d requests answered, %d failed\n", s.Starts, t.load.ok.Load(), t.load.failed.Load())
	fmt.Fprintf(t.out, "the workers counted %d requests; ends by reason: %v\n", s.Counters["requests"], s.Exits)
}
