//go:build unix

package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	ossignal "os/signal"
	"syscall"
)

const supported = true

// startProcess starts the program in s with a control socket.
func startProcess(s spec) (*child, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("cluster: control socket: %w", err)
	}
	defer func() { _ = theirs.Close() }()
	defer func() { _ = ours.Close() }() // FileConn has a descriptor of its own
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("cluster: control socket: %w", err)
	}
	cmd := exec.Command(s.path, s.args...)
	cmd.Args[0] = os.Args[0] // not /proc/self/exe, for those who look at ps
	cmd.Env = s.env
	//bedplate:allow quiet: a worker writes where its master does, as a copy of it would
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	cmd.ExtraFiles = append([]*os.File{theirs}, s.files...)
	if err := cmd.Start(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("cluster: start of a process: %w", err)
	}
	return &child{
		pid:  cmd.Process.Pid,
		conn: conn,
		signal: func(s signal) error {
			return cmd.Process.Signal([]os.Signal{
				sigTerm: syscall.SIGTERM, sigQuit: syscall.SIGQUIT, sigKill: syscall.SIGKILL,
				sigHup: syscall.SIGHUP, sigUsr2: syscall.SIGUSR2,
			}[s])
		},
		wait: func() exit {
			err := cmd.Wait()
			return exit{clean: err == nil, status: cmd.ProcessState.String()}
		},
	}, nil
}

// socketPair returns two connected sockets that no child inherits unasked.
func socketPair() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control"), nil
}

// inherited returns a descriptor that this process was started with. Programs
// that it starts do not get it.
func inherited(fd int, name string) (*os.File, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("cluster: descriptor %d (%s) is not there: %w", fd, name, err)
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name), nil
}

// duplicate returns a descriptor of the socket that stays in non-blocking mode
// whoever it is passed to. File would not: os/exec asks its result for the
// descriptor, which makes it blocking again, and with it that of every process
// that has the socket; an Accept that loses a race would then never return.
func duplicate(s syscall.Conn, name string) (*os.File, error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(from uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if fd, dupErr = syscall.Dup(int(from)); dupErr == nil {
			syscall.CloseOnExec(fd)
		}
	})
	if err := errors.Join(err, dupErr); err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// masterSignals calls handle for the signals that control a master, until
// the function it returns is called.
func masterSignals(handle func(command)) (stop func()) {
	commands := map[os.Signal]command{
		syscall.SIGTERM: cmdStop, syscall.SIGINT: cmdStop, syscall.SIGHUP: cmdReload, syscall.SIGUSR2: cmdUpgrade,
	}
	return onSignals(func(s os.Signal) { handle(commands[s]) },
		syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR2)
}

// workerSignals keeps from a worker the signals that a terminal or an
// administrator sends to the whole group: the master knows what to do. SIGTERM
// goes to terminate, if that is not nil.
func workerSignals(terminate func()) (stop func()) {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR2}
	if terminate != nil {
		signals = append(signals, syscall.SIGTERM)
	}
	return onSignals(func(s os.Signal) {
		if s == syscall.SIGTERM {
			terminate()
		}
	}, signals...)
}

// mortal lets SIGTERM end this process from now on.
func mortal() { ossignal.Reset(syscall.SIGTERM) }

func onSignals(handle func(os.Signal), signals ...os.Signal) (stop func()) {
	c, quit, done := make(chan os.Signal, 8), make(chan struct{}), make(chan struct{})
	ossignal.Notify(c, signals...)
	go func() {
		defer close(done)
		for {
			select {
			case s := <-c:
				handle(s)
			case <-quit:
				return
			}
		}
	}()
	return func() {
		ossignal.Stop(c)
		close(quit)
		<-done
	}
}
