package breakerhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/breaker/breakerhttp"
)

// trip is a RoundTripper from a function.
type trip func(*http.Request) (*http.Response, error)

func (t trip) RoundTrip(req *http.Request) (*http.Response, error) { return t(req) }

func answer(status int, header ...string) *http.Response {
	res := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("body"))}
	for i := 0; i < len(header); i += 2 {
		res.Header.Set(header[i], header[i+1])
	}
	return res
}

func get(t *testing.T, rt http.RoundTripper, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return rt.RoundTrip(req)
}

func TestTransportJudgesByStatus(t *testing.T) {
	for status, want := range map[int]breaker.State{
		200: breaker.Closed, 301: breaker.Closed, 400: breaker.Closed, 404: breaker.Closed,
		429: breaker.Open, 500: breaker.Open, 503: breaker.Open,
	} {
		rt := breakerhttp.MustNew(breakerhttp.Config{Breaker: breaker.Config{ConsecutiveFailures: 1},
			Base: trip(func(*http.Request) (*http.Response, error) { return answer(status), nil })})
		res, err := get(t, rt, "http://a/")
		require.NoError(t, err)
		require.Equal(t, status, res.StatusCode, "the response comes back as it is")
		require.Equal(t, want, rt.Group().Get("a").State(), "status %d", status)
	}
}

func TestTransportKeepsHostsApart(t *testing.T) {
	rt := breakerhttp.MustNew(breakerhttp.Config{Breaker: breaker.Config{Name: "api", ConsecutiveFailures: 1},
		Base: trip(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host == "bad" {
				return nil, errors.New("connection refused")
			}
			return answer(200), nil
		})})
	_, err := get(t, rt, "http://bad/")
	require.EqualError(t, err, "connection refused")
	_, err = get(t, rt, "http://bad/")
	require.ErrorIs(t, err, breaker.ErrOpen)
	require.ErrorContains(t, err, "breaker: api/bad: open")
	_, err = get(t, rt, "http://good/")
	require.NoError(t, err)
}

func TestTransportKeyAndFailedAreTheUsersToChoose(t *testing.T) {
	rt := breakerhttp.MustNew(breakerhttp.Config{Breaker: breaker.Config{ConsecutiveFailures: 1},
		Key:    func(req *http.Request) string { return req.URL.Path },
		Failed: func(res *http.Response) bool { return res.StatusCode == 418 },
		Base: trip(func(req *http.Request) (*http.Response, error) {
			return answer(map[string]int{"/tea": 418, "/down": 500}[req.URL.Path]), nil
		})})
	_, _ = get(t, rt, "http://a/tea")
	_, _ = get(t, rt, "http://a/down")
	require.Equal(t, breaker.Open, rt.Group().Get("/tea").State())
	require.Equal(t, breaker.Closed, rt.Group().Get("/down").State())
}

func TestTransportTakesTheOpenTimeFromRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for value, want := range map[string]time.Duration{
			"120": 2 * time.Minute,
			time.Now().Add(3 * time.Minute).UTC().Format(http.TimeFormat): 3 * time.Minute,
			"999999999999999999": 10 * time.Hour,
			"-5":                 time.Hour,
			"soon":               time.Hour,
		} {
			var cause error
			rt := breakerhttp.MustNew(breakerhttp.Config{
				Breaker: breaker.Config{ConsecutiveFailures: 1, OpenFor: time.Hour, NoJitter: true,
					Hooks: breaker.Hooks{OnStateChange: func(c breaker.StateChange) { cause = c.Err }}},
				Base: trip(func(*http.Request) (*http.Response, error) { return answer(503, "Retry-After", value), nil })})
			_, err := get(t, rt, "http://a/")
			require.NoError(t, err)
			require.EqualError(t, cause, "breakerhttp: status 503 Service Unavailable")
			_, err = (&http.Client{Transport: rt}).Get("http://a/")
			var refusal interface{ RetryAfter() time.Duration }
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, want, refusal.RetryAfter(), value)
		}
	})
}

