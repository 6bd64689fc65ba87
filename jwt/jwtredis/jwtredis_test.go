package jwtredis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwtredis"
	"github.com/bedplate/bedplate/jwt/jwttest"
)

// connect returns a client that is closed after the test.
func connect(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// realServer returns the address of a real server: that in REDIS_ADDR, or one
// that is started for the test.
func realServer(t *testing.T) string {
	t.Helper()
	if addr := os.Getenv("REDIS_ADDR"); addr != "" {
		return addr
	}
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on PATH, and no REDIS_ADDR")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	cmd := exec.Command(binary, "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer c.Close()
	require.Eventually(t, func() bool { return c.Ping(context.Background()).Err() == nil }, 10*time.Second, 10*time.Millisecond)
	return addr
}

var prefixes atomic.Int64

// prefix is one that no other test has.
func prefix(t *testing.T) string {
	return fmt.Sprintf("%s-%d-%d:", t.Name(), time.Now().UnixNano(), prefixes.Add(1))
}

func TestStoreOnMiniredis(t *testing.T) {
	var addr, shared string
	var server *miniredis.Miniredis
	now := time.Unix(1_790_000_000, 0)
	open := func(t *testing.T) jwt.RefreshStore {
		return jwtredis.MustNew(jwtredis.Config{Client: connect(t, addr), Prefix: shared, PerSubject: 100})
	}
	jwttest.Suite{
		Open: func(t *testing.T) jwt.RefreshStore {
			server = miniredis.RunT(t)
			server.SetTime(now)
			addr, shared = server.Addr(), prefix(t)
			return open(t)
		},
		Another: open,
		Sleep: func(d time.Duration) {
			now = now.Add(d)
			server.SetTime(now)
			server.FastForward(d)
		},
	}.Run(t)
}

func TestStoreOnRedis(t *testing.T) {
	addr := realServer(t)
	var shared string
	open := func(t *testing.T) jwt.RefreshStore {
		return jwtredis.MustNew(jwtredis.Config{Client: connect(t, addr), Prefix: shared, PerSubject: 100})
	}
	jwttest.Suite{
		Open: func(t *testing.T) jwt.RefreshStore {
			shared = prefix(t)
			return open(t)
		},
		Another: open,
	}.Run(t)
}

// What a real server keeps ends with the longest session of its subject, and a
// subject with too many loses the one that would end first.
func TestKeysEndByThemselves(t *testing.T) {
	for name, addr := range map[string]func(*testing.T) string{
		"miniredis": func(t *testing.T) string { return miniredis.RunT(t).Addr() },
		"redis":     realServer,
	} {
		t.Run(name, func(t *testing.T) {
			c, p := connect(t, addr(t)), prefix(t)
			s := jwtredis.MustNew(jwtredis.Config{Client: c, Prefix: p, PerSubject: 2})
			for i, live := range []time.Duration{time.Hour, 2 * time.Hour, time.Minute, 3 * time.Hour} {
				res, err := s.Rotate(t.Context(), jwt.RefreshStep{Subject: "u", Session: fmt.Sprint(i), To: "1", Live: live})
				require.NoError(t, err)
				require.Equal(t, jwt.Rotated, res.Outcome)
			}
			for session, want := range map[string]bool{"0": false, "1": true, "2": false, "3": true} {
				alive, err := s.Alive(t.Context(), "u", session)
				require.NoError(t, err)
				require.Equal(t, want, alive, session)
			}
			ttl, err := c.PTTL(t.Context(), p+"u").Result()
			require.NoError(t, err)
			require.InDelta(t, 3*time.Hour, ttl, float64(time.Minute))
		})
	}
}

// A server that is away or hangs is an error in time, which refuses.
func TestFailuresComeInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody answers there
	require.NoError(t, err)
	defer l.Close()
	c := redis.NewClient(&redis.Options{Addr: l.Addr().String(), ContextTimeoutEnabled: true, MaxRetries: -1})
	defer c.Close()
	s := jwtredis.MustNew(jwtredis.Config{Client: c, Timeout: 50 * time.Millisecond})
	_, err = s.Rotate(t.Context(), jwt.RefreshStep{Subject: "u", Session: "s", To: "1", Live: time.Hour})
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	_, err = s.Alive(t.Context(), "u", "s")
	require.Error(t, err)
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	require.ErrorIs(t, s.Revoke(ctx, "u", "s"), cause)
	type claims struct{ jwt.Registered }
	sessions := jwt.MustNewSessions(jwt.SessionsConfig[claims]{
		Keys: jwt.MustNewKeySet(jwt.MustNewKey("", make([]byte, 32))), Store: s, Issuer: "i", Audience: []string{"a"},
	})
	_, err = sessions.Start(t.Context(), claims{jwt.Registered{Subject: "u"}})
	require.ErrorIs(t, err, jwt.ErrUnavailable)
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	c := redis.NewClient(&redis.Options{})
	defer c.Close()
	for field, cfg := range map[string]jwtredis.Config{
		"Client": {}, "PerSubject": {Client: c, PerSubject: -1}, "Timeout": {Client: c, Timeout: -1},
	} {
		_, err := jwtredis.New(cfg)
		require.ErrorContains(t, err, "Config."+field)
		require.Panics(t, func() { jwtredis.MustNew(cfg) })
	}
}
