package ratelimit_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs f in a synctest bubble and gives it the means to let time pass.
func bubble(t *testing.T, f func(t *testing.T, sleep func(time.Duration))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		//bedplate:allow sleep: runs in the bubble above
		f(t, time.Sleep)
	})
}
