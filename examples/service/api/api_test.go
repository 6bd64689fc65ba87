package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bedplate/bedplate/examples/service/api"
	"github.com/bedplate/bedplate/examples/service/audit"
	"github.com/bedplate/bedplate/examples/service/store"
	"github.com/bedplate/bedplate/jwt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is an API behind a real server, and a client of it.
type service struct {
	t     *testing.T
	api   *api.API
	url   string
	audit string // the path of the log
	drain func()
}

// start starts a service whose commands are carried out at once, without load.
func start(t *testing.T, change ...func(*api.Config)) *service {
	t.Helper()
	ctx, folder := context.Background(), t.TempDir()
	db, err := store.Open(ctx, store.Config{Path: filepath.Join(folder, "service.db")})
	require.NoError(t, err)
	s := &service{t: t, audit: filepath.Join(folder, "audit.log")}
	trail, err := audit.Open(s.audit, 1<<20)
	require.NoError(t, err)
	key, err := jwt.GenerateKey("test")
	require.NoError(t, err)
	var mu sync.Mutex
	var switches api.Switches
	cfg := api.Config{
		Store: db, Keys: jwt.MustNewKeySet(key), Audit: trail, Limits: api.InMemory(),
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Breakable: true, Rounds: 10,
		Sent: func() (uint64, uint64) { return 7, 1 },
		Command: func(_ context.Context, c api.Command) error {
			mu.Lock()
			defer mu.Unlock()
			err := switches.Set(c)
			s.api.Apply(switches)
			return err
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	s.api, err = api.New(ctx, cfg)
	require.NoError(t, err)
	server := httptest.NewServer(s.api.Handler())
	s.url = server.URL
	var once sync.Once
	s.drain = func() {
		once.Do(func() {
			s.api.BeginDrain()
			server.Close()
			require.NoError(t, s.api.Drain(ctx))
			require.NoError(t, db.Drain(ctx))
		})
	}
	t.Cleanup(s.drain)
	return s
}

var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request with a token, if there is one. A body that is no text is
// sent as JSON.
func (s *service) send(method, path, token string, body any, header ...string) answer {
	s.t.Helper()
	text, ok := body.(string)
	if !ok && body != nil {
		encoded, err := json.Marshal(body)
		require.NoError(s.t, err)
		text = string(encoded)
	}
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(text))
	require.NoError(s.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if path == "/refresh" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	return answer{res.StatusCode, res.Header, data}
}

// into decodes the answer, whose status must be the one wanted.
func (s *service) into(a answer, status int, into any) {
	s.t.Helper()
	require.Equal(s.t, status, a.status, "%s", a.body)
	if into != nil {
		require.NoError(s.t, json.Unmarshal(a.body, into), "%s", a.body)
	}
}

// refused wants a failure in JSON, and returns the guard it names.
func (s *service) refused(a answer, status int, text string) string {
	s.t.Helper()
	var body struct{ Error, Guard string }
	s.into(a, status, &body)
	require.Contains(s.t, body.Error, text)
	require.Equal(s.t, "application/json", a.header.Get("Content-Type"))
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		require.NotEmpty(s.t, a.header.Get("Retry-After"))
	}
	return body.Guard
}

type pair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
}

const password = "correct horse"

func (s *service) register(email string) pair {
	s.t.Helper()
	var p pair
	s.into(s.send("POST", "/register", "", map[string]string{"email": email, "password": password}), 200, &p)
	return p
}

func TestAccountsAndSessions(t *testing.T) {
	s := start(t)
	p := s.register("Ada@Example.com")
	require.Equal(t, "Bearer", p.Type)
	require.Positive(t, p.Expires)
	var profile struct {
		ID, Email string
		Links     int
	}
	s.into(s.send("GET", "/api/profile", p.Access, nil), 200, &profile)
	require.Equal(t, "ada@example.com", profile.Email)
	require.NotEmpty(t, profile.ID)

	s.refused(s.send("POST", "/register", "", map[string]string{"email": "ada@example.com", "password": password}), 409, "address")
	s.refused(s.send("POST", "/login", "", map[string]string{"email": "ada@example.com", "password": "wrong horse"}), 401, "wrong")
	s.refused(s.send("POST", "/login", "", map[string]string{"email": "bob@example.com", "password": password}), 401, "wrong")
	s.into(s.send("POST", "/login", "", map[string]string{"email": "ada@example.com", "password": password}), 200, &p)

	var next pair
	s.into(s.send("POST", "/refresh", "", map[string]string{"refresh_token": p.Refresh}), 200, &next)
	require.NotEqual(t, p.Refresh, next.Refresh)
	s.into(s.send("GET", "/api/profile", next.Access, nil), 200, nil)
	require.Equal(t, 401, s.send("GET", "/api/profile", next.Refresh, nil).status, "a refresh token is none for requests")
	require.Equal(t, 401, s.send("GET", "/api/profile", "", nil).status)

	s.into(s.send("POST", "/logout", next.Access, nil), 204, nil)
	require.Equal(t, 401, s.send("GET", "/api/profile", next.Access, nil).status, "the session is over")
	require.Equal(t, 400, s.send("POST", "/refresh", "", map[string]string{"refresh_token": next.Refresh}).status)
}

