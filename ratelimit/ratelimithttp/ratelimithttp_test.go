package ratelimithttp_test

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimithttp"
)

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })

// request makes a request from an address, with fields as name, value, ...
func request(t *testing.T, from string, fields ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.RemoteAddr = from
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func per(n int) []ratelimit.Limit { return []ratelimit.Limit{ratelimit.Per(n, time.Minute)} }

func TestHandlerAnswers429WithAllFieldsOverTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := ratelimithttp.MustNew(ratelimithttp.Config{Limits: per(2), LegacyFields: true}).Handler(ok)
		w := serve(h, request(t, "192.0.2.1:1234"))
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "ok", w.Body.String())
		require.Equal(t, `"default";q=2;w=60`, w.Header().Get("RateLimit-Policy"))
		require.Equal(t, `"default";r=1;t=60`, w.Header().Get("RateLimit"))
		require.Empty(t, w.Header().Get("Retry-After"))
		time.Sleep(10*time.Second + time.Millisecond)
		require.Equal(t, `"default";r=0;t=60`, serve(h, request(t, "192.0.2.1:1234")).Header().Get("RateLimit"))

		w = serve(h, request(t, "192.0.2.1:9"))
		require.Equal(t, http.StatusTooManyRequests, w.Code)
		require.Equal(t, `"default";r=0;t=50`, w.Header().Get("RateLimit"))
		require.Equal(t, "50", w.Header().Get("Retry-After"), "49.999 rounded up")
		require.Equal(t, "2", w.Header().Get("X-RateLimit-Limit"))
		require.Equal(t, "0", w.Header().Get("X-RateLimit-Remaining"))
		require.Equal(t, "50", w.Header().Get("X-RateLimit-Reset"))
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		var problem struct {
			Type, Title string
			Status      int
			Violated    []string `json:"violated-policies"`
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
		require.Equal(t, "https://iana.org/assignments/http-problem-types#quota-exceeded", problem.Type)
		require.Equal(t, 429, problem.Status)
		require.Equal(t, []string{"default"}, problem.Violated)

		require.Equal(t, http.StatusOK, serve(h, request(t, "192.0.2.2:1")).Code, "another client")
		time.Sleep(50 * time.Second)
		require.Equal(t, http.StatusOK, serve(h, request(t, "192.0.2.1:1")).Code, "after Retry-After")
	})
}

func TestRetryAfterIsAtLeastASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := ratelimithttp.MustNew(ratelimithttp.Config{Limits: []ratelimit.Limit{ratelimit.Per(1, 10*time.Millisecond)}}).Handler(ok)
		serve(h, request(t, "192.0.2.1:1"))
		require.Equal(t, "1", serve(h, request(t, "192.0.2.1:1")).Header().Get("Retry-After"))
	})
}

func TestALimitOfZeroSaysAYear(t *testing.T) {
	h := ratelimithttp.MustNew(ratelimithttp.Config{Limits: []ratelimit.Limit{{Name: "closed"}}}).Handler(ok)
	w := serve(h, request(t, "192.0.2.1:1"))
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "31536000", w.Header().Get("Retry-After"))
	require.Equal(t, `"closed";r=0`, w.Header().Get("RateLimit"))
}

func TestFieldsCanBeLeftOutAndNamesAreQuoted(t *testing.T) {
	m := ratelimithttp.MustNew(ratelimithttp.Config{NoFields: true})
	w := serve(m.Handler(ok), request(t, "192.0.2.1:1"))
	require.Empty(t, w.Header().Get("RateLimit"))
	m = ratelimithttp.MustNew(ratelimithttp.Config{Limits: []ratelimit.Limit{{Name: "a \"b\\\"\r\né", N: 1}}})
	w = serve(m.Handler(ok), request(t, "192.0.2.1:1"))
	require.Equal(t, `"a \"b\\\"";q=1;w=60`, w.Header().Get("RateLimit-Policy"))
	require.Empty(t, w.Header().Get("X-RateLimit-Limit"), "unless asked for")
	w = serve(m.Handler(ok), request(t, "192.0.2.1:1"))
	require.True(t, json.Valid(w.Body.Bytes()))
}

