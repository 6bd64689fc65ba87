package main

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv("EXAMPLE_CHILD"); addr != "" {
		child(os.Stdout, addr)
		return
	}
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	t.Setenv("REDIS_ADDR", "") // a server that may be stopped
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"30 of 30\n",
		"of 1000 requests 10 were admitted",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
