// Command service is a small web service on all packages of this module: short
// links with accounts, a page that shows every guard at work, and switches that
// break things.
//
//	cd examples/service && go run .
//
// README.md says what to look at.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

// run is the program: one process, or the master and the workers of a cluster.
func run(ctx context.Context, args []string, out, logs io.Writer) error {
	cfg, err := parse(args, logs)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(logs, nil))
	if cfg.workers > 1 {
		return runCluster(ctx, cfg, out, log)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	// The first signal asks for an orderly end; after that signals do what they
	// do to any program, so that the second one ends it.
	context.AfterFunc(ctx, stop)
	defer stop()
	return runAlone(ctx, cfg, out, log)
}