func TestARefreshTokenThatIsUsedAgainLaterEndsItsSession(t *testing.T) {
	s := start(t)
	first := s.register("ada@example.com")
	var second, third pair
	s.into(s.send("POST", "/refresh", "", map[string]string{"refresh_token": first.Refresh}), 200, &second)
	s.into(s.send("POST", "/refresh", "", map[string]string{"refresh_token": second.Refresh}), 200, &third)
	require.Equal(t, 400, s.send("POST", "/refresh", "", map[string]string{"refresh_token": first.Refresh}).status)
	require.Equal(t, 400, s.send("POST", "/refresh", "", map[string]string{"refresh_token": third.Refresh}).status)
	require.Equal(t, 401, s.send("GET", "/api/profile", third.Access, nil).status)
	require.EqualValues(t, 1, s.api.State().JWT.Reused)
	s.drain()
	log, err := os.ReadFile(s.audit)
	require.NoError(t, err)
	require.Contains(t, string(log), `"kind":"refresh.reused"`, "what was queued is written at the end")
}

func TestBadRequestsAreRefusedInJSON(t *testing.T) {
	s := start(t)
	token := s.register("ada@example.com").Access
	for _, c := range []struct {
		method, path string
		body         any
		status       int
		text         string
	}{
		{"POST", "/register", `{"email":"x"`, 400, "JSON"},
		{"POST", "/register", `{"email":"x@y.z","password":"12345678"} {}`, 400, "more than one"},
		{"POST", "/register", `{"email":"x@y.z","password":"12345678","admin":true}`, 400, "admin"},
		{"POST", "/register", map[string]string{"email": "no address", "password": password}, 400, "address"},
		{"POST", "/register", map[string]string{"email": "Ada <a@example.com>", "password": password}, 400, "address"},
		{"POST", "/register", map[string]string{"email": "b@example.com", "password": "short"}, 400, "8 to 128"},
		{"POST", "/register", map[string]string{"email": "b@example.com", "password": strings.Repeat("x", 129)}, 400, "8 to 128"},
		{"POST", "/login", strings.Repeat(" ", 65<<10) + "{}", 413, "larger"},
		{"POST", "/api/links", map[string]string{"url": "ftp://example.com"}, 400, "url"},
		{"POST", "/api/links", map[string]string{"url": "javascript:alert(1)"}, 400, "url"},
		{"POST", "/api/links", map[string]string{"url": "https://"}, 400, "url"},
		{"POST", "/api/links", map[string]string{"url": "https://example.com/" + strings.Repeat("x", 2048)}, 400, "2048"},
		{"POST", "/api/links", map[string]string{"url": "https://example.com", "slug": "a/b"}, 400, "slug"},
		{"GET", "/api/nothing", nil, 404, "nothing"},
		{"GET", "/nothing", nil, 404, "nothing"},
		{"GET", "/l/missing", nil, 404, "no such"},
		{"GET", "/l/" + strings.Repeat("x", 100), nil, 404, "no such"},
		{"DELETE", "/api/links/missing", nil, 404, "no such"},
		{"GET", "/api/links/missing/qr.png", nil, 404, "no such"},
		{"GET", "/api/links/missing/preview", nil, 404, "no such"},
		{"POST", "/break/everything", map[string]bool{"on": true}, 404, "no such"},
		{"POST", "/break/load", map[string]bool{"on": true}, 404, "no such"},
		{"POST", "/break/kill", map[string]bool{"on": true}, 409, "-workers"},
		{"POST", "/load", map[string]any{"on": true, "rps": 0}, 400, "rps"},
		{"POST", "/load", map[string]any{"on": true, "rps": 1_000_000}, 400, "rps"},
	} {
		s.refused(s.send(c.method, c.path, token, c.body), c.status, c.text)
	}
}

func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	s := start(t)
	s.refused(s.send("POST", "/break/leak", "", `{"on":true}`, "Sec-Fetch-Site", "cross-site"), 403, "another site")
	require.False(t, s.api.State().Faults.Leak)
}

func TestWhatOthersCanReachCannotBeBroken(t *testing.T) {
	s := start(t, func(c *api.Config) { c.Breakable = false })
	s.refused(s.send("POST", "/break/leak", "", `{"on":true}`), 409, "-breakable")
	s.refused(s.send("POST", "/load", "", `{"on":true,"rps":1}`), 409, "-breakable")
	require.Equal(t, api.Faults{}, s.api.State().Can)
}

