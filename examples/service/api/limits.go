package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bedplate/bedplate/memwatch/memwatchprom"
	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimithttp"
	"github.com/bedplate/bedplate/ratelimit/ratelimitredis"
)

// Limits are where the budgets of clients are kept.
type Limits struct {
	Kind  string          // memory or redis
	Users ratelimit.Store // of requests, by user
	Auth  ratelimit.Store // of logins and the like, by address
	Stats func() any      // of Users

	// Register gives a registry the Stats of Users.
	Register func(prometheus.Registerer)
}

// registering is a Limits.Register for stats of any type.
func registering[S any](stats func() S, cfg memwatchprom.Config) func(prometheus.Registerer) {
	return func(r prometheus.Registerer) { memwatchprom.MustRegister(r, "ratelimit", stats, cfg) }
}

// InRedis keeps the budgets in a server that all processes share.
func InRedis(users, auth *ratelimitredis.Store) Limits {
	return Limits{
		Kind: "redis", Users: users, Auth: auth, Stats: func() any { return users.Stats() },
		Register: registering(users.Stats, memwatchprom.Config{States: map[string][]string{"circuit": {"closed", "open", "half-open"}}}),
	}
}

// UserLimit, AuthLimit and OpenLimit are the budgets: of a user, of an address
// that logs in, and of an address that follows links.
var (
	UserLimit = ratelimit.Limit{Name: "user", N: 50, Window: 5 * time.Second}
	AuthLimit = ratelimit.Limit{Name: "auth", N: 60, Window: time.Minute}
	OpenLimit = ratelimit.Limit{Name: "open", N: 2000, Window: time.Second, Algorithm: ratelimit.GCRA}
)

// InMemory keeps the budgets in this process.
func InMemory() Limits {
	users := ratelimit.MustNew(ratelimit.Config[string]{Name: "users", Limits: []ratelimit.Limit{UserLimit}})
	auth := ratelimit.MustNew(ratelimit.Config[string]{Name: "auth", Limits: []ratelimit.Limit{AuthLimit}})
	return Limits{
		Kind: "memory", Users: ratelimit.Memory{Limiter: users}, Auth: ratelimit.Memory{Limiter: auth},
		Stats: func() any { return users.Stats() }, Register: registering(users.Stats, memwatchprom.Config{}),
	}
}

// byUser limits what is behind the guard by its user, byAddress other requests
// by the address they come from.
func (a *API) byUser(next http.Handler) http.Handler {
	return ratelimithttp.MustNew(ratelimithttp.Config{
		Name: "users", Store: &a.limits, OnLimited: limited,
		User: func(r *http.Request) (string, bool) { email := user(r).Email; return email, email != "" },
	}).Handler(next)
}

func byAddress(s ratelimit.Store, next http.Handler) http.Handler {
	return ratelimithttp.MustNew(ratelimithttp.Config{Name: "addresses", Store: s, OnLimited: limited}).Handler(next)
}

func limited(w http.ResponseWriter, _ *http.Request, d ratelimit.Decision) {
	writeJSON(w, http.StatusTooManyRequests, failure{"too many requests; the limit is " + d.Rule, "ratelimit"})
}

// observed is a Store that remembers how its keys stand, for those who watch. It
// shows that a Store can be put around another one.
type observed struct {
	ratelimit.Store

	mu   *sync.Mutex // guards keys and what they point to
	keys map[string]*standing
}

// standing is how one key stands.
type standing struct {
	last    ratelimit.Decision
	at      time.Time
	refused uint64
}

const (
	mostStandings = 256
	topStandings  = 8
)

func observe(s ratelimit.Store) observed {
	return observed{s, new(sync.Mutex), make(map[string]*standing)}
}

// Take is that of the Store.
func (o *observed) Take(ctx context.Context, key string, n int) (ratelimit.Decision, error) {
	d, err := o.Store.Take(ctx, key, n)
	if err == nil {
		o.note(key, d)
	}
	return d, err
}

func (o *observed) note(key string, d ratelimit.Decision) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.keys[key]
	if s == nil {
		if len(o.keys) >= mostStandings {
			o.forget(now)
		}
		s = &standing{}
		o.keys[key] = s
	}
	s.last, s.at = d, now
	if !d.Allowed {
		s.refused++
	}
}

// forget drops the keys whose budgets are whole again, or else any.
func (o *observed) forget(now time.Time) {
	for key, s := range o.keys {
		if s.used(now) == 0 {
			delete(o.keys, key)
		}
	}
	for key := range o.keys {
		if len(o.keys) < mostStandings {
			return
		}
		delete(o.keys, key)
	}
}

func (s *standing) used(now time.Time) int {
	if now.Sub(s.at) >= s.last.ResetAfter {
		return 0
	}
	return s.last.Limit - s.last.Remaining
}

// userBudget is a row of the state.
type userBudget struct {
	User    string `json:"user"`
	Used    int    `json:"used"`
	Limit   int    `json:"limit"`
	Refused uint64 `json:"refused"`
}

// top lists the users who have used most of their budgets.
func (o *observed) top() []userBudget {
	now := time.Now()
	o.mu.Lock()
	list := make([]userBudget, 0, len(o.keys))
	for key, s := range o.keys {
		list = append(list, userBudget{strings.TrimPrefix(key, "user:"), s.used(now), s.last.Limit, s.refused})
	}
	o.mu.Unlock()
	slices.SortFunc(list, func(x, y userBudget) int {
		return cmp.Or(cmp.Compare(y.Used, x.Used), cmp.Compare(y.Refused, x.Refused), cmp.Compare(x.User, y.User))
	})
	return list[:min(len(list), topStandings)]
}
