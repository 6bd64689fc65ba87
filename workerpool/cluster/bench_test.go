//go:build unix

package cluster_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/bedplate/bedplate/workerpool/cluster"
)

func benchCalls(b *testing.B, cfg cluster.JobsConfig) *calls {
	cfg.Name = "bench"
	c := newCalls(cfg)
	b.Cleanup(func() { _ = c.Close() })
	if _, err := c.pid.Call(b.Context(), 0); err != nil {
		b.Fatal(err)
	}
	return c
}

func BenchmarkJobsCall(b *testing.B) {
	for _, size := range []int{0, 1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("input=%d", size), func(b *testing.B) {
			c := benchCalls(b, cluster.JobsConfig{Workers: 1})
			input := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := c.size.Call(b.Context(), input); err != nil || n != size {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkJobsKill is the whole life of a process: killed, reaped, replaced,
// ready.
func BenchmarkJobsKill(b *testing.B) {
	c := benchCalls(b, cluster.JobsConfig{Workers: 1, Grace: time.Nanosecond})
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), time.Millisecond)
		_, _ = c.spin.Call(ctx, time.Hour)
		cancel()
		if _, err := c.pid.Call(b.Context(), 0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReload is a worker started, ready, and its predecessor gone.
func BenchmarkReload(b *testing.B) {
	cfg := contractConfig()
	cfg.NoSignals = true
	up := make(chan struct{})
	cfg.Hooks.OnUp = func() { close(up) }
	c := cluster.MustNew(cfg)
	done := make(chan error, 1)
	go func() { done <- c.Run(context.Background()) }()
	<-up
	for b.Loop() {
		if err := c.Reload(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	_ = c.Drain(context.Background())
	<-done
}

func BenchmarkCounter(b *testing.B) {
	var c cluster.Counter
	for b.Loop() {
		c.Add(1)
	}
}
