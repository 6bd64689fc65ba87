//go:build unix

package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// newJobsWorld returns Jobs whose processes are goroutines. Set the script
// before the first call.
func newJobsWorld(t *testing.T, cfg JobsConfig) (*Jobs, *world) {
	j, err := NewJobs(cfg)
	require.NoError(t, err)
	w := newWorld(t, nil)
	j.start = w.start
	return j, w
}

// jobScript is a script that serves the functions of j, with the real code.
func jobScript(j *Jobs) func(*fakeProcess) {
	return func(p *fakeProcess) {
		server := &Jobs{cfg: j.cfg, funcs: j.funcs, exit: func(int) { p.end(exit{status: "exit status 3"}) }}
		server.serveOn(p.ctx, p.conn)
	}
}
