//go:build !unix

package cluster

import (
	"os"
	"syscall"
)

// These systems cannot pass a socket to a process that is started, so there is
// nothing for a master to share: New and NewJobs say so.

const supported = false

func startProcess(spec) (*child, error) { return nil, ErrUnsupported }

func inherited(int, string) (*os.File, error) { return nil, ErrUnsupported }

func duplicate(syscall.Conn, string) (*os.File, error) { return nil, ErrUnsupported }

func masterSignals(func(command)) (stop func()) { return func() {} }

func workerSignals(func()) (stop func()) { return func() {} }

func mortal() {}
