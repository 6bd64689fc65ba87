package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/bedplate/bedplate/stream"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out, 4321); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1. Write 4321 orders.",
		"north      1081 orders",
		"west       1080 orders",
		"refused: true, no file: true",
		"MiB of heap were in use",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if err := run(t.Context(), &out, 0); err != nil {
		t.Error("no rows:", err)
	}
}

func TestReportRefusesWhatIsNoOrder(t *testing.T) {
	for text, want := range map[string]string{
		"h,h,h,h\n1,north,x,1.00\n2,nowhere,x,1.00\n": `order "2" of "1.00" in "nowhere"`,
		"h,h,h,h\n1,north,x,much\n":                   `order "1" of "much" in "north"`,
		"h,h,h,h\n1,north\n":                          "wrong number of fields",
	} {
		_, err := report(t.Context(), stream.Of([]byte(text)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out strings.Builder
	if err := run(ctx, &out, 10); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
