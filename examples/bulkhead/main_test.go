package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	run(&out)
	for _, want := range []string{
		"served 8, refused 2, never more than 2 at once",
		"order: <nil>",
		"report: <nil>",
		"drain: <nil>",
		"then: bulkhead: closed",
		"0 in use, 0 waiting",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