func TestLinksAreMadeFollowedCountedAndRemoved(t *testing.T) {
	s := start(t)
	ada, bob := s.register("ada@example.com").Access, s.register("bob@example.com").Access
	require.Equal(t, 404, s.send("GET", "/l/mine", "", nil).status, "which is remembered")
	var made struct{ Slug, URL string }
	s.into(s.send("POST", "/api/links", ada, map[string]string{"url": "https://example.com/a", "slug": "mine"}), 201, &made)
	require.Equal(t, "mine", made.Slug)
	s.refused(s.send("POST", "/api/links", bob, map[string]string{"url": "https://example.com/b", "slug": "mine"}), 409, "taken")
	s.into(s.send("POST", "/api/links", ada, map[string]string{"url": "https://example.com/b"}), 201, &made)
	for range 3 {
		a := s.send("GET", "/l/mine", "", nil)
		require.Equal(t, 302, a.status)
		require.Equal(t, "https://example.com/a", a.header.Get("Location"))
	}
	require.EventuallyWithT(t, func(c *assertT) {
		var list []struct {
			Slug string
			Hits int
		}
		s.into(s.send("GET", "/api/links", ada, nil), 200, &list)
		require.Len(c, list, 2)
		for _, l := range list {
			require.Equal(c, map[string]int{"mine": 3, made.Slug: 0}[l.Slug], l.Hits)
		}
	}, longest, 300*time.Millisecond) // not so often that there would be a limit
	require.Equal(t, 404, s.send("DELETE", "/api/links/mine", bob, nil).status)
	require.Equal(t, 204, s.send("DELETE", "/api/links/mine", ada, nil).status)
	require.Equal(t, 404, s.send("GET", "/l/mine", "", nil).status)
}

func TestPreviewsAndImages(t *testing.T) {
	s := start(t)
	token := s.register("ada@example.com").Access
	s.into(s.send("POST", "/api/links", token, map[string]string{"url": "https://example.com/small/page", "slug": "mine"}), 201, nil)
	var preview struct {
		Title    string
		Attempts int
	}
	s.into(s.send("GET", "/api/links/mine/preview", token, nil), 200, &preview)
	require.Equal(t, "small page · example.com", preview.Title)
	require.Equal(t, 1, preview.Attempts)
	a := s.send("GET", "/api/links/mine/qr.png", token, nil)
	require.Equal(t, 200, a.status)
	require.Equal(t, "image/png", a.header.Get("Content-Type"))
	require.True(t, bytes.HasPrefix(a.body, []byte("\x89PNG")))
	require.Equal(t, 401, s.send("GET", "/api/links/mine/qr.png", "", nil).status)
}

func TestAUserWhoSendsTooMuchIsLimitedAndOthersAreNot(t *testing.T) {
	s := start(t)
	ada, bob := s.register("ada@example.com").Access, s.register("bob@example.com").Access
	var refused atomic.Int64
	began := time.Now()
	for range api.UserLimit.N + 10 {
		if a := s.send("GET", "/api/profile", ada, nil); a.status != 200 {
			require.Equal(t, "ratelimit", s.refused(a, 429, "user"))
			refused.Add(1)
		}
	}
	if time.Since(began) >= api.UserLimit.Window {
		t.Skip("this machine is too slow to reach the limit")
	}
	require.EqualValues(t, 10, refused.Load())
	require.Equal(t, 200, s.send("GET", "/api/profile", bob, nil).status)
	state := s.api.State()
	require.EqualValues(t, 10, state.HTTP.Refused)
	require.Equal(t, "ada@example.com", state.RateLimit.Users[0].User)
	require.EqualValues(t, 10, state.RateLimit.Users[0].Refused)
	require.Equal(t, api.UserLimit.N, state.RateLimit.Users[0].Limit)
}

func TestLoginsAreLimitedByAddress(t *testing.T) {
	s := start(t)
	last := answer{}
	for range api.AuthLimit.N + 1 {
		last = s.send("POST", "/login", "", map[string]string{"email": "ada@example.com", "password": password})
	}
	require.Equal(t, "ratelimit", s.refused(last, 429, "auth"))
}

func TestReadinessEndsAndAnswersCloseTheirConnections(t *testing.T) {
	s := start(t)
	require.Equal(t, 200, s.send("GET", "/healthz", "", nil).status)
	require.Equal(t, 200, s.send("GET", "/readyz", "", nil).status)
	require.Equal(t, 200, s.send("GET", "/debug/memwatch/report.json", "", nil).status)
	metrics := string(s.send("GET", "/metrics", "", nil).body)
	for _, series := range []string{
		`bedplate_breaker_state{name="upstream",state="closed"} 1`, `bedplate_bulkhead_limit{name="live"} 64`, `bedplate_pool_max{name="sqlite"} 8`,
		`bedplate_ratelimit_allowed_total{name="users"} 0`, `bedplate_http_requests_total`, `bedplate_memory_`,
	} {
		require.Contains(t, metrics, series)
	}
	s.api.BeginDrain()
	require.Equal(t, 503, s.send("GET", "/readyz", "", nil).status)
	require.Equal(t, 200, s.send("GET", "/healthz", "", nil).status, "it still serves")
	require.False(t, s.api.State().Workers[0].Ready)
}
