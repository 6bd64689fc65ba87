package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/bedplate/bedplate/emitter"
)

// idioms shows, for each phase, how a Go program gets what the phase is for.
// Goroutines have no phases: which of several runs first, which ready case a
// select takes and in which order a map is ranged over are not specified. An
// order that matters is made, by whoever needs it.
func idioms(w io.Writer) {
	say := func(phase, idiom, result string) { fmt.Fprintf(w, "  %-13s %-46s %s\n", phase, idiom, result) }

	// nextTick, microtask: "as soon as I have returned" is defer, and what the
	// caller does next.
	order := ""
	func() {
		defer func() { order += "after" }()
		order += "body, "
	}()
	say("nextTick", "defer, or the next statement", order)

	// A promise is a function that waits for its result.
	answer := sync.OnceValue(func() int { return 42 })
	say("promise", "sync.OnceValue, or a channel of one", strconv.Itoa(answer()))

	// Timers: a goroutine may simply wait, until its context ends.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	fired := make(chan string)
	defer context.AfterFunc(ctx, func() { fired <- "after 10 ms" })()
	say("timers", "context.AfterFunc, time.NewTimer in a select", <-fired)

	// Poll: blocking I/O is the idiom. The runtime parks the goroutine, and its
	// poller is the phase.
	var files [3]int
	var group sync.WaitGroup
	for i := range files {
		group.Go(func() { files[i] = i * i }) // a read that may block
	}
	group.Wait()
	say("poll", "a goroutine for each, WaitGroup to join", fmt.Sprint(files))

	// Check: "when this round is done" is one goroutine that owns the state and
	// takes from a channel what others want done.
	inbox := make(chan func())
	state, finished := 0, make(chan struct{})
	go func() {
		defer close(finished)
		for fn := range inbox {
			fn()
		}
	}()
	for range 3 {
		inbox <- func() { state++ }
	}
	close(inbox)
	<-finished
	say("check", "one goroutine owns the state, others send", strconv.Itoa(state))

	// Callbacks in an order: a topic of package emitter.
	var saved emitter.Topic[string]
	var heard []string
	saved.On(func(name string) { heard = append(heard, name+" indexed") })
	saved.Once(func(name string) { heard = append(heard, name+" first") })
	saved.Emit("a")
	saved.Emit("b")
	say("callbacks", "emitter.Topic: listeners in order, no loop", fmt.Sprint(heard))
}
