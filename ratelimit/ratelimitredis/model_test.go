package ratelimitredis

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
)

// The model of one rule: the times at which its events leave, none of which is
// ever forgotten. All times are microseconds.
type model struct {
	kind              string
	limit             int
	length, unit      int64
	last, full        int64
	happened, leaves  []int64 // of windows: the times of events, and when they leave
	wait, left, reset int64   // what the last read found
}

// live returns when those leave that count at t.
func (m *model) live(t int64) []int64 {
	i, _ := slices.BinarySearch(m.leaves, t+1)
	return m.leaves[i:]
}

func (m *model) read(n int, now int64) {
	m.wait, m.left, m.reset = 0, 0, 0
	if m.kind == "g" {
		now8 := (now - 1577836800000000) * 8
		level := max(m.full-now8, 0)
		m.left = max((m.unit*int64(m.limit)-level)/m.unit, 0)
		m.reset = (level + 7) / 8
		if int64(n) > m.left {
			m.wait = (level + m.unit*int64(n-m.limit) + 7) / 8
		}
	} else {
		live := m.live(max(now, m.last))
		m.left = int64(m.limit - len(live))
		if len(live) > 0 {
			m.reset = live[len(live)-1] - now
		}
		if need := n - int(m.left); need > 0 && n <= m.limit {
			m.wait = live[need-1] - now
		}
	}
	if n > m.limit {
		m.wait = -1
	}
}

func (m *model) commit(n int, now int64) {
	if m.kind == "g" {
		m.full = max(m.full, (now-1577836800000000)*8) + m.unit*int64(n)
	} else {
		m.last = max(m.last, now)
		at := (m.last + 1 + m.unit - 1) / m.unit * m.unit
		for range n {
			m.happened = append(m.happened, m.last)
			m.leaves = append(m.leaves, at+m.length)
		}
	}
}

func (m *model) refund(n int, now int64) {
	if m.kind == "g" {
		now8 := (now - 1577836800000000) * 8
		m.full -= min(m.unit*int64(min(n, m.limit)), max(m.full-now8, 0))
		if m.full <= now8 {
			m.full = 0 // it is full, and forgotten
		}
		return
	}
	n = min(n, len(m.live(max(now, m.last))))
	m.leaves = m.leaves[:len(m.leaves)-n]
	m.happened = m.happened[:len(m.happened)-n]
}

