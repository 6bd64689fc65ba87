package migrate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/bedplate/bedplate/ratelimit"
)

func allowBefore() func() bool {
	l := rate.NewLimiter(10, 10) // ten a second, ten at once
	return l.Allow
}

func allowAfter() func() bool {
	l := ratelimit.MustNewSingle(ratelimit.SingleConfig{
		Limits: []ratelimit.Limit{{N: 10, Window: time.Second}},
	})
	return l.Allow
}

// TestXTimePair asks fifteen times at once, and again when a second has passed.
func TestXTimePair(t *testing.T) {
	run := func(allow func() bool) (got []int) {
		for range 3 {
			n := 0
			for range 15 {
				if allow() {
					n++
				}
			}
			got = append(got, n)
			time.Sleep(time.Second)
		}
		return got
	}
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, []int{10, 10, 10}, run(allowBefore()))
		require.Equal(t, []int{10, 10, 10}, run(allowAfter()))
	})
}

// TestXTimeDiffers: a bucket lets twice as many through in a second as it says.
func TestXTimeDiffers(t *testing.T) {
	most := func(allow func() bool) (n int) {
		for range 11 { // within one second
			for range 100 {
				if allow() {
					n++
				}
			}
			time.Sleep(time.Second/10 - time.Microsecond)
		}
		return n
	}
	synctest.Test(t, func(t *testing.T) {
		require.Greater(t, most(allowBefore()), 18)
		require.Equal(t, 10, most(allowAfter()))
	})
}
