//go:build unix

package cluster

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// setRole gives this process a role for the length of the test.
func setRole(t *testing.T, r role) {
	t.Setenv(roleEnv, string(encode(r)))
}

func TestARoleIsTakenOnceByWhomItIsFor(t *testing.T) {
	want := role{Kind: roleWorker, Name: "web", Slot: 3, Start: 7, Listeners: []string{"http", "admin"}}
	setRole(t, want)
	for name, kinds := range map[string][]string{"other": {roleWorker}, "": {roleWorker}, "web": {roleJobs, roleMaster}} {
		_, ok := takeRole(name, kinds...)
		require.False(t, ok)
	}
	require.NotEmpty(t, os.Getenv(roleEnv), "it is still to be taken")
	got, ok := takeRole("web", roleMaster, roleWorker)
	require.True(t, ok)
	require.Equal(t, want, got)
	require.Empty(t, os.Getenv(roleEnv), "programs that it starts do not inherit it")
	_, ok = takeRole("web", roleWorker)
	require.False(t, ok)
}

func TestARoleIsTakenByOneOfMany(t *testing.T) {
	setRole(t, role{Kind: roleWorker, Name: "web"})
	var taken sync.Map
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, ok := takeRole("web", roleWorker); ok {
				taken.Store(i, true)
			}
		})
	}
	wg.Wait()
	n := 0
	taken.Range(func(any, any) bool { n++; return true })
	require.Equal(t, 1, n)
}

func TestARoleThatIsNoneIsIgnored(t *testing.T) {
	for _, text := range []string{"", "1", "{", "null{}", strings.Repeat("[", 10_000)} {
		t.Setenv(roleEnv, text)
		_, ok := peekRole()
		require.False(t, ok, text[:min(len(text), 10)])
		require.NoError(t, checkNoRole())
	}
}

func TestAProcessWithAnotherRoleStartsNothing(t *testing.T) {
	setRole(t, role{Kind: roleJobs, Name: "images"})
	err := checkNoRole()
	require.ErrorIs(t, err, ErrRole)
	require.EqualError(t, err, `cluster: this process was started as jobs of "images", which nobody serves here: cluster: role not taken`)

	c := MustNew(Config{Name: "web", Work: nothing, NoSignals: true})
	require.ErrorIs(t, c.Run(t.Context()), ErrRole)
	require.Equal(t, StateIdle, c.Stats().State)
	j := MustNewJobs(JobsConfig{Name: "other"})
	_, err = Register(j, "f", func(context.Context, int) (int, error) { return 0, nil }).Call(t.Context(), 1)
	require.ErrorIs(t, err, ErrRole)
	require.False(t, j.Serve(t.Context()))
	require.NoError(t, j.Close())
}

func TestAProcessWhoseDescriptorsAreMissingSaysSo(t *testing.T) {
	// Descriptor 3 of a test is whatever it is; number 1000 is nothing.
	_, err := inheritedFiles(1000, []string{"http"})
	require.ErrorContains(t, err, "cluster: descriptor 1000 (http) is not there: ")
	_, err = inherited(1000, "control")
	require.ErrorContains(t, err, "bad file descriptor")
}

func TestChildrenInheritWhatIsForThem(t *testing.T) {
	ours := []string{
		"HOME=/h", roleEnv + "=old", "LISTEN_PID=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=a",
		"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=1", "WATCHDOG_PID=1", "LISTEN_OTHER=kept",
	}
	r := role{Kind: roleWorker, Name: "web"}
	require.Equal(t,
		[]string{"HOME=/h", "LISTEN_OTHER=kept", "GOMAXPROCS=1", roleEnv + "=" + string(encode(r))},
		childEnv(ours, []string{"GOMAXPROCS=1"}, r))
	r.Kind = roleMaster
	require.Equal(t,
		[]string{"HOME=/h", "NOTIFY_SOCKET=/n", "WATCHDOG_USEC=1", "WATCHDOG_PID=1", "LISTEN_OTHER=kept", roleEnv + "=" + string(encode(r))},
		childEnv(ours, nil, r), "a new master talks to systemd in place of the old one")
	require.Len(t, ours, 9, "the environment itself is as it was")
}

func TestProgramPaths(t *testing.T) {
	path, err := self()
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	executable, err := os.Executable()
	require.NoError(t, err)
	same, err := os.Stat(executable)
	require.NoError(t, err)
	require.True(t, os.SameFile(info, same))

	args := os.Args
	defer func() { os.Args = args }()
	os.Args = []string{"./there/program"}
	path, err = program()
	require.NoError(t, err)
	wd, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, wd+"/there/program", path)
	os.Args = []string{"program"}
	path, err = program()
	require.NoError(t, err)
	require.Equal(t, executable, path)
}
