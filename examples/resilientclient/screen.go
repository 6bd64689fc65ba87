package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/bedplate/bedplate/breaker"
)

// screen shows the run while it lasts: a table that is drawn over itself on a
// terminal, a line a second elsewhere.
type screen struct {
	out      io.Writer
	terminal bool
	script   script
	total    time.Duration
	bare     *client
	guarded  *client
	guards   *guards

	phases []rune // the timeline so far: a mark a tick
	states []rune
	lines  int // lines drawn last time
}

const tick = 250 * time.Millisecond

var stateMarks = map[breaker.State]rune{breaker.Closed: '▁', breaker.HalfOpen: '▄', breaker.Open: '█'}

// frame draws the state at the given time since the start.
func (s *screen) frame(since time.Duration) {
	i := s.script.at(since)
	s.phases = append(s.phases, s.script[i].mark)
	s.states = append(s.states, stateMarks[s.guards.breaker.State()])
	if !s.terminal {
		if len(s.phases)%int(time.Second/tick) == 1 {
			s.line(since, i)
		}
		return
	}
	var b strings.Builder
	if s.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.lines)
	}
	fmt.Fprintf(&b, "%5.1fs of %.0fs   the server is %s\n\n", since.Seconds(), s.total.Seconds(), s.script[i])
	fmt.Fprintf(&b, "%-9s %8s %8s %8s %9s %9s %10s\n", "client", "calls", "ok", "failed", "p50", "p99", "in flight")
	for _, c := range []*client{s.bare, s.guarded} {
		t := sum(c.snapshot())
		fmt.Fprintf(&b, "%-9s %8d %8d %8d %9s %9s %10d\n", c.name, t.calls(), t.ok, t.failed, ms(t.quantile(0.5)), ms(t.quantile(0.99)), c.running.Load())
	}
	st, bh := s.guards.breaker.Stats(), s.guards.bulkhead.Stats()
	fmt.Fprintf(&b, "\nbreaker %-9s refused %-6d  bulkhead %2d of %d in use, %2d waiting  retries %d\n\n",
		st.State, st.Refused, bh.InUse, bh.Limit, bh.Waiting, s.guards.retry.Stats().Retries)
	b.WriteString(s.timeline())
	s.lines = strings.Count(b.String(), "\n")
	_, _ = io.WriteString(s.out, b.String())
}

// line is a frame for a log.
func (s *screen) line(since time.Duration, i int) {
	bare, guarded := sum(s.bare.snapshot()), sum(s.guarded.snapshot())
	fmt.Fprintf(s.out, "%5.1fs  %-13s  breaker %-9s  bare %5d ok %5d failed %4d in flight   guarded %5d ok %5d failed %4d in flight\n",
		since.Seconds(), s.script[i].name, s.guards.breaker.State(), bare.ok, bare.failed, s.bare.running.Load(),
		guarded.ok, guarded.failed, s.guarded.running.Load())
}

// timeline shows the server's phases above the breaker's states, a mark for
// every quarter of a second.
func (s *screen) timeline() string {
	var legend []string
	seen := make(map[rune]bool)
	for _, p := range s.script {
		if !seen[p.mark] {
			seen[p.mark] = true
			legend = append(legend, string(p.mark)+" "+p.name)
		}
	}
	return fmt.Sprintf("server   %s\nbreaker  %s\n         %s\n         ▁ closed, ▄ half-open, █ open; a mark is %v\n",
		string(s.phases), string(s.states), strings.Join(legend, ", "), tick)
}

func sum(tallies []tally) tally {
	var all tally
	for i := range tallies {
		all.add(&tallies[i])
	}
	return all
}

// ms gives a duration in milliseconds, as wide columns want it.
func ms(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1fms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.0fms", d.Seconds()*1e3)
}
