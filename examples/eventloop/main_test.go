package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var want = []string{
	"1. Script start",
	"10. Script end",
	"9. nextTick",
	"8. Promise",
	"2. setTimeout",
	"3. setImmediate",
	"4. readFile callback",
	"7. nextTick inside readFile",
	"6. setImmediate inside readFile",
	"5. setTimeout inside readFile",
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The order is the same in every run, on the clock of a bubble and on a real one.
func TestTenLines(t *testing.T) {
	for range 20 {
		equal(t, tenLines(), want)
		synctest.Test(t, func(t *testing.T) { equal(t, tenLines(), want) })
	}
}

// Every phase, with times that only a bubble makes exact.
func TestPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		print := func(s string) { got = append(got, s) }
		start := time.Now()
		l := newLoop()
		l.run(func() {
			l.setTimeout(2*time.Hour, func() { print("late timer") })
			l.setTimeout(time.Hour, func() { print("timer a") })
			l.setTimeout(time.Hour, func() {
				print("timer b")
				l.setTimeout(0, func() { print("timer set by a timer") })
				l.setImmediate(func() {
					print("immediate")
					l.setImmediate(func() { print("immediate set by an immediate") })
				})
			})
			l.do(func() func() {
				time.Sleep(90 * time.Minute)
				return func() { print("read in " + time.Since(start).String()) }
			})
			l.microtask(func() {
				print("microtask")
				l.microtask(func() { print("microtask set by one") })
				l.nextTick(func() { print("tick set by a microtask") })
			})
			l.nextTick(func() { print("tick") })
		})
		equal(t, got, []string{
			"tick", "microtask", "tick set by a microtask", "microtask set by one",
			"timer a", "timer b", "immediate", "immediate set by an immediate", "timer set by a timer",
			"read in 1h30m0s", "late timer",
		})
		if d := time.Since(start); d != 2*time.Hour {
			t.Errorf("the loop ended after %v", d)
		}
	})
}

func TestRun(t *testing.T) {
	var out strings.Builder
	run(&out)
	for _, part := range append([]string{"body, after", "42", "after 10 ms", "[0 1 4]", "[a indexed a first b indexed]"}, want...) {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no %q in:\n%s", part, out.String())
		}
	}
}