func TestTheAddressOfTheClient(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	byProxies := ratelimithttp.Client{TrustedProxies: proxies}
	byHops := ratelimithttp.Client{TrustedHops: 2}
	byHeader := ratelimithttp.Client{Header: "cf-connecting-ip"}
	const xff = "X-Forwarded-For"
	for _, c := range []struct {
		what   string
		client ratelimithttp.Client
		from   string
		fields []string
		want   string // "" if it cannot be told
	}{
		{"connection", ratelimithttp.Client{}, "192.0.2.1:80", nil, "192.0.2.1/32"},
		{"connection, whatever the client says", ratelimithttp.Client{}, "192.0.2.1:80", []string{xff, "1.1.1.1", "X-Real-IP", "2.2.2.2"}, "192.0.2.1/32"},
		{"IPv6 by its network", ratelimithttp.Client{}, "[2001:db8:1:2:3:4:5:6]:80", nil, "2001:db8:1:2::/64"},
		{"IPv6 with a zone", ratelimithttp.Client{}, "[fe80::1%eth0]:80", nil, "fe80::/64"},
		{"IPv6 by /48", ratelimithttp.Client{IPv6Bits: 48}, "[2001:db8:1:2:3:4:5:6]:80", nil, "2001:db8:1::/48"},
		{"mapped IPv4", ratelimithttp.Client{}, "[::ffff:192.0.2.1]:80", nil, "192.0.2.1/32"},
		{"no address", ratelimithttp.Client{}, "@", nil, ""},
		{"empty", ratelimithttp.Client{}, "", nil, ""},

		{"proxy", byProxies, "10.0.0.1:80", []string{xff, "192.0.2.1"}, "192.0.2.1/32"},
		{"two proxies", byProxies, "10.0.0.1:80", []string{xff, "6.6.6.6, 192.0.2.1, 10.9.9.9"}, "192.0.2.1/32"},
		{"two fields", byProxies, "10.0.0.1:80", []string{xff, "6.6.6.6", xff, "192.0.2.1,10.9.9.9"}, "192.0.2.1/32"},
		{"not from a proxy", byProxies, "192.0.2.7:80", []string{xff, "6.6.6.6"}, "192.0.2.7/32"},
		{"only proxies", byProxies, "10.0.0.1:80", []string{xff, "10.0.0.2"}, "10.0.0.2/32"},
		{"a proxy's own request", byProxies, "10.0.0.1:80", nil, "10.0.0.1/32"},
		{"garbage before the proxy", byProxies, "10.0.0.1:80", []string{xff, "1.1.1.1, unknown"}, ""},
		{"an empty member", byProxies, "10.0.0.1:80", []string{xff, "1.1.1.1,"}, ""},
		{"with a port", byProxies, "10.0.0.1:80", []string{xff, "192.0.2.1:999"}, "192.0.2.1/32"},
		{"with brackets", byProxies, "10.0.0.1:80", []string{xff, "[2001:db8::1]"}, "2001:db8::/64"},
		{"a mapped proxy", byProxies, "[::ffff:10.0.0.1]:80", []string{xff, "::ffff:192.0.2.1"}, "192.0.2.1/32"},

		{"hops", byHops, "10.0.0.1:80", []string{xff, "6.6.6.6, 192.0.2.1, 10.1.1.1"}, "192.0.2.1/32"},
		{"too few hops", byHops, "10.0.0.1:80", []string{xff, "192.0.2.1"}, ""},
		{"no hops", byHops, "10.0.0.1:80", nil, ""},

		{"header", byHeader, "10.0.0.1:80", []string{"CF-Connecting-IP", " 192.0.2.1 ", xff, "6.6.6.6"}, "192.0.2.1/32"},
		{"header missing", byHeader, "10.0.0.1:80", []string{xff, "6.6.6.6"}, ""},
		{"header twice", byHeader, "10.0.0.1:80", []string{"CF-Connecting-IP", "1.1.1.1", "CF-Connecting-IP", "2.2.2.2"}, ""},
		{"header garbage", byHeader, "10.0.0.1:80", []string{"CF-Connecting-IP", "<script>"}, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			var seen []ratelimithttp.Key
			m := ratelimithttp.MustNew(ratelimithttp.Config{Client: c.client, PlanFor: func(key ratelimithttp.Key) *ratelimit.Plan {
				seen = append(seen, key)
				return nil
			}})
			w := serve(m.Handler(ok), request(t, c.from, c.fields...))
			if c.want == "" {
				require.Equal(t, http.StatusBadRequest, w.Code, "refused, never unlimited")
				require.Empty(t, seen)
				require.NotContains(t, w.Body.String(), "script", "nothing of the request is in the answer")
				return
			}
			require.Equal(t, http.StatusOK, w.Code)
			require.Len(t, seen, 1)
			require.Equal(t, c.want, seen[0].String())
		})
	}
}

