package ratelimit_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
)

// benchLimits are the rules whose calls cost differently.
var benchLimits = map[string][]ratelimit.Limit{
	"window":  {ratelimit.Per(100, time.Microsecond)},
	"stepped": {ratelimit.Per(1000, 10*time.Microsecond)},
	"gcra":    {ratelimit.Rate(1000, 10*time.Microsecond, 1000)},
	"two":     {ratelimit.Per(100, time.Microsecond), ratelimit.Per(200, 2*time.Microsecond)},
}

func BenchmarkAllow(b *testing.B) {
	for name, limits := range benchLimits {
		b.Run("form=single/limit="+name, func(b *testing.B) {
			l := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: limits})
			b.ReportAllocs()
			for b.Loop() {
				l.Allow()
			}
		})
		b.Run("form=keyed/limit="+name, func(b *testing.B) {
			l := ratelimit.MustNew(ratelimit.Config[string]{Limits: limits})
			b.ReportAllocs()
			for b.Loop() {
				l.Allow("k")
			}
		})
	}
}

func BenchmarkTake(b *testing.B) {
	for name, limits := range benchLimits {
		b.Run("limit="+name, func(b *testing.B) {
			l := ratelimit.MustNew(ratelimit.Config[string]{Limits: limits})
			b.ReportAllocs()
			for b.Loop() {
				l.Take("k", 1)
			}
		})
	}
}

// BenchmarkRefused is what a call costs that gets nothing.
func BenchmarkRefused(b *testing.B) {
	for name, limit := range map[string]ratelimit.Limit{
		"window":  ratelimit.Per(100, time.Hour),
		"stepped": ratelimit.Per(1000, time.Hour),
		"gcra":    ratelimit.Rate(100, time.Hour, 100),
	} {
		b.Run("form=single/limit="+name, func(b *testing.B) {
			l := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{limit}})
			l.TakeAtMost(1000)
			b.ReportAllocs()
			for b.Loop() {
				l.Allow()
			}
		})
		b.Run("form=keyed/limit="+name, func(b *testing.B) {
			l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{limit}})
			l.TakeAtMost("k", 1000)
			b.ReportAllocs()
			for b.Loop() {
				l.Allow("k")
			}
		})
	}
}

// BenchmarkNewKeys is the first event of a key; B/op are its bytes, and those
// of the growth.
func BenchmarkNewKeys(b *testing.B) {
	keys := make([]string, 1<<18)
	for i := range keys {
		keys[i] = "user-" + strconv.Itoa(i)
	}
	l := ratelimit.MustNew(ratelimit.Config[string]{})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i == len(keys) {
			l, i = ratelimit.MustNew(ratelimit.Config[string]{}), 0
		}
		l.Allow(keys[i])
		i++
	}
}
