package ratelimitredis_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimitredis"
	"github.com/bedplate/bedplate/ratelimit/ratelimittest"
)

// suite is the conformance suite with stores of a server. Refusals are not
// remembered where the test lets time pass on the server alone.
func suite(addr string, cfg ratelimitredis.Config) ratelimittest.Suite {
	var last ratelimitredis.Config
	return ratelimittest.Suite{
		Window: 100 * time.Millisecond,
		Open: func(t *testing.T, limits ...ratelimit.Limit) ratelimit.Store {
			last = cfg
			last.Client, last.Limits = connect(t, addr), limits
			last.Timeout = 10 * time.Second // a busy machine is not what is tested
			last.Name = uniqueName(t)
			return open(t, last)
		},
		Another: func(t *testing.T) ratelimit.Store {
			second := last
			second.Client = redis.UniversalClient(connect(t, addr))
			return open(t, second)
		},
	}
}

func TestConformanceOnMiniredis(t *testing.T) {
	t.Parallel()
	m := startMini(t)
	s := suite(m.Addr(), ratelimitredis.Config{Denials: -1})
	s.Sleep = m.pass
	s.Run(t)
}

func TestConformanceOnARealServer(t *testing.T) {
	t.Parallel()
	suite(real(t), ratelimitredis.Config{}).Run(t)
}

func TestConformanceWithoutMemoryOfDenials(t *testing.T) {
	t.Parallel()
	suite(real(t), ratelimitredis.Config{Denials: -1, Pipelines: 1}).Run(t)
}
