package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// socket is one that the master opened, was given by systemd or took over, and
// shares with its workers. The master never accepts from it, it only keeps it
// open: so connections that arrive while no worker is there wait in it.
type socket struct {
	name string
	file *os.File
	addr net.Addr
	path string // of a Unix socket that this master made, to be removed
}

// openSockets opens what listens describe, in order. given are descriptors by
// name that are there already; those that are not asked for are closed.
func openSockets(ctx context.Context, listens []Listen, given map[string]*os.File) (_ []socket, err error) {
	var out []socket
	defer func() {
		for _, f := range given {
			_ = f.Close()
		}
		if err != nil {
			closeSockets(out, true)
		}
	}()
	for _, l := range listens {
		var s socket
		if f := given[l.Name]; f != nil {
			delete(given, l.Name)
			s, err = adopt(l, f)
		} else {
			s, err = open(ctx, l)
		}
		if err != nil {
			return nil, fmt.Errorf("cluster: Config.Listen %q: %w", l.Name, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func isPacket(network string) bool {
	return strings.HasPrefix(network, "udp") || network == "unixgram"
}

// open makes the socket of l.
func open(ctx context.Context, l Listen) (socket, error) {
	if l.Address == "" {
		return socket{}, errors.New("cluster: no address, and systemd passed no socket of this name")
	}
	var lc net.ListenConfig
	if isPacket(l.Network) {
		conn, err := lc.ListenPacket(ctx, l.Network, l.Address)
		if err != nil {
			return socket{}, err
		}
		defer func() { _ = conn.Close() }()
		return share(l, conn, conn.LocalAddr())
	}
	ln, err := lc.Listen(ctx, l.Network, l.Address)
	if err != nil {
		return socket{}, err
	}
	defer func() { _ = ln.Close() }()
	if u, ok := ln.(interface{ SetUnlinkOnClose(bool) }); ok {
		u.SetUnlinkOnClose(false) // it lives on in the duplicate
	}
	s, err := share(l, ln, ln.Addr())
	if addr, ok := ln.Addr().(*net.UnixAddr); ok && !strings.HasPrefix(addr.Name, "@") {
		s.path = addr.Name
	}
	return s, err
}

func share(l Listen, of any, addr net.Addr) (socket, error) {
	conn, ok := of.(syscall.Conn)
	if !ok {
		return socket{}, fmt.Errorf("cluster: %T has no descriptor", of)
	}
	f, err := duplicate(conn, l.Name)
	return socket{name: l.Name, file: f, addr: addr}, err
}

// adopt takes over a descriptor that is a socket already. It keeps a duplicate
// in non-blocking mode, and closes f.
func adopt(l Listen, f *os.File) (socket, error) {
	defer func() { _ = f.Close() }()
	if isPacket(l.Network) {
		conn, err := net.FilePacketConn(f)
		if err != nil {
			return socket{}, err
		}
		defer func() { _ = conn.Close() }()
		return share(l, conn, conn.LocalAddr())
	}
	ln, err := net.FileListener(f)
	if err != nil {
		return socket{}, err
	}
	defer func() { _ = ln.Close() }()
	return share(l, ln, ln.Addr())
}

func closeSockets(sockets []socket, remove bool) {
	for _, s := range sockets {
		_ = s.file.Close()
		if s.path != "" && remove {
			_ = os.Remove(s.path)
		}
	}
}

// names and files give the sockets in the order in which processes inherit them.
func names(sockets []socket) []string {
	var out []string
	for _, s := range sockets {
		out = append(out, s.name)
	}
	return out
}

func files(sockets []socket) []*os.File {
	var out []*os.File
	for _, s := range sockets {
		out = append(out, s.file)
	}
	return out
}

// inheritedFiles are the descriptors from first on, by name. On failure none is
// kept.
func inheritedFiles(first int, names []string) (map[string]*os.File, error) {
	out := make(map[string]*os.File, len(names))
	for i, name := range names {
		f, err := inherited(first+i, name)
		if err != nil {
			for _, f := range out {
				_ = f.Close()
			}
			return nil, err
		}
		out[name] = f
	}
	return out, nil
}

// activation returns the sockets that systemd passed to this process, by their
// FileDescriptorName. See sd_listen_fds(3).
func activation() (map[string]*os.File, error) {
	pid, fds := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	if fds == "" || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil // passed to somebody else
	}
	n, err := strconv.Atoi(fds)
	if err != nil || n < 0 || n > maxListen {
		return nil, fmt.Errorf("cluster: LISTEN_FDS is %q, want 0 to %d", fds, maxListen)
	}
	given := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
		if i < len(given) && given[i] != "" {
			names[i] = given[i]
		}
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name)
	}
	return inheritedFiles(3, names)
}