func TestAClientOfOneNetworkCannotRotateItsAddress(t *testing.T) {
	m := ratelimithttp.MustNew(ratelimithttp.Config{Limits: per(3)})
	h := m.Handler(ok)
	admitted := 0
	for i := range 1000 {
		address := netip.MustParseAddr("2001:db8::")
		b := address.As16()
		b[15], b[14] = byte(i), byte(i>>8)
		if serve(h, request(t, netip.AddrPortFrom(netip.AddrFrom16(b), 80).String())).Code == http.StatusOK {
			admitted++
		}
	}
	require.Equal(t, 3, admitted)
	require.Equal(t, 1, m.Limiter().Stats().Keys)
}

func user(r *http.Request) (string, bool) {
	values := r.Header["User"]
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

func TestUsersHaveTheirOwnBudgets(t *testing.T) {
	h := ratelimithttp.MustNew(ratelimithttp.Config{Limits: per(1), User: user}).Handler(ok)
	require.Equal(t, 200, serve(h, request(t, "192.0.2.1:1", "User", "a")).Code)
	require.Equal(t, 429, serve(h, request(t, "192.0.2.2:1", "User", "a")).Code, "from anywhere")
	require.Equal(t, 200, serve(h, request(t, "192.0.2.1:1", "User", "b")).Code)
	require.Equal(t, 200, serve(h, request(t, "192.0.2.1:1", "User", "")).Code, "an empty name is a name")
	require.Equal(t, 429, serve(h, request(t, "192.0.2.9:1", "User", "")).Code)
	require.Equal(t, 200, serve(h, request(t, "192.0.2.1:1", "User", "192.0.2.1/32")).Code)
	require.Equal(t, 200, serve(h, request(t, "192.0.2.1:1")).Code, "an address is not a user of that name")
	require.Equal(t, 429, serve(h, request(t, "192.0.2.1:1")).Code)
}

func TestWithoutAUserTheConfigurationDecides(t *testing.T) {
	reject := ratelimithttp.MustNew(ratelimithttp.Config{Limits: per(1), User: user, Anonymous: ratelimithttp.Reject}).Handler(ok)
	skip := ratelimithttp.MustNew(ratelimithttp.Config{Limits: per(1), User: user, Anonymous: ratelimithttp.Skip}).Handler(ok)
	for range 3 {
		w := serve(reject, request(t, "192.0.2.1:1"))
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.True(t, json.Valid(w.Body.Bytes()))
		require.Equal(t, http.StatusOK, serve(skip, request(t, "192.0.2.1:1")).Code)
	}
	require.Equal(t, 200, serve(reject, request(t, "192.0.2.1:1", "User", "a")).Code)
	require.Equal(t, 429, serve(reject, request(t, "192.0.2.1:1", "User", "a")).Code)
}

func TestCostAndRefund(t *testing.T) {
	status := http.StatusOK
	m := ratelimithttp.MustNew(ratelimithttp.Config{
		Limits: per(10),
		Cost: func(r *http.Request) int {
			if r.Header.Get("Heavy") != "" {
				return 4
			}
			return -1
		},
		Refund: func(status int) bool { return status >= 500 },
	})
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("the wrapper hides what the writer can do: %v", err)
		}
		w.WriteHeader(status)
		w.WriteHeader(200)
		_, _ = io.WriteString(w, "body")
	}))
	left := func() int {
		return m.Limiter().Peek(ratelimithttp.Key{Address: netip.MustParsePrefix("192.0.2.1/32")}).Remaining
	}
	serve(h, request(t, "192.0.2.1:1", "Heavy", "1"))
	require.Equal(t, 6, left())
	serve(h, request(t, "192.0.2.1:1"))
	require.Equal(t, 6, left(), "below zero is free")
	status = http.StatusBadGateway
	serve(h, request(t, "192.0.2.1:1", "Heavy", "1"))
	require.Equal(t, 6, left(), "given back")
}

func TestOnLimitedWritesItsOwnAnswer(t *testing.T) {
	h := ratelimithttp.MustNew(ratelimithttp.Config{Limits: per(0), OnLimited: func(w http.ResponseWriter, _ *http.Request, d ratelimit.Decision) {
		require.False(t, d.Allowed)
		http.Error(w, "slow down", http.StatusServiceUnavailable)
	}}).Handler(ok)
	w := serve(h, request(t, "192.0.2.1:1"))
	require.Equal(t, 503, w.Code)
	require.Equal(t, "slow down\n", w.Body.String())
	require.NotEmpty(t, w.Header().Get("Retry-After"))
}

