package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`(?m)^   served 50; median `,
		`1000 failed|99\d of 1000 failed`,
		`db: cannot create: .*connection refused`,
		`(?m)^   served 50$`,
		`held for \d+ms by .*forget \(main\.go:\d+\)`,
		`drain left 1 in use and refused 0 waiting, #\d+ held .*forget.*: context deadline exceeded`,
		`late release: <nil>, and again: pool: lease already released`,
		`close: <nil>`,
		`at one time, 0 left`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
