package memwatch

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// unlimited takes GOMEMLIMIT away for the time of a test.
func unlimited(t *testing.T) {
	t.Helper()
	t.Setenv("GOMEMLIMIT", "")
	old := debug.SetMemoryLimit(math.MaxInt64)
	ours := ourLimit.value
	ourLimit.value = 0
	t.Cleanup(func() {
		debug.SetMemoryLimit(old)
		ourLimit.value = ours
	})
}

func goLimit() int64 { return debug.SetMemoryLimit(-1) }

func TestSetLimitTakesTheTightestGroup(t *testing.T) {
	for name, want := range map[string]LimitChange{
		"v2":               {Path: "/sys/fs/cgroup/memory.max", Limit: 512 << 20, After: 483183820},
		"v2-nested":        {Path: "/sys/fs/cgroup/kubepods.slice/pod1/memory.high", Limit: 900_000_000, After: 810_000_000},
		"v1":               {Path: "/sys/fs/cgroup/memory/memory.limit_in_bytes", Limit: 256 << 20, After: 241591910},
		"v1-hidden-parent": {Path: "/sys/fs/cgroup/memory/memory.stat", Limit: 100 << 20, After: 94371840},
		"hybrid":           {Path: "/sys/fs/cgroup/memory/service/api/memory.limit_in_bytes", Limit: 100_000_000, After: 90_000_000},
	} {
		t.Run(name, func(t *testing.T) {
			unlimited(t)
			want.Outcome, want.Before = LimitSet, math.MaxInt64
			c, err := setLimit(LimitConfig{}, plant(t, name))
			require.NoError(t, err)
			require.Equal(t, want, c)
			require.Equal(t, want.After, goLimit())
			require.Contains(t, c.String(), "GOMEMLIMIT is set to ")
			require.Contains(t, c.String(), want.Path)

			require.True(t, c.Undo())
			require.Equal(t, int64(math.MaxInt64), goLimit())
			require.False(t, c.Undo(), "once")
		})
	}
}

func TestSetLimitWithoutALimitDoesNothing(t *testing.T) {
	for _, name := range []string{"v2-unbounded", "v1-unlimited", "none"} {
		unlimited(t)
		c, err := setLimit(LimitConfig{}, plant(t, name))
		require.NoError(t, err)
		require.Equal(t, LimitChange{Outcome: LimitNone, Before: math.MaxInt64, After: math.MaxInt64}, c)
		require.Equal(t, int64(math.MaxInt64), goLimit())
		require.False(t, c.Undo())
		require.Equal(t, "GOMEMLIMIT is not set: no control group has a limit", c.String())
	}
}

// Who has set GOMEMLIMIT knows why, and "off" is a setting.
func TestSetLimitKeepsWhatIsSet(t *testing.T) {
	for env, limit := range map[string]int64{"off": math.MaxInt64, "64MiB": 64 << 20, "": 1 << 40} {
		unlimited(t)
		t.Setenv("GOMEMLIMIT", env)
		debug.SetMemoryLimit(limit)
		c, err := setLimit(LimitConfig{}, plant(t, "v2"))
		require.NoError(t, err)
		require.Equal(t, LimitChange{Outcome: LimitKept, Before: limit, After: limit}, c, env)
		require.Equal(t, limit, goLimit())
		require.False(t, c.Undo())
		require.True(t, strings.HasPrefix(c.String(), "GOMEMLIMIT is kept "), c)
	}
}

func TestSetLimitLeavesRatioAndHeadroom(t *testing.T) {
	root := plant(t, "hybrid") // 100 MB
	for _, x := range []struct {
		cfg  LimitConfig
		want int64
	}{
		{LimitConfig{}, 90_000_000},
		{LimitConfig{Ratio: 0.5}, 50_000_000},
		{LimitConfig{Ratio: 1}, 100_000_000},
		{LimitConfig{Headroom: 30_000_000}, 70_000_000},
		{LimitConfig{Headroom: 1_000_000}, 90_000_000},
		{LimitConfig{Ratio: 1, Headroom: 99_999_999}, 1},
	} {
		unlimited(t)
		c, err := setLimit(x.cfg, root)
		require.NoError(t, err)
		require.Equal(t, x.want, c.After, "%+v", x.cfg)
		require.Equal(t, x.want, goLimit())
	}
}

