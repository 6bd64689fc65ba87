// Command eventloop answers a question that is asked about Node.js: in which
// order do these ten lines come out? It has the phases of that event loop in a
// hundred lines of Go, with an order that is fixed, and then says what one does
// in Go instead.
//
//	go run ./examples/eventloop
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	run(os.Stdout)
}

func run(w io.Writer) {
	fmt.Fprintln(w, "The ten lines, on a loop with phases:")
	for i, line := range tenLines() {
		fmt.Fprintf(w, "  %-36s %s\n", line, why[i])
	}
	fmt.Fprintln(w, "\nWhat stands in Go where Node has a phase:")
	idioms(w)
}

// why explains the order, line by line.
var why = []string{
	"the program itself comes first,",
	"to its end",
	"then nextTick, before every other queue,",
	"and the microtasks",
	"timers: it was due at once, and timers come before check, always",
	"check: setImmediate of the program",
	"poll: the file was read meanwhile, by another goroutine",
	"after each callback nextTick again, in the middle of the phase",
	"check comes right after poll,",
	"timers only in the next turn",
}

// tenLines runs the program of the question and returns what it prints.
func tenLines() []string {
	var lines []string
	say := func(s string) { lines = append(lines, s) }
	loop := newLoop()
	loop.run(func() {
		say("1. Script start")
		loop.setTimeout(0, func() { say("2. setTimeout") })
		loop.setImmediate(func() { say("3. setImmediate") })
		loop.readFile(os.Args[0], func([]byte, error) {
			say("4. readFile callback")
			loop.setTimeout(0, func() { say("5. setTimeout inside readFile") })
			loop.setImmediate(func() { say("6. setImmediate inside readFile") })
			loop.nextTick(func() { say("7. nextTick inside readFile") })
		})
		loop.microtask(func() { say("8. Promise") })
		loop.nextTick(func() { say("9. nextTick") })
		say("10. Script end")
	})
	return lines
}
