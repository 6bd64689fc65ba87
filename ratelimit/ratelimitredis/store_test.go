package ratelimitredis_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimitredis"
	"github.com/bedplate/bedplate/ratelimit/ratelimittest"
)

func take(t *testing.T, s ratelimit.Store, key string, n int) ratelimit.Decision {
	t.Helper()
	d, err := s.Take(t.Context(), key, n)
	require.NoError(t, err)
	require.False(t, d.Degraded)
	return d
}

func per(n int, window time.Duration) []ratelimit.Limit {
	return []ratelimit.Limit{ratelimit.Per(n, window)}
}

// A server that forgot its scripts is told them again, in the middle of it all.
func TestScriptsComeBackAfterAFlush(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]func(*testing.T) string{
		"miniredis": func(t *testing.T) string { return startMini(t).Addr() }, "redis": real,
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, addr(t))
			s := open(t, ratelimitredis.Config{Client: c, Limits: per(100, time.Hour), Timeout: 10 * time.Second, Denials: -1})
			var wg sync.WaitGroup
			for range 3 {
				require.NoError(t, c.ScriptFlush(t.Context()).Err())
				for range 20 {
					wg.Go(func() {
						d, err := s.Take(context.Background(), "a", 1)
						if err != nil || d.Degraded || !d.Allowed {
							t.Errorf("%+v, %v", d, err)
						}
					})
				}
				wg.Wait()
			}
			require.NoError(t, c.ScriptFlush(t.Context()).Err())
			require.NoError(t, s.Refund(t.Context(), "a", 10))
			require.Equal(t, 50, take(t, s, "a", 0).Remaining, "each was counted once")
			require.Zero(t, s.Stats().Failed)
		})
	}
}

// A replica with a slower clock takes over: it frees nothing before its time.
func TestASlowerClockMakesNoPermits(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string][]ratelimit.Limit{
		"window": per(5, time.Minute), "two": {ratelimit.Per(5, time.Minute), ratelimit.Per(9, time.Hour)},
		"steps": per(50_000, time.Minute), "gcra": {ratelimit.Rate(5, time.Minute, 5)},
	} {
		t.Run(name, func(t *testing.T) {
			m := startMini(t)
			s := open(t, ratelimitredis.Config{Client: connect(t, m.Addr()), Limits: limits, Denials: -1})
			n := limits[0].N
			require.True(t, take(t, s, "a", n-1).Allowed)
			m.pass(-time.Hour)
			if name != "gcra" { // in which an hour's worth is owed now
				require.True(t, take(t, s, "a", 1).Allowed, "there was one left")
			}
			for i := range time.Duration(50) {
				d := take(t, s, "a", 1)
				require.False(t, d.Allowed)
				late := time.Hour + i*time.Minute
				require.GreaterOrEqual(t, d.RetryAfter, late, "until the clock has caught up")
				require.LessOrEqual(t, d.RetryAfter, late+time.Minute+time.Second, "and a window")
				m.pass(-time.Minute)
			}
		})
	}
}