func TestTransportIgnoresRequestsThatTheirCallerEnds(t *testing.T) {
	rt := breakerhttp.MustNew(breakerhttp.Config{Breaker: breaker.Config{ConsecutiveFailures: 1},
		Base: trip(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/", nil)
	require.NoError(t, err)
	_, err = rt.RoundTrip(req)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, breaker.Closed, rt.Group().Get("a").State())
	require.EqualValues(t, 1, rt.Group().Get("a").Stats().Ignored)
}

type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

func TestTransportRefusalClosesTheRequestBody(t *testing.T) {
	rt := breakerhttp.MustNew(breakerhttp.Config{Breaker: breaker.Config{Mode: breaker.ForceOpen}})
	b := &body{Reader: strings.NewReader("x")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://a/", b)
	require.NoError(t, err)
	_, err = rt.RoundTrip(req)
	require.ErrorIs(t, err, breaker.ErrOpen)
	require.True(t, b.closed)
}

func TestTransportPanicCountsAsFailure(t *testing.T) {
	rt := breakerhttp.MustNew(breakerhttp.Config{Breaker: breaker.Config{ConsecutiveFailures: 1},
		Base: trip(func(*http.Request) (*http.Response, error) { panic("base") })})
	require.PanicsWithValue(t, "base", func() { _, _ = get(t, rt, "http://a/") })
	require.Equal(t, breaker.Open, rt.Group().Get("a").State())
}

func TestTransportHeaderTimeoutCoversTheHeadersOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := time.Duration(0)
		var seen context.Context
		rt := breakerhttp.MustNew(breakerhttp.Config{Breaker: breaker.Config{Name: "api", ConsecutiveFailures: 1},
			HeaderTimeout: time.Second,
			Base: trip(func(req *http.Request) (*http.Response, error) {
				seen = req.Context()
				select {
				case <-time.After(slow):
					return answer(200), nil
				case <-req.Context().Done():
					return nil, req.Context().Err()
				}
			})})
		res, err := get(t, rt, "http://a/")
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.NoError(t, seen.Err(), "alive while the body is open")
		_, err = res.Body.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, seen.Err())
		require.NoError(t, res.Body.Close())
		require.Error(t, seen.Err(), "released with the body")

		res, err = get(t, rt, "http://a/")
		require.NoError(t, err)
		_, err = io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Error(t, seen.Err(), "released at the end of the body")

		slow = time.Minute
		_, err = get(t, rt, "http://a/")
		require.EqualError(t, err, "breaker: api/a: call timed out, after 1s")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, breaker.Open, rt.Group().Get("a").State())
	})
}

func TestTransportHeadersThatComeTogetherWithTheTimeoutAreTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := &body{Reader: strings.NewReader("x")}
		rt := breakerhttp.MustNew(breakerhttp.Config{Breaker: breaker.Config{ConsecutiveFailures: 1},
			HeaderTimeout: time.Second,
			Base: trip(func(*http.Request) (*http.Response, error) {
				time.Sleep(2 * time.Second) // deaf to its context
				return &http.Response{StatusCode: 200, Body: sent}, nil
			})})
		_, err := get(t, rt, "http://a/")
		require.ErrorIs(t, err, breaker.ErrTimeout)
		require.True(t, sent.closed)
		require.Equal(t, breaker.Open, rt.Group().Get("a").State())
	})
}

func TestTransportHeaderTimeoutLeavesTheCallersCancellationAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := breakerhttp.MustNew(breakerhttp.Config{Breaker: breaker.Config{ConsecutiveFailures: 1},
			HeaderTimeout: time.Hour,
			Base: trip(func(req *http.Request) (*http.Response, error) {
				<-req.Context().Done()
				return nil, req.Context().Err()
			})})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://a/", nil)
		require.NoError(t, err)
		_, err = rt.RoundTrip(req)
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, breaker.Closed, rt.Group().Get("a").State())
	})
}

type duplex struct {
	body
	written strings.Builder
}

func (d *duplex) Write(p []byte) (int, error) { return d.written.Write(p) }

func TestTransportUpgradedConnectionsStayWritable(t *testing.T) {
	conn := &duplex{body: body{Reader: strings.NewReader("pong")}}
	rt := breakerhttp.MustNew(breakerhttp.Config{HeaderTimeout: time.Hour,
		Base: trip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: conn}, nil
		})})
	res, err := get(t, rt, "http://a/")
	require.NoError(t, err)
	_, err = io.WriteString(res.Body.(io.Writer), "ping")
	require.NoError(t, err)
	require.Equal(t, "ping", conn.written.String())
	require.NoError(t, res.Body.Close())
	require.True(t, conn.closed)
}

func TestTransportWorksWithARealServer(t *testing.T) {
	down := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		for i := range 3 {
			fmt.Fprintf(w, "part %d;", i)
			w.(http.Flusher).Flush()
		}
	}))
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	client := &http.Client{Transport: breakerhttp.MustNew(breakerhttp.Config{Base: base, HeaderTimeout: time.Minute,
		Breaker: breaker.Config{ConsecutiveFailures: 2}})}
	res, err := client.Get(server.URL)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "part 0;part 1;part 2;", string(text))
	down = true
	for range 2 {
		res, err = client.Get(server.URL)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
	}
	_, err = client.Get(server.URL)
	require.ErrorIs(t, err, breaker.ErrOpen)
}

func TestNewRefusesBadValuesAndNamesThem(t *testing.T) {
	for want, cfg := range map[string]breakerhttp.Config{
		"breakerhttp: Config.HeaderTimeout is -1ns, want ≥ 0":                      {HeaderTimeout: -1},
		"breakerhttp: Config.Breaker.CallTimeout is 1s, want 0: use HeaderTimeout": {Breaker: breaker.Config{CallTimeout: time.Second}},
		"breakerhttp: Config.MaxHosts is -1, want ≥ 0":                             {MaxHosts: -1},
		"breakerhttp: Config.IdleFor is -1ns, want ≥ 0":                            {IdleFor: -1},
		"breakerhttp: Config.Breaker: breaker: Config.Probes is -1, want ≥ 0":      {Breaker: breaker.Config{Probes: -1}},
	} {
		rt, err := breakerhttp.New(cfg)
		require.EqualError(t, err, want)
		require.Nil(t, rt)
		require.PanicsWithValue(t, want, func() { breakerhttp.MustNew(cfg) })
	}
}
