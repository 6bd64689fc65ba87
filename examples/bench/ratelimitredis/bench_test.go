// Package ratelimitredisbench compares bedplate's limiter over Redis with its
// peer, and with the least that a round trip costs, on a real redis-server: that
// in REDIS_ADDR, else one that it starts. Without either it measures nothing.
package ratelimitredisbench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimitredis"
)

// addr is that of the server, empty if there is none.
var addr = os.Getenv("REDIS_ADDR")

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if addr == "" {
			stop := start()
			defer stop()
		}
		return m.Run()
	}())
}

// start starts a server, if there is a binary.
func start() (stop func()) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return func() {}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	addr = l.Addr().String()
	must(l.Close())
	_, port, err := net.SplitHostPort(addr)
	must(err)
	cmd := exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--save", "")
	must(cmd.Start())
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer c.Close()
	for range 1000 {
		if c.Ping(context.Background()).Err() == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
}

func client(tb testing.TB) *redis.Client {
	if addr == "" {
		tb.Skip("no REDIS_ADDR, and no redis-server on PATH")
	}
	c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 128, ContextTimeoutEnabled: true})
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

var runs atomic.Int64

// limiters give n events per minute to each key, all at once if need be.
var limiters = []struct {
	peer string
	make func(tb testing.TB, n int) func(key string) bool
}{
	{"bedplate", func(tb testing.TB, n int) func(string) bool { return ours(tb, ratelimitredis.Config{}, n) }},
	{"bedplate-no-denials", func(tb testing.TB, n int) func(string) bool {
		return ours(tb, ratelimitredis.Config{Denials: -1}, n)
	}},
	{"bedplate-lease", func(tb testing.TB, n int) func(string) bool {
		return ours(tb, ratelimitredis.Config{Lease: ratelimitredis.Lease{Permits: 16}}, n)
	}},
	{"redis_rate", func(tb testing.TB, n int) func(string) bool {
		l := redis_rate.NewLimiter(client(tb))
		prefix := fmt.Sprintf("%d:", runs.Add(1))
		limit := redis_rate.Limit{Rate: n, Burst: n, Period: time.Minute}
		return func(key string) bool {
			res, err := l.Allow(context.Background(), prefix+key, limit)
			must(err)
			return res.Allowed > 0
		}
	}},
}

func ours(tb testing.TB, cfg ratelimitredis.Config, n int) func(string) bool {
	cfg.Client, cfg.Limits, cfg.Timeout = client(tb), []ratelimit.Limit{ratelimit.Per(n, time.Minute)}, 10*time.Second
	cfg.Name = fmt.Sprint(runs.Add(1))
	s := ratelimitredis.MustNew(cfg)
	tb.Cleanup(func() { _ = s.Close() })
	return func(key string) bool {
		d, err := s.Take(context.Background(), key, 1)
		must(err)
		if d.Degraded {
			panic("degraded")
		}
		return d.Allowed
	}
}

// callers is how many goroutines ask at one time, for each processor.
const callers = 32

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("user-%010d", i)
	}
	return out
}

// BenchmarkRedisParallel takes permits that are there, for a thousand keys, from
// many goroutines.
func BenchmarkRedisParallel(b *testing.B) {
	parallel(b, names(1000), 1000, 0)
}

// BenchmarkRedisHotKeyParallel does so for one key.
func BenchmarkRedisHotKeyParallel(b *testing.B) {
	parallel(b, names(1), 1_000_000, 0)
}

// BenchmarkRedisRefusedParallel asks for permits that are not there.
func BenchmarkRedisRefusedParallel(b *testing.B) {
	parallel(b, names(10), 1, 2)
}

func parallel(b *testing.B, names []string, limit, before int) {
	for _, l := range limiters {
		b.Run("peer="+l.peer, func(b *testing.B) {
			allow := l.make(b, limit)
			for range before {
				for _, name := range names {
					allow(name)
				}
			}
			run(b, func(i int) { allow(names[i%len(names)]) })
		})
	}
	b.Run("peer=floor-ping", func(b *testing.B) {
		c := client(b)
		run(b, func(int) { must(c.Ping(context.Background()).Err()) })
	})
}

func run(b *testing.B, call func(i int)) {
	var start atomic.Int64
	b.SetParallelism(callers)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := int(start.Add(7919)); pb.Next(); i++ {
			call(i)
		}
	})
}

// BenchmarkRedisSerial takes permits from one goroutine, which gathers nothing.
func BenchmarkRedisSerial(b *testing.B) {
	names := names(1000)
	for _, l := range limiters {
		b.Run("peer="+l.peer, func(b *testing.B) {
			allow := l.make(b, 1000)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				allow(names[i%len(names)])
				i++
			}
		})
	}
	b.Run("peer=floor-ping", func(b *testing.B) {
		c := client(b)
		b.ReportAllocs()
		for b.Loop() {
			must(c.Ping(context.Background()).Err())
		}
	})
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TestRowsDoTheSameWork: each row admits the limit and refuses the rest, for
// each key apart.
func TestRowsDoTheSameWork(t *testing.T) {
	for _, l := range limiters {
		t.Run(l.peer, func(t *testing.T) {
			allow := l.make(t, 20)
			for i := range 40 {
				require.Equal(t, i < 20, allow("a"))
				require.Equal(t, i < 20, allow("b"))
			}
		})
	}
}