// worst returns the most events in any window (t-length, t].
func (m *model) worst() int {
	most, first := 0, 0
	for i, at := range m.happened {
		for m.happened[first] <= at-m.length {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

var (
	takeText   = head + short + rules + take
	refundText = head + rules + refund
)

// at makes a script that is told the time, as the last two of ARGV.
func at(script string) string {
	const clock = "call('TIME')"
	if strings.Count(script, clock) != 1 {
		panic("the clock is not read once")
	}
	script = strings.Replace(script, clock, "{ARGV[#ARGV - 1], ARGV[#ARGV]}", 1)
	return strings.Replace(script, "/ 8000) + 1", "/ 8000) + 60000", 1) // the server's own time goes on
}

// servers are those that the scripts are tested on.
func servers(t *testing.T) map[string]*redis.Client {
	t.Helper()
	out := map[string]*redis.Client{"miniredis": redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})}
	addr := os.Getenv("REDIS_ADDR")
	if addr == "" {
		binary, err := exec.LookPath("redis-server")
		if err != nil {
			t.Log("no REDIS_ADDR and no redis-server on PATH: on miniredis alone")
			return out
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addr = l.Addr().String()
		require.NoError(t, l.Close())
		_, port, _ := net.SplitHostPort(addr)
		cmd := exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	out["redis"] = redis.NewClient(&redis.Options{Addr: addr})
	require.Eventually(t, func() bool { return out["redis"].Ping(context.Background()).Err() == nil }, 10*time.Second, 10*time.Millisecond)
	return out
}

// compare runs random requests of a plan on a server and on the model.
func compare(t *testing.T, c *redis.Client, rng *rand.Rand, steps int, limits ...ratelimit.Limit) {
	t.Helper()
	ctx := context.Background()
	p := compile(ratelimit.MustNewPlan(limits...))
	keys := p.keys("test:{:", fmt.Sprint(rng.Uint64()))
	defer c.Del(ctx, keys...)
	var models []*model
	for i := range p.limits {
		a := p.args[6*i:]
		number := func(i int) int64 {
			v, err := strconv.ParseInt(a[i].(string), 10, 64)
			require.NoError(t, err)
			return v
		}
		models = append(models, &model{kind: a[0].(string), limit: int(number(1)), length: number(2), unit: number(3)})
	}
	now := int64(1_790_000_000_123_456)
	w, largest := models[0].length, models[0].limit
	script := takeText
	if rng.IntN(2) == 0 {
		script = head + rules + take // the long way is the short way
	}
	var trace []string
	for range steps {
		now += []int64{0, 0, 0, 1, 2, w / 50, w / 9, w / 3, w - 1, w, w + 1, w + 2, 3 * w, -1, -w / 5, -2 * w}[rng.IntN(16)]
		n := rng.IntN(max(largest/5, 4))
		if rng.IntN(2) == 0 {
			n = 1
		}
		if rng.IntN(20) == 0 {
			n = largest + rng.IntN(2)
		}
		call := func(script string) []int64 {
			args := append(append([]any{n, n}, p.args...), now/1e6, now%1e6)
			got, err := c.Eval(ctx, at(script), keys, args...).Slice()
			if script == refundText {
				return nil
			}
			require.NoError(t, err)
			out := make([]int64, len(got))
			for i := range got {
				out[i] = got[i].(int64)
			}
			return out
		}
		trace = append(trace, fmt.Sprintf("%d at %d", n, now))
		if rng.IntN(6) == 0 {
			trace = append(trace, "refunded")
			call(refundText)
			for _, m := range models {
				m.refund(n, now)
			}
			continue
		}
		taken := n
		for i, m := range models {
			m.read(n, now)
			if !p.limits[i].Shadow && m.wait != 0 {
				taken = 0
			}
		}
		want := []int64{int64(taken)}
		for _, m := range models {
			if taken > 0 && m.wait == 0 {
				wait := m.wait
				m.commit(taken, now)
				m.read(0, now)
				m.wait = wait
			}
			want = append(want, m.wait, m.left, m.reset)
		}
		require.Equal(t, want, call(script), "%+v\n%s", limits, strings.Join(trace, "\n"))
		for i, m := range models {
			sound(t, c, keys[i], m, taken > 0 && m.wait == 0)
		}
	}
	for i, m := range models {
		if m.kind != "g" {
			require.LessOrEqual(t, m.worst(), limits[i].N)
		}
	}
}

// sound checks the bytes of a key.
func sound(t *testing.T, c *redis.Client, key string, m *model, written bool) {
	t.Helper()
	s, err := c.Get(context.Background(), key).Bytes()
	if err == redis.Nil {
		return
	}
	require.NoError(t, err)
	ttl, err := c.PTTL(context.Background(), key).Result()
	require.NoError(t, err)
	require.False(t, written && ttl == -1, "no key stays for ever")
	c.Persist(context.Background(), key) // but here, where the clock of the events is not that of the server
	if m.kind == "g" {
		require.Len(t, s, 8)
		return
	}
	width, most := 4, m.limit
	if m.kind == "s" {
		width, most = 8, 256
	}
	room, head, n := binary.BigEndian.Uint32(s), binary.BigEndian.Uint32(s[4:]), binary.BigEndian.Uint32(s[8:])
	require.Len(t, s, 24+int(room)*width)
	require.LessOrEqual(t, int(room), most)
	require.Less(t, head, room)
	require.LessOrEqual(t, n, room)
}

func TestScriptsBehaveAsTheModel(t *testing.T) {
	t.Parallel()
	for name, c := range servers(t) {
		t.Run(name, func(t *testing.T) {
			defer func() { require.NoError(t, c.Close()) }()
			runs := 3
			if name == "redis" {
				runs = 8
			}
			for seed := range runs {
				rng := rand.New(rand.NewPCG(1, uint64(seed)))
				compare(t, c, rng, 100, ratelimit.Per(1+rng.IntN(12), time.Second))
				compare(t, c, rng, 100, ratelimit.Per(100+rng.IntN(50), time.Minute))
				compare(t, c, rng, 60, ratelimit.Per(5000, 24*time.Hour))
				compare(t, c, rng, 100, ratelimit.Per(40_000+rng.IntN(100_000), time.Minute))
				compare(t, c, rng, 100, ratelimit.Rate(1+rng.IntN(9), time.Second, 1+rng.IntN(20)))
				compare(t, c, rng, 100, ratelimit.Rate(300_000, time.Second, 200_000))
				compare(t, c, rng, 100, ratelimit.Per(30, time.Second), ratelimit.Per(100, time.Minute),
					ratelimit.Rate(100, time.Minute, 40), ratelimit.Limit{N: 20, Window: time.Second, Shadow: true},
					ratelimit.Per(50_000, time.Hour), ratelimit.Limit{N: 0, Window: time.Second, Shadow: true})
			}
		})
	}
}