func TestSetLimitRefusesWhatMakesNoSense(t *testing.T) {
	unlimited(t)
	root := plant(t, "hybrid")
	for want, cfg := range map[string]LimitConfig{
		"memwatch: LimitConfig.Ratio is -0.5, want 0 to 1": {Ratio: -0.5},
		"memwatch: LimitConfig.Ratio is 90, want 0 to 1":   {Ratio: 90},
		"memwatch: LimitConfig.Ratio is NaN, want 0 to 1":  {Ratio: math.NaN()},
		"memwatch: LimitConfig.Headroom is 100000000, want less than the limit of 100000000 (/sys/fs/cgroup/memory/service/api/memory.limit_in_bytes)": {Headroom: 100_000_000},
	} {
		_, err := setLimit(cfg, root)
		require.EqualError(t, err, want)
		require.Equal(t, int64(math.MaxInt64), goLimit())
	}
}

// A container that is resized in place: the same call follows.
func TestSetLimitFollowsAResize(t *testing.T) {
	unlimited(t)
	root := plant(t, "v2")
	first, err := setLimit(LimitConfig{}, root)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "sys/fs/cgroup/memory.max"), []byte("1000000000\n"), 0o600))
	second, err := setLimit(LimitConfig{}, root)
	require.NoError(t, err)
	require.Equal(t, LimitSet, second.Outcome)
	require.Equal(t, first.After, second.Before)
	require.EqualValues(t, 900_000_000, goLimit())

	require.False(t, first.Undo(), "it is not its limit any more")
	require.True(t, second.Undo())
	require.True(t, first.Undo())
	require.Equal(t, int64(math.MaxInt64), goLimit())
}

// What somebody sets afterwards is theirs.
func TestUndoLeavesTheLimitOfOthers(t *testing.T) {
	unlimited(t)
	root := plant(t, "v2")
	c, err := setLimit(LimitConfig{}, root)
	require.NoError(t, err)
	debug.SetMemoryLimit(1 << 40)
	require.False(t, c.Undo())
	require.Equal(t, int64(1<<40), goLimit())
	again, err := setLimit(LimitConfig{}, root)
	require.NoError(t, err)
	require.Equal(t, LimitKept, again.Outcome)
}

// More than the machine has is no limit that could be met.
func TestSetLimitIsNoMoreThanTheMachineHas(t *testing.T) {
	unlimited(t)
	root := plant(t, "v2")
	require.NoError(t, os.WriteFile(filepath.Join(root, "proc/meminfo"), []byte("MemTotal: 1000 kB\n"), 0o600))
	c, err := setLimit(LimitConfig{Ratio: 1}, root)
	require.NoError(t, err)
	require.EqualValues(t, 1000<<10, c.Limit)
	require.EqualValues(t, 1000<<10, c.After)
}

// Many at once: each sees a whole state, and undoing all ends where it began.
func TestSetLimitAndUndoAtOnce(t *testing.T) {
	unlimited(t)
	root := plant(t, "hybrid")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				c, err := setLimit(LimitConfig{}, root)
				if err != nil || c.Outcome != LimitSet || c.After != 90_000_000 {
					t.Errorf("%+v: %v", c, err)
				}
				c.Undo()
			}
		})
	}
	wg.Wait()
	require.Contains(t, []int64{math.MaxInt64, 90_000_000}, goLimit())
	require.Equal(t, "LimitOutcome(3)", (LimitSet + 1).String())
	require.Equal(t, "set", LimitSet.String())
}