// crc16 is the hash by which a cluster chooses the slot of a key.
func crc16(s string) (crc uint16) {
	for i := range len(s) {
		crc ^= uint16(s[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// slot is that of a key, by the specification of clusters.
func slot(key string) uint16 {
	if i := strings.IndexByte(key, '{'); i >= 0 {
		if j := strings.IndexByte(key[i+1:], '}'); j > 0 {
			key = key[i+1 : i+1+j]
		}
	}
	return crc16(key) % 16384
}

var rude = []string{"", "a", "{", "}", "{}", "}{", "}x", "{x}", "a}b{c}", "{}{}", strings.Repeat("{", 500), "\x00", "ü"}

func TestKeysOfAllRulesAreInOneSlot(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 0x31c3, crc16("123456789"))
	m := startMini(t)
	s := open(t, ratelimitredis.Config{
		Client: connect(t, m.Addr()),
		Limits: []ratelimit.Limit{ratelimit.Per(5, time.Hour), ratelimit.Per(9, 2*time.Hour), ratelimit.Rate(5, time.Hour, 5)},
	})
	slots := map[uint16]bool{}
	for _, key := range rude {
		m.FlushAll()
		require.True(t, take(t, s, key, 1).Allowed)
		keys := m.Keys()
		require.Len(t, keys, 3)
		for _, k := range keys {
			require.Equal(t, slot(keys[0]), slot(k), "%q", keys)
			require.LessOrEqual(t, len(k), 300)
			require.True(t, strings.HasPrefix(k, "ratelimit:1:"), k)
		}
		slots[slot(keys[0])] = true
	}
	require.Greater(t, len(slots), 5, "and users are spread")
}

// The suite on a cluster of one node, which refuses scripts across slots.
func TestConformanceOnACluster(t *testing.T) {
	t.Parallel()
	s := start(t, "--cluster-enabled", "yes")
	c := connect(t, s.addr)
	require.NoError(t, c.Do(t.Context(), "cluster", "addslotsrange", 0, 16383).Err())
	require.Eventually(t, func() bool {
		return strings.Contains(c.ClusterInfo(context.Background()).Val(), "cluster_state:ok")
	}, 10*time.Second, 20*time.Millisecond)
	ratelimittest.Suite{
		Window: 100 * time.Millisecond,
		Open: func(t *testing.T, limits ...ratelimit.Limit) ratelimit.Store {
			cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.addr}, ContextTimeoutEnabled: true})
			t.Cleanup(func() { require.NoError(t, cluster.Close()) })
			return open(t, ratelimitredis.Config{Client: cluster, Limits: limits, Timeout: 10 * time.Second})
		},
	}.Run(t)
}

func TestMemoryOfTheServer(t *testing.T) {
	t.Parallel()
	c := connect(t, real(t))
	for _, m := range []struct {
		limit  ratelimit.Limit
		events int
		most   int64
	}{
		{ratelimit.Per(100, time.Hour), 1, 300},
		{ratelimit.Per(100, time.Hour), 100, 700},
		{ratelimit.Per(1000, time.Hour), 1000, 6_000},
		{ratelimit.Per(10_000, time.Hour), 10_000, 60_000},
		{ratelimit.Per(32_768, time.Hour), 10_000, 90_000},
		{ratelimit.Per(1_000_000, time.Hour), 10_000, 400},
		{ratelimit.Rate(10_000, time.Hour, 10_000), 10_000, 300},
	} {
		t.Run(fmt.Sprintf("%v of %d by %v", m.events, m.limit.N, m.limit.Algorithm), func(t *testing.T) {
			name := uniqueName(t)
			s := open(t, ratelimitredis.Config{Name: strings.ReplaceAll(name, "/", "-"), Client: c, Limits: []ratelimit.Limit{m.limit}, Timeout: 10 * time.Second})
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					for range m.events / 10 {
						if d, err := s.Take(context.Background(), "user", 1); err != nil || !d.Allowed {
							t.Errorf("%+v %v", d, err)
						}
					}
				})
			}
			wg.Wait()
			if m.events < 10 {
				take(t, s, "user", m.events)
			}
			keys, err := c.Keys(t.Context(), "*"+strings.ReplaceAll(name, "/", "-")+"*").Result()
			require.NoError(t, err)
			require.Len(t, keys, 1)
			bytes, err := c.MemoryUsage(t.Context(), keys[0]).Result()
			require.NoError(t, err)
			t.Logf("%d bytes", bytes)
			require.LessOrEqual(t, bytes, m.most)
			require.NoError(t, s.Reset(t.Context(), "user"))
		})
	}
}

