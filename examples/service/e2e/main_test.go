// Package e2e looks at the service as its users do: through a real Chromium,
// headless, against the built program.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser is the one Chromium of all tests, nil if the machine has none. It and
// binary are written by TestMain alone.
var (
	browser context.Context
	binary  string // the built service, "" if it is not needed
)

var update = flag.Bool("update", false, "write the picture for the README anew")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	chromium := find("chromium", "chromium-browser", "google-chrome", "chrome")
	if chromium == "" {
		fmt.Println("e2e: there is no Chromium on PATH; its tests are skipped")
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		fmt.Println("e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)

	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium),
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.WindowSize(1440, 900),
		chromedp.WSURLReadTimeout(60 * time.Second),
	}
	for _, name := range []string{"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
		"disable-background-networking", "disable-component-update", "disable-sync", "no-default-browser-check",
		"disable-default-apps", "disable-extensions", "disable-background-timer-throttling",
		"disable-renderer-backgrounding", "disable-backgrounding-occluded-windows", "mute-audio"} {
		options = append(options, chromedp.Flag(name, true))
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(alloc)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Println("e2e: Chromium does not start:", err)
		return 1
	}
	browser = ctx

	binary = filepath.Join(dir, "service")
	build := exec.Command("go", "build", "-o", binary, "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("e2e: %v: %s\n", err, out)
		return 1
	}
	return m.Run()
}

func find(names ...string) string {
	if runtime.GOOS == "windows" {
		return "" // kill -9, process groups: the tests are written for Unix
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
