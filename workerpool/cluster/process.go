package cluster

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
)

// signal is one of the signals that a master sends.
type signal int

const (
	sigTerm signal = iota
	sigQuit        // a Go program prints its stacks and ends
	sigKill
	sigHup  // to a successor
	sigUsr2 // likewise
)

// command is what a signal to the master means.
type command int

const (
	cmdStop command = iota
	cmdReload
	cmdUpgrade
)

// spec describes a process to start.
type spec struct {
	path  string
	args  []string // without the name of the program
	env   []string
	files []*os.File // descriptors 4 and up
}

// child is a process that was started, with the control socket to it.
type child struct {
	pid    int
	conn   net.Conn
	signal func(signal) error
	wait   func() exit // blocks until the process is reaped; called once
}

// exit is how a process ended.
type exit struct {
	clean  bool   // with status 0
	status string // in words
}

// starter starts processes: startProcess, or what a test has in its place.
type starter func(spec) (*child, error)

// self is the path of the running program for copies of it. On Linux it is the
// file itself, even when another one was put in its place since: workers are
// what their master is, until an upgrade.
func self() (string, error) {
	if runtime.GOOS == "linux" {
		const exe = "/proc/self/exe"
		if _, err := os.Stat(exe); err == nil {
			return exe, nil
		}
	}
	return os.Executable()
}

// program is the path by which the program was called, for an upgrade: what is
// there now is the new version.
func program() (string, error) {
	name := os.Args[0]
	if filepath.Base(name) == name { // found by PATH
		return os.Executable()
	}
	return filepath.Abs(name)
}
