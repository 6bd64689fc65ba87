package ratelimitredis

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
)

// What the server keeps of a window: each event, up to that many, and above
// that so many steps of the window.
const (
	maxExact = 1 << 15
	steps    = ratelimit.ExactEvents - 1
)

// plan is a ratelimit.Plan as the scripts take it. It never changes.
type plan struct {
	source  *ratelimit.Plan
	limits  []ratelimit.Limit
	suffix  []string // of the keys, one for each rule
	args    []any    // what the scripts are told of the rules
	atMost  bool     // a rule is enforced, so that there is an at most
	tooFast error    // a rule is finer than the server's clock
}

// compile returns the form of p for the scripts.
func compile(p *ratelimit.Plan) *plan {
	c := &plan{source: p, limits: p.Limits()}
	for i, l := range c.limits {
		kind, unit := "w", int64(1)
		micros := (int64(l.Window) + 999) / 1000
		limit := l.N
		switch {
		case l.Window < time.Millisecond:
			c.tooFast = fmt.Errorf("ratelimitredis: Limit.Window is %v, want ≥ 1ms", l.Window)
		case l.Algorithm == ratelimit.GCRA:
			kind, unit, limit = "g", 0, 0
			if l.N > 0 {
				limit, unit = l.Burst, (micros*8+int64(l.N)-1)/int64(l.N)
			}
		case l.N > maxExact:
			kind, unit = "s", (micros+steps-1)/steps
		default:
			for micros/unit > 1<<30 { // stamps are 32 bits, of which a window takes a quarter
				unit *= 2
			}
		}
		shadow := "0"
		if l.Shadow {
			shadow = "1"
		} else {
			c.atMost = true
		}
		// What the bytes of a key mean depends on its kind and window, so
		// another one is another key; a new N finds the events there are.
		c.suffix = append(c.suffix, "}"+strconv.Itoa(i)+kind+strconv.FormatInt(micros, 10))
		ttl := (micros+unit)/1000 + 2
		c.args = append(c.args, kind, strconv.Itoa(limit), strconv.FormatInt(micros, 10),
			strconv.FormatInt(unit, 10), strconv.FormatInt(ttl, 10), shadow)
	}
	return c
}

// longest is how long a user's key may be before a hash takes its place: the
// names of keys are chosen by clients, and kept by the server.
const longest = 128

// keys returns the server's keys for the rules of one user key. They have one
// hash tag, so that a cluster has them in one slot. It is never empty, and
// whatever braces the user's key has come after its first byte.
func (p *plan) keys(prefix, key string) []string {
	if len(key) > longest {
		sum := sha256.Sum256([]byte(key))
		key = "sha256:" + hex.EncodeToString(sum[:])
	}
	out := make([]string, len(p.suffix))
	for i, s := range p.suffix {
		out[i] = prefix + key + s
	}
	return out
}

// decision is what the script's reply means: how many permits were taken, and
// three numbers for each rule.
func (p *plan) decision(reply []int64) ratelimit.Decision {
	d := ratelimit.Decision{Allowed: true, Index: -1}
	var longest time.Duration
	for i, l := range p.limits {
		wait, left, reset := micros(reply[1+3*i]), int(reply[2+3*i]), micros(reply[3+3*i])
		if l.Shadow {
			if wait > 0 && !d.Shadowed {
				d.Shadowed, d.ShadowRule = true, l.Name
			}
			continue
		}
		if d.Index < 0 || wait > longest || longest == 0 && left < d.Remaining {
			d.Index, d.Rule, d.Limit, d.Window = i, l.Name, l.N, l.Window
			if l.Algorithm == ratelimit.GCRA {
				d.Limit = l.Burst
			}
			longest, d.Remaining, d.ResetAfter = wait, left, reset
		}
	}
	if d.Index < 0 {
		return ratelimit.Decision{Allowed: true, Unlimited: true, Shadowed: d.Shadowed, ShadowRule: d.ShadowRule}
	}
	d.Allowed, d.RetryAfter = longest == 0, longest
	return d
}

// micros is a time in a reply; -1 is never.
func micros(v int64) time.Duration {
	if v < 0 {
		return ratelimit.Never
	}
	return time.Duration(v) * time.Microsecond
}
