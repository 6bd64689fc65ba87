package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	run(&out)
	for _, want := range []string{
		"   --- tea\n   mail: order 1\n   the first order ever!\n   --- milk\n   mail: order 2\n",
		"vetoed: order 3 is empty: emitter: stop (true)",
		"level=ERROR msg=\"emitter: listener failed\" topic=created",
		"   --- sugar\n   mail: order 4\n",
		"mail off: true, again: false; 2 listeners",
		"of 1 to 100 the screen heard [1 100] and dropped 98",
		"stock: one salt less\n   audit: order.created {5 salt}",
		"error: no pong",
		"wrong type string, want main.order",
		"possible leak: more listeners than expected\" topic=tick listeners=3 limit=2",
		"names: [error order.created ping tick]",
		"process 0: oil\n   process 1: oil\n   and 0 more",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
