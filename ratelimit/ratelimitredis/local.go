package ratelimitredis

import "github.com/bedplate/bedplate/ratelimit"

// newLocal returns the limiter that stands in for the server.
func newLocal(instances int) *ratelimit.Limiter[local] {
	return ratelimit.MustNew(ratelimit.Config[local]{
		PlanFor: func(k local) *ratelimit.Plan { return share(k.plan, instances) },
	})
}

// share returns the part of a plan that one of that many processes has.
func share(p *ratelimit.Plan, instances int) *ratelimit.Plan {
	if instances == 1 {
		return p
	}
	limits := p.Limits()
	for i := range limits {
		l := &limits[i]
		l.N = part(l.N, instances)
		l.Burst = part(l.Burst, instances)
	}
	return ratelimit.MustNewPlan(limits...)
}

// part is n divided and rounded up.
func part(n, by int) int { return int((int64(n) + int64(by) - 1) / int64(by)) }
