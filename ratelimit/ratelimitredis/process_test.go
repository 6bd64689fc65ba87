package ratelimitredis_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimitredis"
)

const (
	sharedLimit  = 40
	sharedWindow = 500 * time.Millisecond
	sharedTime   = 1600 * time.Millisecond
)

// child takes permits for a while, and prints when it got them.
func child(addr string) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	s := ratelimitredis.MustNew(ratelimitredis.Config{
		Name: os.Getenv("RATELIMITREDIS_NAME"), Client: client, Timeout: 10 * time.Second,
		Limits: []ratelimit.Limit{ratelimit.Per(sharedLimit, sharedWindow)},
	})
	defer s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), sharedTime)
	defer cancel()
	var l load
	l.press(ctx, s, "key", 4)
	if l.degraded > 0 || len(l.errs) > 0 {
		panic(fmt.Sprint(l.degraded, " degraded ", l.errs))
	}
	times := make([][2]int64, len(l.events))
	for i, e := range l.events {
		times[i] = [2]int64{e.asked.UnixNano(), e.told.UnixNano()}
	}
	_ = json.NewEncoder(os.Stdout).Encode(times)
}

// Several processes share one budget, and never exceed it together.
func TestProcessesShareOneBudget(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]func(t *testing.T) string{
		"miniredis": func(t *testing.T) string { return miniredis.RunT(t).Addr() },
		"redis":     real,
	} {
		t.Run(name, func(t *testing.T) {
			addr, name := addr(t), uniqueName(t)
			var children [3]*exec.Cmd
			var events []event
			outs := make([][]byte, len(children))
			errs := make(chan error, len(children))
			for i := range children {
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), "RATELIMITREDIS_CHILD="+addr, "RATELIMITREDIS_NAME="+name)
				cmd.Stderr = os.Stderr
				go func() {
					var err error
					outs[i], err = cmd.Output()
					errs <- err
				}()
			}
			for range children {
				require.NoError(t, <-errs)
			}
			for _, out := range outs {
				var times [][2]int64
				require.NoError(t, json.Unmarshal(out, &times))
				require.NotEmpty(t, times, "each gets some")
				for _, e := range times {
					events = append(events, event{time.Unix(0, e[0]), time.Unix(0, e[1])})
				}
			}
			require.LessOrEqual(t, mostIn(events, sharedWindow), sharedLimit)
			require.GreaterOrEqual(t, len(events), 2*sharedLimit, "and together they get it all")
		})
	}
}
