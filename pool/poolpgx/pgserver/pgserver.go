//go:build unix

package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// stopTimeout is how long a server may take to end before it is killed.
const stopTimeout = 10 * time.Second

// Server is a server that runs. It belongs to one goroutine at a time.
type Server struct {
	cfg  Config
	bin  string // folder of the programs
	dir  string
	port int
	cred *syscall.Credential // nil unless we are root
	cmd  *exec.Cmd           // nil while it does not run
	out  *bytes.Buffer       // what it has said since it was started
}

// Start makes a database cluster and starts its server, which takes about a
// second. It returns when the server answers. Where PostgreSQL is not installed
// the error is ErrNotInstalled.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, bin: bin}
	if os.Geteuid() == 0 {
		if s.cred, err = unprivileged(); err != nil {
			return nil, err
		}
	}
	if err := s.init(ctx); err != nil {
		_ = os.RemoveAll(s.dir)
		return nil, err
	}
	if err := s.run(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// find returns the newest folder that has the programs.
func find() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && has(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	var found []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/pgsql/bin"} {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			if has(dir) {
				found = append(found, dir)
			}
		}
	}
	if len(found) == 0 {
		return "", ErrNotInstalled
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) < version(found[j]) })
	return found[len(found)-1], nil
}

func has(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// version is the number in a path.
func version(path string) int {
	n, _ := strconv.Atoi(strings.Trim(path, "/abcdefghijklmnopqrstuvwxyz-@."))
	return n
}

// unprivileged is a user that is not root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("pgserver: there is no user postgres or nobody to run the server as")
}

// init makes the folder and the cluster.
func (s *Server) init(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("", "pgserver-"); err != nil {
		return err
	}
	if s.cred != nil {
		if err := os.Chown(s.dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return err
		}
	}
	cmd := s.command(ctx, "initdb", "-D", filepath.Join(s.dir, "data"), "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgserver: initdb: %w\n%s", err, out)
	}
	s.port, err = freePort()
	return err
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	// A group of its own: what a terminal sends to ours is not for the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setpgid: true}
	return cmd
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := ln.Addr().(*net.TCPAddr).Port
	return port, ln.Close()
}

// run starts the server and waits until it answers.
func (s *Server) run(ctx context.Context) error {
	args := []string{
		"-D", filepath.Join(s.dir, "data"), "-p", strconv.Itoa(s.port), "-k", s.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=16MB",
		"-c", "superuser_reserved_connections=0", "-c", "max_wal_senders=0",
	}
	if s.cfg.MaxConnections > 0 {
		args = append(args, "-c", "max_connections="+strconv.Itoa(s.cfg.MaxConnections))
	}
	// The server lives for longer than the ctx of its start.
	s.cmd = s.command(context.WithoutCancel(ctx), "postgres", args...)
	s.out = new(bytes.Buffer)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.WaitDelay = time.Second
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return fmt.Errorf("pgserver: postgres: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("pgserver: the server does not answer: %w", err)
		}
	}
}

// URL is where the server can be reached by the superuser postgres.
func (s *Server) URL() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

// Restart stops the server, which ends all connections, and starts it again on
// the same port.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.halt(); err != nil {
		return err
	}
	return s.run(ctx)
}

// Halt stops the server until Restart. Its port refuses connections.
func (s *Server) Halt() error { return s.halt() }

// Pause stops all of the server's processes in their tracks: connections stay,
// new ones are accepted by the kernel, and nobody answers.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume ends Pause.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

// signal sends sig to the server and its children, which have groups of their
// own.
func (s *Server) signal(sig syscall.Signal) error {
	if s.cmd == nil {
		return errors.New("pgserver: the server does not run")
	}
	pids := append([]int{s.cmd.Process.Pid}, children(s.cmd.Process.Pid)...)
	if sig == syscall.SIGCONT { // the parent last, as it looks after the others
		pids = append(pids[1:], pids[0])
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("pgserver: signal %v to %d: %w", sig, pid, err)
		}
	}
	return nil
}

// children lists the processes that parent has started: as /proc has them, or
// where there is none, as ps does.
func children(parent int) (pids []int) {
	add := func(text string) {
		var pid, of int
		if _, err := fmt.Sscan(text, &pid, &of); err == nil && of == parent {
			pids = append(pids, pid)
		}
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		// pid (name) state ppid …, and the name may hold anything.
		text, err := os.ReadFile(file)
		pid, _, _ := bytes.Cut(text, []byte(" "))
		if end := bytes.LastIndexByte(text, ')'); err == nil && end >= 0 && len(text) > end+4 {
			add(string(pid) + " " + string(text[end+4:]))
		}
	}
	if len(stats) == 0 {
		out, _ := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
		for line := range strings.Lines(string(out)) {
			add(line)
		}
	}
	return pids
}

// halt ends the server: at once for its clients, in order for its files.
func (s *Server) halt() error {
	if s.cmd == nil {
		return nil
	}
	cmd := s.cmd
	s.cmd = nil
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	kill := time.AfterFunc(stopTimeout, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("pgserver: postgres: %w\n%s", err, s.out)
	}
	return nil
}

// Stop ends the server and removes its files. It may be called again.
func (s *Server) Stop() error {
	if s.cmd != nil {
		_ = s.Resume()
	}
	return errors.Join(s.halt(), os.RemoveAll(s.dir))
}
