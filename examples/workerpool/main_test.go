package main

import (
	"context"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	file := filepath.Join(t.TempDir(), "out.png")
	if err := run(t.Context(), &out, 100, 3, file); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"100 × 100 pixels in 16 tiles", "one goroutine:", "3 workers:", "100 %", "16 tasks ran", "written to " + file} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X != 100 || size.Y != 100 {
		t.Errorf("the picture has %v", size)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, new(strings.Builder), 100, 2, filepath.Join(t.TempDir(), "out.png")); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
