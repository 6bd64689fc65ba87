package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/examples/service/api"
)

// breaks switches a fault.
func (s *service) breaks(fault string, on bool) {
	s.t.Helper()
	s.into(s.send("POST", "/break/"+fault, "", map[string]bool{"on": on}), 204, nil)
}

func TestAnUpstreamThatFailsOpensTheBreakerWhichClosesAfterwards(t *testing.T) {
	s := start(t)
	v, token := s.watch(), s.register("ada@example.com").Access
	s.into(s.send("POST", "/api/links", token, map[string]string{"url": "https://example.com", "slug": "mine"}), 201, nil)
	for _, fault := range []string{"fail", "hang"} {
		v.sees(t, "closed", func(m map[string]any) bool { return at(m, "breaker.state") == "closed" })
		s.breaks(fault, true)
		v.sees(t, fault, func(m map[string]any) bool {
			return at(m, "breaker.state") == "open" && at(m, "faults."+fault) == true && number(m, "retry.retries") > 0
		})
		require.Eventually(t, func() bool {
			a := s.send("GET", "/api/links/mine/preview", token, nil)
			if a.status != 503 {
				return false
			}
			return s.refused(a, 503, "") == "breaker"
		}, longest, 50*time.Millisecond)
		require.Equal(t, 302, s.send("GET", "/l/mine", "", nil).status, "what needs no upstream goes on")
		s.breaks(fault, false)
		v.sees(t, "closed again", func(m map[string]any) bool { return at(m, "breaker.state") == "closed" })
		require.Equal(t, 200, s.send("GET", "/api/links/mine/preview", token, nil).status)
	}
}

func TestWhileTheDatabaseIsAwayRedirectsGoOn(t *testing.T) {
	s := start(t)
	v, token := s.watch(), s.register("ada@example.com").Access
	s.into(s.send("POST", "/api/links", token, map[string]string{"url": "https://example.com", "slug": "mine"}), 201, nil)
	s.into(s.send("GET", "/api/profile", token, nil), 200, nil)
	s.breaks("database", true)
	v.sees(t, "the pool", func(m map[string]any) bool {
		return number(m, "pool.create_failed") > 0 && number(m, "pool.total") == 0 && strings.Contains(fmt.Sprint(at(m, "pool.last_error")), "refuses")
	})
	require.Equal(t, 302, s.send("GET", "/l/mine", "", nil).status)
	require.Equal(t, "pool", s.refused(s.send("GET", "/l/other", "", nil), 503, "database"))
	require.Equal(t, "pool", s.refused(s.send("GET", "/api/profile", token, nil), 503, "database"))
	require.Equal(t, "pool", s.refused(s.send("POST", "/login", "", map[string]string{"email": "ada@example.com", "password": password}), 503, "database"))
	require.Equal(t, 200, s.send("GET", "/readyz", "", nil).status)
	s.breaks("database", false)
	require.Eventually(t, func() bool { return s.send("GET", "/api/profile", token, nil).status == 200 }, longest, 200*time.Millisecond)
	require.Eventually(t, func() bool {
		return strings.Contains(string(s.send("GET", "/api/links", token, nil).body), `"hits":1`)
	}, longest, 200*time.Millisecond, "the hit of the outage")
}

func TestALeakIsSeenNamedAndEnds(t *testing.T) {
	s := start(t)
	v := s.watch()
	v.sees(t, "a state", func(map[string]any) bool { return true })
	before, _ := v.state()
	s.breaks("leak", true)
	v.sees(t, "the heap and the line", func(m map[string]any) bool {
		sites, _ := at(m, "memory.sites").([]any)
		for _, site := range sites {
			if strings.HasPrefix(fmt.Sprint(site.(map[string]any)["site"]), "leak.go:") {
				return number(m, "memory.live") > number(before, "memory.live")+(2<<20)
			}
		}
		return false
	})
	grown, _ := v.state()
	s.breaks("leak", false)
	v.sees(t, "the heap as before", func(m map[string]any) bool {
		return number(m, "memory.live") < number(grown, "memory.live")-(1<<20)
	})
}

func TestAWorkerIsKilledByCommandAlone(t *testing.T) {
	commands := make(chan api.Command, 1)
	s := start(t, func(c *api.Config) {
		c.Workers = 3
		c.Command = func(_ context.Context, c api.Command) error { commands <- c; return nil }
	})
	require.True(t, s.api.State().Can.Kill)
	s.breaks("kill", true)
	require.Equal(t, api.Command{What: api.Kill, On: true}, <-commands)
}

func TestTheSwitchOfTheLoadIsPassedOn(t *testing.T) {
	s := start(t)
	v := s.watch()
	s.into(s.send("POST", "/load", "", map[string]any{"on": true, "rps": 20}), 204, nil)
	v.sees(t, "load", func(m map[string]any) bool { return at(m, "load.on") == true && number(m, "load.rps") == 20 })
	s.into(s.send("POST", "/load", "", map[string]any{"on": false}), 204, nil)
	v.sees(t, "no load", func(m map[string]any) bool { return at(m, "load.on") == false })
}