func TestARefusalIsRepeatedWithoutTheServerUntilItsTime(t *testing.T) {
	t.Parallel()
	m := startMini(t)
	m.SetTime(time.Time{}) // its own clock, that of this process
	s := open(t, ratelimitredis.Config{Client: connect(t, m.Addr()), Limits: per(2, 300*time.Millisecond)})
	take(t, s, "a", 2)
	first := take(t, s, "a", 1)
	require.False(t, first.Allowed)
	asked := m.CommandCount()
	last := first
	refusals := 0
	start := time.Now()
	for {
		d := take(t, s, "a", 1)
		if d.Allowed {
			break
		}
		refusals++
		require.LessOrEqual(t, d.RetryAfter, last.RetryAfter)
		require.GreaterOrEqual(t, d.ResetAfter, d.RetryAfter-time.Microsecond)
		last = d
	}
	require.LessOrEqual(t, time.Since(start), first.RetryAfter+200*time.Millisecond)
	require.Equal(t, refusals, int(s.Stats().Limited)-1)
	require.Less(t, m.CommandCount()-asked, 50)
	require.Greater(t, s.Stats().Denied, uint64(refusals)*9/10)
}

func TestWhatComesBackEndsARefusal(t *testing.T) {
	t.Parallel()
	m := startMini(t)
	s := open(t, ratelimitredis.Config{Client: connect(t, m.Addr()), Limits: per(4, time.Hour)})
	take(t, s, "a", 4)
	require.False(t, take(t, s, "a", 2).Allowed)
	require.False(t, take(t, s, "a", 2).Allowed)
	require.EqualValues(t, 1, s.Stats().Denied)
	require.False(t, take(t, s, "a", 1).Allowed, "another number is another question")
	require.EqualValues(t, 1, s.Stats().Denied)
	require.True(t, take(t, s, "a", 0).Allowed)
	require.NoError(t, s.Refund(t.Context(), "a", 1))
	require.True(t, take(t, s, "a", 1).Allowed)
	require.False(t, take(t, s, "a", 1).Allowed)
	require.NoError(t, s.Reset(t.Context(), "a"))
	require.True(t, take(t, s, "a", 4).Allowed)
	require.Equal(t, ratelimit.Never, take(t, s, "a", 5).RetryAfter)
}

func TestARepeatedRefusalDoesNotAllocate(t *testing.T) {
	m := startMini(t)
	s := open(t, ratelimitredis.Config{Client: connect(t, m.Addr()), Limits: per(1, time.Hour)})
	take(t, s, "a", 1)
	take(t, s, "a", 1)
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = s.Take(ctx, "a", 1) }))
}

// A lease is charged at once and given out later, but not later than that.
func TestLeasesKeepTheStatedBound(t *testing.T) {
	t.Parallel()
	const (
		limit  = 60
		window = 600 * time.Millisecond
		lent   = 100 * time.Millisecond
	)
	addr := startMini(t)
	addr.SetTime(time.Time{})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	cfg := ratelimitredis.Config{Name: "leases", Limits: per(limit, window), Timeout: 10 * time.Second, Lease: ratelimitredis.Lease{Permits: 8, For: lent}}
	var l load
	var wg sync.WaitGroup
	var stores [2]*ratelimitredis.Store
	for i := range stores {
		cfg.Client = connect(t, addr.Addr())
		stores[i] = open(t, cfg)
		wg.Go(func() { l.press(ctx, stores[i], "hot", 3) })
	}
	wg.Wait()
	require.Empty(t, l.errs)
	require.Zero(t, l.degraded)
	require.LessOrEqual(t, mostIn(l.events, window-lent), limit)
	require.GreaterOrEqual(t, len(l.events), limit)
	require.Positive(t, stores[0].Stats().Leased)
}

