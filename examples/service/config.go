package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/bedplate/bedplate/examples/service/api"
	"github.com/bedplate/bedplate/examples/service/load"
)

// config is what the command line and the environment say.
type config struct {
	addr         string
	data         string
	database     string
	redis        string
	workers      int
	load         load.Mode
	runFor       time.Duration
	drainDelay   time.Duration
	drainTimeout time.Duration
	rounds       int
	breakable    bool
}

// parse reads flags. Each has a variable of the environment that it goes before.
// The key of tokens is a secret and comes from the environment alone.
func parse(args []string, usage io.Writer) (config, error) {
	var c config
	var broken []error // variables that make no sense
	fs := flag.NewFlagSet("service", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.StringVar(&c.addr, "addr", env("ADDR", "127.0.0.1:8080"), "address to listen at (ADDR)")
	fs.StringVar(&c.data, "data", env("DATA_DIR", ""), "folder for the database, the audit log and the key of tokens; one that is removed at the end if empty (DATA_DIR)")
	fs.StringVar(&c.database, "database", env("DATABASE_URL", ""), "URL of a PostgreSQL database; SQLite in the data folder if empty (DATABASE_URL)")
	fs.StringVar(&c.redis, "redis", env("REDIS_ADDR", ""), "address of a Redis server for rate limits; in memory if empty (REDIS_ADDR)")
	fs.IntVar(&c.workers, "workers", parsed(&broken, "WORKERS", 1, strconv.Atoi), "worker processes; below 2 there is one process (WORKERS)")
	fs.BoolVar(&c.load.Load, "load", parsed(&broken, "LOAD", false, strconv.ParseBool), "send the service the traffic of users from the beginning (LOAD)")
	fs.IntVar(&c.load.RPS, "rps", parsed(&broken, "RPS", 50, strconv.Atoi), "requests a second of -load (RPS)")
	fs.DurationVar(&c.runFor, "for", 0, "end by itself after that time; 0 is never")
	fs.DurationVar(&c.drainDelay, "drain-delay", parsed(&broken, "DRAIN_DELAY", 300*time.Millisecond, time.ParseDuration), "serve on for that long while /readyz says no (DRAIN_DELAY)")
	fs.DurationVar(&c.drainTimeout, "drain-timeout", parsed(&broken, "DRAIN_TIMEOUT", 15*time.Second, time.ParseDuration), "for an orderly end (DRAIN_TIMEOUT)")
	fs.IntVar(&c.rounds, "rounds", parsed(&broken, "ROUNDS", 600_000, strconv.Atoi), "rounds of PBKDF2 for new passwords (ROUNDS)")
	fs.BoolVar(&c.breakable, "breakable", parsed(&broken, "BREAKABLE", false, strconv.ParseBool), "let clients break it even though it listens to other machines (BREAKABLE)")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	if fs.NArg() > 0 {
		broken = append(broken, fmt.Errorf("there is an argument %q, want flags alone", fs.Arg(0)))
	}
	if c.load.RPS < 1 || c.load.RPS > api.MaxRPS {
		broken = append(broken, fmt.Errorf("-rps is %d, want 1 to %d", c.load.RPS, api.MaxRPS))
	}
	if c.rounds < 1 {
		broken = append(broken, fmt.Errorf("-rounds is %d, want ≥ 1", c.rounds))
	}
	for name, d := range map[string]time.Duration{"-for": c.runFor, "-drain-delay": c.drainDelay, "-drain-timeout": c.drainTimeout} {
		if d < 0 {
			broken = append(broken, fmt.Errorf("%s is %v, want ≥ 0", name, d))
		}
	}
	c.breakable = c.breakable || loopback(c.addr)
	return c, errors.Join(broken...)
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func parsed[T any](broken *[]error, name string, otherwise T, parse func(string) (T, error)) T {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	v, err := parse(text)
	if err != nil {
		*broken = append(*broken, fmt.Errorf("%s in the environment: %w", name, err))
	}
	return v
}

// loopback reports whether only this machine can reach addr.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
