package sleep_test

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { time.Sleep(time.Hour) })
}

func TestOutside(t *testing.T) { time.Sleep(time.Millisecond) }