func TestALeaseIsForKeysThatAreAskedForOften(t *testing.T) {
	t.Parallel()
	m := startMini(t)
	s := open(t, ratelimitredis.Config{Client: connect(t, m.Addr()), Limits: per(100, time.Hour), Lease: ratelimitredis.Lease{Permits: 10, For: time.Hour}})
	plain := open(t, ratelimitredis.Config{Name: "x", Client: connect(t, m.Addr()), Limits: per(100, time.Hour)})
	require.Equal(t, 99, take(t, s, "a", 1).Remaining, "the first takes one")
	require.Equal(t, 98, take(t, s, "a", 1).Remaining, "of which this one has taken ten")
	asked := m.CommandCount()
	for i := range 9 {
		require.Equal(t, 97-i, take(t, s, "a", 1).Remaining)
	}
	require.Equal(t, asked, m.CommandCount())
	require.EqualValues(t, 9, s.Stats().Leased)
	require.True(t, take(t, s, "a", 50).Allowed, "more than a lease")
	require.NoError(t, s.Reset(t.Context(), "a"))
	require.Equal(t, 99, take(t, s, "a", 1).Remaining, "its lease is forgotten as well")
	require.True(t, take(t, plain, "a", 1).Allowed)
}

func TestPlanForGivesKeysTheirOwnLimits(t *testing.T) {
	t.Parallel()
	m := startMini(t)
	gold := ratelimit.MustNewPlan(ratelimit.Per(5, time.Hour))
	s := open(t, ratelimitredis.Config{
		Client: connect(t, m.Addr()), Limits: per(1, time.Hour),
		PlanFor: func(key string) *ratelimit.Plan {
			switch key {
			case "gold":
				return gold
			case "ops":
				return ratelimit.Unlimited()
			case "fine":
				return ratelimit.MustNewPlan(ratelimit.Per(1, time.Microsecond))
			}
			return nil
		},
	})
	for i := range 7 {
		require.Equal(t, i < 5, take(t, s, "gold", 1).Allowed)
		require.Equal(t, i < 1, take(t, s, "other", 1).Allowed)
		require.True(t, take(t, s, "ops", 1).Unlimited)
	}
	require.NoError(t, s.Refund(t.Context(), "ops", 1))
	require.Len(t, m.Keys(), 2, "the unlimited take no memory")
	_, err := s.Take(t.Context(), "fine", 1)
	require.EqualError(t, err, "ratelimitredis: Limit.Window is 1µs, want ≥ 1ms")
}

func TestHooksAreTold(t *testing.T) {
	t.Parallel()
	m := startMini(t)
	var limited, shadowed int
	s := open(t, ratelimitredis.Config{
		Name: "api", Client: connect(t, m.Addr()),
		Limits: []ratelimit.Limit{ratelimit.Per(2, time.Hour), {Name: "new", N: 1, Window: time.Hour, Shadow: true}},
		Hooks: ratelimit.Hooks{
			OnLimited: func(e ratelimit.Limited) {
				limited++
				require.Equal(t, "api", e.Name)
				require.Equal(t, "a", e.Key)
				require.Equal(t, 1, e.Permits)
			},
			OnShadowed: func(e ratelimit.Shadowed) { shadowed++; require.Equal(t, "new", e.Decision.ShadowRule) },
		},
	})
	for range 4 {
		take(t, s, "a", 1)
	}
	require.Equal(t, 2, limited)
	require.Equal(t, 1, shadowed)
	require.Equal(t, ratelimitredis.Stats{Name: "api", Allowed: 2, Limited: 2, Shadowed: 1, Denied: 1, Circuit: "closed"}, s.Stats())
}

// Denied calls write nothing: replicas and log files do not see a flood.
func TestRefusalsWriteNothing(t *testing.T) {
	t.Parallel()
	c := connect(t, real(t))
	s := open(t, ratelimitredis.Config{Client: c, Limits: []ratelimit.Limit{ratelimit.Per(3, time.Hour), ratelimit.Rate(9, time.Hour, 9)}, Denials: -1})
	take(t, s, "a", 3)
	changes := func() string {
		info, err := c.Info(t.Context(), "persistence").Result()
		require.NoError(t, err)
		_, rest, _ := strings.Cut(info, "rdb_changes_since_last_save:")
		line, _, _ := strings.Cut(rest, "\r\n")
		return line
	}
	before := changes()
	for range 50 {
		require.False(t, take(t, s, "a", 1).Allowed)
	}
	require.Equal(t, before, changes())
}