func TestUnlimitedKeysAndShadowRulesAreServed(t *testing.T) {
	m := ratelimithttp.MustNew(ratelimithttp.Config{
		Limits: []ratelimit.Limit{{N: 1, Shadow: true}},
		User:   user,
		PlanFor: func(key ratelimithttp.Key) *ratelimit.Plan {
			if key.User == "ops" {
				return ratelimit.Unlimited()
			}
			return nil
		},
	})
	for range 5 {
		w := serve(m.Handler(ok), request(t, "192.0.2.1:1", "User", "ops"))
		require.Equal(t, 200, w.Code)
		require.Empty(t, w.Header().Get("RateLimit"))
		require.Equal(t, 200, serve(m.Handler(ok), request(t, "192.0.2.1:1")).Code)
	}
	require.EqualValues(t, 4, m.Limiter().Stats().Shadowed)
}

func TestHandlerAllocates(t *testing.T) {
	for what, n := range map[string]int{"allowed": math.MaxInt32, "refused": 1} {
		h := ratelimithttp.MustNew(ratelimithttp.Config{Limits: per(n)}).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		w, r := discard{http.Header{}}, request(t, "192.0.2.1:1")
		most := 4.0
		if what == "refused" {
			most = 9
		}
		got := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) })
		require.LessOrEqual(t, got, most, what)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header       { return d.h }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func TestNewRefusesBadValuesAndNamesThem(t *testing.T) {
	for want, cfg := range map[string]ratelimithttp.Config{
		"ratelimithttp: Config.Anonymous is 7, want ByAddress, Reject or Skip":                                     {Anonymous: 7},
		"ratelimithttp: Config.User is nil, want a function since Anonymous is 1":                                  {Anonymous: ratelimithttp.Reject},
		"ratelimithttp: Client.IPv6Bits is 129, want 0 to 128":                                                     {Client: ratelimithttp.Client{IPv6Bits: 129}},
		"ratelimithttp: Client.TrustedHops is -1, want ≥ 0":                                                        {Client: ratelimithttp.Client{TrustedHops: -1}},
		"ratelimithttp: Client.TrustedProxies has invalid Prefix, want valid prefixes":                             {Client: ratelimithttp.Client{TrustedProxies: make([]netip.Prefix, 1)}},
		"ratelimithttp: Config: ratelimit: Limit.N is -1, want 0 to 2147483647":                                    {Limits: per(-1)},
		"ratelimithttp: Client has 2 ways to find the address, want one of TrustedProxies, TrustedHops and Header": {Client: ratelimithttp.Client{TrustedHops: 1, Header: "X"}},
	} {
		require.PanicsWithValue(t, want, func() { ratelimithttp.MustNew(cfg) })
	}
	require.PanicsWithValue(t, "ratelimithttp: next is nil", func() { ratelimithttp.MustNew(ratelimithttp.Config{}).Handler(nil) })
	require.PanicsWithValue(t, "ratelimithttp: TransportConfig: ratelimit: Config.MaxWait is -1ns, want ≥ 0", func() {
		ratelimithttp.MustNewTransport(ratelimithttp.TransportConfig{MaxWait: -1})
	})
}

// tripper answers without a network.
type tripper struct{ sent, closed int }

func (b *tripper) RoundTrip(*http.Request) (*http.Response, error) {
	b.sent++
	return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
}
func (b *tripper) CloseIdleConnections() { b.closed++ }

type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

func TestTransportLimitsEachHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &tripper{}
		tr := ratelimithttp.MustNewTransport(ratelimithttp.TransportConfig{Limits: per(1), Base: base, MaxWait: 30 * time.Second})
		client := &http.Client{Transport: tr}
		_, err := client.Get("http://a.example/")
		require.NoError(t, err)
		_, err = client.Get("http://b.example/")
		require.NoError(t, err)
		upload := &body{Reader: strings.NewReader("x")}
		_, err = client.Post("http://a.example/", "text/plain", upload)
		require.ErrorIs(t, err, ratelimit.ErrLimited)
		var hint interface{ RetryAfter() time.Duration }
		require.ErrorAs(t, err, &hint)
		require.Equal(t, time.Minute, hint.RetryAfter())
		require.True(t, upload.closed)
		require.Equal(t, 2, base.sent)
		time.Sleep(40 * time.Second)
		start := time.Now()
		_, err = client.Get("http://a.example/")
		require.NoError(t, err, "within MaxWait")
		require.InDelta(t, 20, time.Since(start).Seconds(), 0.001)
		client.CloseIdleConnections()
		require.Equal(t, 1, base.closed)
	})
}
