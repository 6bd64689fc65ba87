package main

import (
	"fmt"
	"time"
)

// phase is one stretch of the failing server's life.
type phase struct {
	name string
	what string // what the server does to a request
	mark rune   // how the timeline shows it
	long time.Duration
}

// script is the order of phases. Both servers play it from the same moment.
type script []phase

// outage is a bad day of a dependency in a few seconds: each way to fail that
// a client has to tell apart, with a recovery that can't take a stampede.
func outage(step time.Duration) script {
	return script{
		{"healthy", "answers in 5 ms", 'h', step},
		{"slow", "16 requests at a time, 250 ms each", 's', step},
		{"refusing", "503 with Retry-After: 1", '5', step},
		{"reset", "connections are reset", 'r', step},
		{"hung", "accepts and never answers", 'x', step},
		{"recovering", "8 requests at a time, 503 above", 'c', step},
		{"healthy again", "answers in 5 ms", 'h', step},
	}
}

// steady is the script for a server that is not ours: one phase, unknown.
func steady(long time.Duration) script {
	return script{{"as it is", "a server that was pointed at", '·', long}}
}

func (s script) total() time.Duration {
	var sum time.Duration
	for _, p := range s {
		sum += p.long
	}
	return sum
}

// at gives the index of the phase that is on after the given time. Before the
// start it is the first one, after the end the last one.
func (s script) at(since time.Duration) int {
	for i, p := range s {
		if since < p.long {
			return i
		}
		since -= p.long
	}
	return len(s) - 1
}

func (p phase) String() string { return fmt.Sprintf("%s (%s)", p.name, p.what) }
