package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	run(&out)
	for _, want := range []string{
		"most 20 of 20",
		", 0 refused",
		`429, RateLimit: "api";r=0;t=1, Retry-After: 1`,
		"after a second: 200",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
