package memwatch

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// diary is an actor that writes down all that happens, and decides each time by
// reading the whole of it.
type diary struct {
	a       Action
	starts  []time.Time // all
	episode []trigger   // those it was begun for, of this episode, but failed ones
	open    bool
}

func (d *diary) due(now time.Time, level Level, verdict Verdict, busy bool) bool {
	byLevel, byVerdict := level >= d.a.At, d.a.Verdict > 0 && verdict >= d.a.Verdict
	if !byLevel && !byVerdict {
		d.open, d.episode = false, nil
		return false
	}
	d.open = true
	worstLevel, worstVerdict := Normal, Insufficient
	for _, t := range d.episode {
		worstLevel, worstVerdict = max(worstLevel, t.level), max(worstVerdict, t.verdict)
	}
	worse := byLevel && level > worstLevel || byVerdict && verdict > worstVerdict
	if !worse || busy || !d.allowed(now) {
		return false
	}
	t := trigger{}
	if byLevel {
		t.level = level
	}
	if byVerdict {
		t.verdict = verdict
	}
	d.episode = append(d.episode, t)
	d.starts = append(d.starts, now)
	return true
}

// allowed: the cool-down is over, and no span of time up to now has seen more
// starts than a full day's and those that have come back since.
func (d *diary) allowed(now time.Time) bool {
	if n := len(d.starts); n > 0 && now.Sub(d.starts[n-1]) < d.a.CoolDown {
		return false
	}
	full := float64(d.a.PerDay)
	for i := range d.starts {
		begun := float64(len(d.starts) - i)
		if begun+1 > full+now.Sub(d.starts[i]).Hours()/24*full+1e-6 {
			return false
		}
	}
	return true
}

// Random levels, verdicts, failures and hangs: the actor begins when the diary
// says so.
func TestActorDoesWhatItsDiarySays(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 300 {
		action := Action{
			At: Level(1 + r.IntN(3)), Verdict: Verdict(r.IntN(5)),
			CoolDown: time.Duration(1+r.IntN(100)) * time.Minute, PerDay: 1 + r.IntN(8),
		}.filled()
		a, d := &actor{Action: action}, &diary{a: action}
		now := time.Unix(0, 0)
		level, verdict, busy := Normal, Insufficient, false
		for range 400 {
			now = now.Add(time.Duration(r.IntN(2000))*time.Second + 1)
			switch r.IntN(6) {
			case 0:
				level = Level(r.IntN(4))
			case 1:
				verdict = Verdict(r.IntN(5))
			case 2:
				busy = false
			case 3: // one that was begun has failed
				a.done, d.episode = trigger{}, nil
			}
			want := d.due(now, level, verdict, busy)
			require.Equal(t, want, a.due(now, level, verdict, busy))
			require.Equal(t, d.open, !a.since.IsZero())
			if want {
				busy = r.IntN(3) == 0
			}
		}
		require.EqualValues(t, len(d.starts), a.stats.Started)
	}
}
