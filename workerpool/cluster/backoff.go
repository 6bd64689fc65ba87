package cluster

import "time"

// restartRule says how often and how soon something may be started again.
type restartRule struct {
	min, max time.Duration // bounds of the delay
	stable   time.Duration // who has lasted so long begins anew
	limit    int           // more failures than this within window are a crash loop
	window   time.Duration
}

// restarts is the history of one slot. It is pure: times come in, delays come
// out.
//
// Invariants: recent holds the failures of the last window, oldest first, and
// never more than limit+1 of them; step is at least zero.
type restarts struct {
	step   int // how many failures in a row, each before it was stable
	recent []time.Duration
}

// failed notes a failure at now of something that lasted for so long. It
// returns the delay before the next start, or false for a crash loop. random is
// in [0, 1).
//
// The delay doubles with each failure in a row, from min to max, and is then
// spread over its upper half, so that slots that fell together do not rise
// together. Only failures in the window count against limit: a service is not
// given up for what happened last week.
func (r *restarts) failed(rule restartRule, now, lasted time.Duration, random float64) (time.Duration, bool) {
	if lasted >= rule.stable {
		r.step = 0
	}
	kept := r.recent[:0]
	for _, t := range r.recent {
		if t > now-rule.window {
			kept = append(kept, t)
		}
	}
	kept = append(kept, now)
	r.recent = kept
	if len(r.recent) > rule.limit {
		return 0, false
	}
	delay := rule.min
	for range r.step {
		if delay >= rule.max/2 {
			delay = rule.max
			break
		}
		delay *= 2
	}
	r.step++
	return delay - time.Duration(random*float64(delay/2)), true
}
