//go:build unix

package cluster

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// blocking reports whether a descriptor is in blocking mode.
func blocking(t *testing.T, f *os.File) bool {
	t.Helper()
	raw, err := f.SyscallConn()
	require.NoError(t, err)
	var flags uintptr
	var errno syscall.Errno
	require.NoError(t, raw.Control(func(fd uintptr) {
		flags, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
	}))
	require.Zero(t, errno)
	return flags&syscall.O_NONBLOCK == 0
}

func TestSocketsOfEachKindAreOpenedAndShared(t *testing.T) {
	dir := t.TempDir()
	listens := []Listen{
		{Name: "t", Network: "tcp", Address: "127.0.0.1:0"},
		{Name: "u", Network: "unix", Address: filepath.Join(dir, "stream")},
		{Name: "d", Network: "udp", Address: "127.0.0.1:0"},
		{Name: "g", Network: "unixgram", Address: filepath.Join(dir, "datagrams")},
	}
	sockets, err := openSockets(t.Context(), listens, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"t", "u", "d", "g"}, names(sockets))
	require.Len(t, files(sockets), 4)
	require.FileExists(t, listens[1].Address, "closing the first listener leaves it there")
	for _, s := range sockets {
		// What os/exec does with the files of a process that it starts.
		_ = s.file.Fd()
		require.False(t, blocking(t, s.file), s.name)
	}
	conn, err := net.Dial("tcp", sockets[0].addr.String())
	require.NoError(t, err, "it listens although nobody accepts")
	require.NoError(t, conn.Close())

	closeSockets(sockets, true)
	require.NoFileExists(t, listens[1].Address)
	_, err = net.Dial("tcp", sockets[0].addr.String())
	require.Error(t, err)
}

func TestSocketsThatAreHandedOnStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listen := []Listen{{Name: "u", Network: "unix", Address: path}}
	first, err := openSockets(t.Context(), listen, nil)
	require.NoError(t, err)
	copied, err := duplicate(first[0].file, "u")
	require.NoError(t, err)

	second, err := openSockets(t.Context(), listen, map[string]*os.File{"u": copied})
	require.NoError(t, err)
	closeSockets(first, false)
	require.FileExists(t, path)
	require.Equal(t, path, second[0].addr.String())
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	closeSockets(second, true)
}

func TestSocketsAreAllClosedWhenOneCannotBeOpened(t *testing.T) {
	given, other := pipe(t), pipe(t)
	_, err := openSockets(t.Context(), []Listen{
		{Name: "t", Network: "tcp", Address: "127.0.0.1:0"},
		{Name: "p", Network: "tcp"},
	}, map[string]*os.File{"p": given, "other": other})
	require.ErrorContains(t, err, `cluster: Config.Listen "p": `)
	require.ErrorContains(t, err, "socket operation on non-socket")
	for _, f := range []*os.File{given, other} {
		require.ErrorIs(t, f.Close(), os.ErrClosed)
	}
	_, err = openSockets(t.Context(), []Listen{{Name: "d", Network: "udp"}}, map[string]*os.File{"d": pipe(t)})
	require.ErrorContains(t, err, "socket operation on non-socket")
	_, err = openSockets(t.Context(), []Listen{{Name: "d", Network: "udp", Address: "nowhere:nothing"}}, nil)
	require.ErrorContains(t, err, `cluster: Config.Listen "d": `)
}

// pipe returns a descriptor that is no socket.
func pipe(t *testing.T) *os.File {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Close(); _ = r.Close() })
	return r
}

func TestSocketPairsAreConnectedAndNotInherited(t *testing.T) {
	ours, theirs, err := socketPair()
	require.NoError(t, err)
	defer ours.Close()
	for _, f := range []*os.File{ours, theirs} {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFD, 0)
		require.Zero(t, errno)
		require.NotZero(t, flags&syscall.FD_CLOEXEC)
	}
	_, err = theirs.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, theirs.Close())
	text, err := io.ReadAll(ours)
	require.NoError(t, err)
	require.Equal(t, "hello", string(text))
}

func TestActivationIsForThisProcessAlone(t *testing.T) {
	for name, env := range map[string][3]string{
		"nothing":         {"", "", ""},
		"another process": {"1", "2", "a:b"},
		"no process":      {"", "2", "a:b"},
	} {
		t.Run(name, func(t *testing.T) {
			setActivation(t, env[0], env[1], env[2])
			given, err := activation()
			require.NoError(t, err)
			require.Empty(t, given)
		})
	}
	for _, fds := range []string{"-1", "65", "many", "1e3"} {
		setActivation(t, strconv.Itoa(os.Getpid()), fds, "")
		_, err := activation()
		require.EqualError(t, err, `cluster: LISTEN_FDS is "`+fds+`", want 0 to 64`)
	}
	setActivation(t, strconv.Itoa(os.Getpid()), "0", "")
	given, err := activation()
	require.NoError(t, err)
	require.Empty(t, given)
	require.Empty(t, os.Getenv("LISTEN_PID"), "others do not get it")
}

func setActivation(t *testing.T, pid, fds, names string) {
	t.Setenv("LISTEN_PID", pid)
	t.Setenv("LISTEN_FDS", fds)
	t.Setenv("LISTEN_FDNAMES", names)
}

func TestNotifierSendsAndSurvivesDeafness(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	n := notifier{socket: path}
	n.send("READY=1", "STATUS=fine")
	buf := make([]byte, 100)
	size, err := conn.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "READY=1\nSTATUS=fine", string(buf[:size]))
	n.reloading()
	size, err = conn.Read(buf)
	require.NoError(t, err)
	require.Contains(t, string(buf[:size]), "RELOADING=1")

	require.NoError(t, conn.Close())
	n.send("READY=1")
	notifier{}.send("READY=1")
	notifier{}.reloading()
	notifier{socket: filepath.Join(path, "nowhere")}.send("READY=1")
}

func TestNotifierReadsWhatSystemdWants(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for name, c := range map[string]struct {
		socket, usec, pid string
		ms                int64
	}{
		"nothing":         {"", "", "", 0},
		"no socket":       {"", "300000", "", 0},
		"no watchdog":     {"/n", "", "", 0},
		"for anybody":     {"/n", "300000", "", 100},
		"for us":          {"/n", "300000", self, 100},
		"for another":     {"/n", "300000", "1", 0},
		"never":           {"/n", "0", "", 0},
		"before":          {"/n", "-1", "", 0},
		"no number":       {"/n", "soon", "", 0},
		"beyond all ages": {"/n", "9223372036854775807", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NOTIFY_SOCKET", c.socket)
			t.Setenv("WATCHDOG_USEC", c.usec)
			t.Setenv("WATCHDOG_PID", c.pid)
			n := newNotifier()
			require.Equal(t, c.socket, n.socket)
			require.Equal(t, c.ms, n.every.Milliseconds())
		})
	}
}

func TestMonotonicTimeGrows(t *testing.T) {
	first := monotonic()
	if first == 0 {
		t.Skip("this system does not tell its uptime in /proc")
	}
	require.GreaterOrEqual(t, monotonic(), first)
}

func TestMemoryIsMeasured(t *testing.T) {
	rss, heap := memory()
	require.Greater(t, rss, uint64(1<<20))
	require.Positive(t, heap)
	require.Less(t, heap, rss)
}