func TestANewLimitFindsTheEventsThereAre(t *testing.T) {
	t.Parallel()
	m := startMini(t)
	for i, n := range []int{10, 20, 5} {
		s := open(t, ratelimitredis.Config{Name: "x", Client: connect(t, m.Addr()), Limits: per(n, time.Hour)})
		d := take(t, s, "a", 0)
		require.Equal(t, []int{10, 12, 0}[i], d.Remaining)
		if i < 2 {
			require.True(t, take(t, s, "a", 8).Allowed)
		} else {
			require.False(t, take(t, s, "a", 1).Allowed)
		}
	}
}

func TestBytesThatNobodyHereWroteAreNoState(t *testing.T) {
	t.Parallel()
	m := startMini(t)
	c := connect(t, m.Addr())
	for _, limits := range [][]ratelimit.Limit{per(3, time.Hour), {ratelimit.Rate(3, time.Hour, 3)}} {
		m.FlushAll()
		s := open(t, ratelimitredis.Config{Client: c, Limits: limits})
		take(t, s, "a", 3)
		require.NoError(t, c.Set(t.Context(), m.Keys()[0], "x", 0).Err())
		require.Equal(t, 2, take(t, s, "a", 1).Remaining)
	}
}

func TestNewRefusesBadValuesAndNamesThem(t *testing.T) {
	t.Parallel()
	c := connect(t, gone(t))
	for want, cfg := range map[string]ratelimitredis.Config{
		"ratelimitredis: Config.Client is nil, want a client":                                      {},
		"ratelimitredis: Config.Name is a{, want no braces":                                        {Client: c, Name: "a{"},
		"ratelimitredis: Config.Prefix is }, want no braces":                                       {Client: c, Prefix: "}"},
		"ratelimitredis: Config.Timeout is -1ns, want ≥ 0":                                         {Client: c, Timeout: -1},
		"ratelimitredis: Config.OnError is OnError(9), want FallbackLocal, FailOpen or FailClosed": {Client: c, OnError: 9},
		"ratelimitredis: Config.Instances is -1, want ≥ 0":                                         {Client: c, Instances: -1},
		"ratelimitredis: Config.FailuresToOpen is -1, want 0 to 65535":                             {Client: c, FailuresToOpen: -1},
		"ratelimitredis: Config.OpenFor is -1ns, want ≥ 0":                                         {Client: c, OpenFor: -1},
		"ratelimitredis: Config.Denials is 1073741825, want at most 1073741824":                    {Client: c, Denials: 1<<30 + 1},
		"ratelimitredis: Config.Pipelines is -1, want ≥ 0":                                         {Client: c, Pipelines: -1},
		"ratelimitredis: Lease.Permits is -1, want ≥ 0":                                            {Client: c, Lease: ratelimitredis.Lease{Permits: -1}},
		"ratelimitredis: Lease.For is -1ns, want ≥ 0":                                              {Client: c, Lease: ratelimitredis.Lease{For: -1}},
		"ratelimitredis: Lease.Keys is -1, want ≥ 0":                                               {Client: c, Lease: ratelimitredis.Lease{Keys: -1}},
		"ratelimitredis: Config.Limits: ratelimit: Limit.N is -1, want 0 to 2147483647":            {Client: c, Limits: per(-1, 0)},
		"ratelimitredis: Limit.Window is 1ns, want ≥ 1ms":                                          {Client: c, Limits: per(1, 1)},
	} {
		require.PanicsWithValue(t, want, func() { ratelimitredis.MustNew(cfg) })
	}
	s := open(t, ratelimitredis.Config{Client: c})
	require.PanicsWithValue(t, "ratelimitredis: n is -1, want ≥ 0", func() { _, _ = s.Take(t.Context(), "a", -1) })
}
