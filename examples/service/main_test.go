package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bedplate/bedplate/jwt"
)

// asService makes this binary the service: tests start it again to have one that
// they can kill.
const asService = "BEDPLATE_TEST_AS_SERVICE"

func TestMain(m *testing.M) {
	if os.Getenv(asService) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestServiceEndsByItself(t *testing.T) {
	for _, args := range [][]string{{}, {"-load", "-rps", "200"}} {
		var out strings.Builder
		args = append(args, "-addr", "127.0.0.1:0", "-for", "300ms", "-drain-delay", "10ms", "-rounds", "100")
		require.NoError(t, run(context.Background(), args, &out, io.Discard))
		require.Contains(t, out.String(), "http://127.0.0.1:")
		require.Contains(t, out.String(), "load: ")
	}
}

func TestServiceSaysWhatIsWrongWithItsArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  [2]string
		text string
	}{
		{args: []string{"-rps", "0"}, text: "-rps is 0"},
		{args: []string{"-rounds", "0"}, text: "-rounds is 0"},
		{args: []string{"-for", "-1s"}, text: "-for is -1s"},
		{args: []string{"what"}, text: `argument "what"`},
		{args: []string{"-workers", "x"}, text: "invalid value"},
		{env: [2]string{"WORKERS", "many"}, text: "WORKERS in the environment"},
		{env: [2]string{"JWT_KEY", "secret"}, text: "JWT_KEY"},
		{args: []string{"-addr", "nowhere"}, text: "nowhere"},
		{args: []string{"-addr", "127.0.0.1:0", "-database", "postgres://%"}, text: "cannot parse"},
	} {
		if c.env[0] != "" {
			t.Setenv(c.env[0], c.env[1])
		}
		args := append([]string{"-addr", "127.0.0.1:0"}, c.args...)
		require.ErrorContains(t, run(context.Background(), args, io.Discard, io.Discard), c.text)
		if c.env[0] != "" {
			require.NoError(t, os.Unsetenv(c.env[0]))
		}
	}
}

func TestOnlyLoopbackIsBreakableByItself(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "localhost:80": true,
		":80": false, "0.0.0.0:80": false, "192.0.2.1:80": false, "example.com:80": false,
	} {
		cfg, err := parse([]string{"-addr", addr}, io.Discard)
		require.NoError(t, err)
		require.Equal(t, want, cfg.breakable, addr)
	}
	cfg, err := parse([]string{"-addr", ":80", "-breakable"}, io.Discard)
	require.NoError(t, err)
	require.True(t, cfg.breakable)
}

func TestTheKeyIsMadeOnceHoweverManyWantIt(t *testing.T) {
	folder := t.TempDir()
	keys, errs := make([]jwt.Key, 8), make([]error, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() { keys[i], errs[i] = loadKey(folder) })
	}
	all.Wait()
	for i, key := range keys {
		require.NoError(t, errs[i])
		require.Equal(t, keys[0].Secret(), key.Secret())
	}
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "jwt.key"), []byte("{}"), 0o600))
	_, err = loadKey(folder)
	require.ErrorContains(t, err, "jwt.key")
}

// redisServer starts a Redis server of the test's own.
func redisServer(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, errors.Join(err, l.Close()))
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, longest, often)
	return "127.0.0.1:" + port
}
