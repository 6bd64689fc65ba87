package main

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// report is what a person wants to know afterwards.
func report(w io.Writer, s *screen, bareSeen, guardedSeen []uint64) {
	bare, guarded := s.bare.snapshot(), s.guarded.snapshot()
	fmt.Fprintf(w, "\nphase by phase: calls that succeeded of those begun, p99 of all, requests that reached the server\n")
	fmt.Fprintf(w, "%-14s %21s %21s %17s\n", "", "ok (bare, guarded)", "p99", "server saw")
	for i, p := range s.script {
		if bare[i].calls()+guarded[i].calls() == 0 {
			continue // interrupted before
		}
		fmt.Fprintf(w, "%-14s %10s %10s %10s %10s %8s %8s\n", p.name, share(&bare[i]), share(&guarded[i]),
			ms(bare[i].quantile(0.99)), ms(guarded[i].quantile(0.99)), count(bareSeen, i), count(guardedSeen, i))
	}

	b, g := sum(bare), sum(guarded)
	seconds := s.total.Seconds()
	fmt.Fprintf(w, "\nall in all%17s %10s\n", s.bare.name, s.guarded.name)
	row := func(name, format string, a, b any) {
		fmt.Fprintf(w, "%-16s %10s %10s\n", name, fmt.Sprintf(format, a), fmt.Sprintf(format, b))
	}
	row("calls", "%d", b.calls(), g.calls())
	row("succeeded", "%d", b.ok, g.ok)
	row("goodput", "%.0f/s", float64(b.ok)/seconds, float64(g.ok)/seconds)
	row("p50", "%s", ms(b.quantile(0.5)), ms(g.quantile(0.5)))
	row("p99", "%s", ms(b.quantile(0.99)), ms(g.quantile(0.99)))
	row("time in calls", "%.0fs", spent(&b).Seconds(), spent(&g).Seconds())
	row("requests sent", "%d", b.sent, g.sent)
	if bareSeen != nil {
		row("server saw", "%d", total(bareSeen), total(guardedSeen))
	}

	br, bh, re := s.guards.breaker.Stats(), s.guards.bulkhead.Stats(), s.guards.retry.Stats()
	fmt.Fprintf(w, "\nthe breaker opened %d times and spared the server %d attempts; the bulkhead refused %d;\n",
		br.Opened, br.Refused, bh.RefusedQueueFull+bh.RefusedWaitTooLong+bh.RefusedTurnTooLate)
	fmt.Fprintf(w, "%d retries were made, %d calls recovered by one, the budget held back %d\n\n", re.Retries, re.Recovered, re.OverBudget)
	_, _ = io.WriteString(w, s.timeline())
}

func share(t *tally) string {
	if t.calls() == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100*float64(t.ok)/float64(t.calls()))
}

func count(seen []uint64, i int) string {
	if seen == nil {
		return "-"
	}
	return strconv.FormatUint(seen[i], 10)
}

func total(seen []uint64) uint64 {
	var n uint64
	for _, v := range seen {
		n += v
	}
	return n
}

func spent(t *tally) time.Duration {
	var d time.Duration
	for _, v := range t.took {
		d += v
	}
	return d
}
