package retryhttp

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// overloaded is the default of Config.Failed.
func overloaded(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// A StatusError stands for a response that failed: in the events of
// Config.Retry.Hooks, and in the error of a call whose context ended before the
// next attempt. When there is a response to return, RoundTrip returns that.
type StatusError struct {
	// StatusCode is that of the response.
	StatusCode int

	retryAfter time.Duration
}

// Error returns the status in words.
func (e *StatusError) Error() string {
	return fmt.Sprintf("retryhttp: status %d %s", e.StatusCode, http.StatusText(e.StatusCode))
}

// RetryAfter returns the delay that the response asked for, or 0.
func (e *StatusError) RetryAfter() time.Duration { return e.retryAfter }

// retryAfter reads the Retry-After header. It is 0 if there is none, if it is
// malformed, or if its date has passed.
func retryAfter(resp *http.Response) time.Duration {
	value := resp.Header.Get("Retry-After")
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		const most = uint64(1<<63-1) / uint64(time.Second)
		return time.Duration(min(seconds, most)) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	// The server's own clock, if it shows it, is the one the date is meant in.
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(date.Sub(now), 0)
}
