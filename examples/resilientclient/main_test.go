package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain lets the test binary be the server, as the program is.
func TestMain(m *testing.M) {
	if step := os.Getenv(serveEnv); step != "" {
		exit(serveStep(step))
		return
	}
	goleak.VerifyTestMain(m)
}

func short() options {
	return options{phase: 400 * time.Millisecond, long: time.Second, rate: 100, patience: 500 * time.Millisecond}
}

// buffer may be read while run writes to it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestRunShowsEveryPhaseAndTheBreakerOpening(t *testing.T) {
	var out buffer
	require.NoError(t, run(t.Context(), &out, short()))
	text := out.String()
	for _, want := range []string{"healthy", "slow", "refusing", "reset", "hung", "recovering", "server saw", "goodput", "p99", "█"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "the breaker opened 0 times")
}

func TestRunDrainsAndReportsWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out buffer
	done := make(chan error, 1)
	opt := short()
	opt.phase = time.Hour
	go func() { done <- run(ctx, &out, opt) }()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "breaker closed") }, 20*time.Second, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	require.Contains(t, out.String(), "interrupted")
	require.Contains(t, out.String(), "all in all")
}

func TestRunCanBePointedAtAnotherServer(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.Path)
	}))
	defer server.Close()
	opt := short()
	opt.url, opt.terminal = server.URL, true
	var out buffer
	require.NoError(t, run(t.Context(), &out, opt))
	mu.Lock()
	defer mu.Unlock()
	require.Contains(t, asked, "/item")
	require.Contains(t, out.String(), "as it is")
	require.NotContains(t, out.String(), "server saw  ", "a stranger does not tell")
}

func TestOptionsOutOfRangeAreNamed(t *testing.T) {
	for want, change := range map[string]func(*options){
		"-rate is 0":      func(o *options) { o.rate = 0 },
		"-phase is 1ms":   func(o *options) { o.phase = time.Millisecond },
		"-patience is 0s": func(o *options) { o.patience = 0 },
		"-for is -1s":     func(o *options) { o.long = -time.Second },
	} {
		opt := short()
		change(&opt)
		require.ErrorContains(t, run(t.Context(), nil, opt), want)
	}
}

func TestScriptFindsThePhase(t *testing.T) {
	sc := outage(time.Second)
	require.Equal(t, 0, sc.at(-time.Second))
	require.Equal(t, 0, sc.at(0))
	require.Equal(t, 1, sc.at(time.Second))
	require.Equal(t, 6, sc.at(6500*time.Millisecond))
	require.Equal(t, 6, sc.at(time.Hour))
	require.Equal(t, 7*time.Second, sc.total())
}
