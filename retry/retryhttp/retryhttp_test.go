package retryhttp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/retry/retryhttp"
)

// server counts the connections and requests it gets.
type server struct {
	*httptest.Server
	conns, requests atomic.Int32
}

func serve(t *testing.T, handler http.HandlerFunc) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		handler(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// client returns a client with a Transport and connections of its own.
func client(t *testing.T, cfg retryhttp.Config) *http.Client {
	t.Helper()
	if cfg.Base == nil {
		cfg.Base = &http.Transport{}
	}
	if cfg.Retry.BaseDelay == 0 && !cfg.Retry.NoDelay {
		cfg.Retry.NoDelay = true
	}
	c := &http.Client{Transport: retryhttp.MustNew(cfg)}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// failFirst answers n requests with status, the others with "ok".
func failFirst(n int32, status int) http.HandlerFunc {
	var count atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if count.Add(1) <= n {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.Repeat("sorry ", 1000))
			return
		}
		_, _ = io.WriteString(w, "ok "+string(body))
	}
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return string(body)
}

func TestTransportRetriesUntilTheServerAnswers(t *testing.T) {
	for _, status := range []int{429, 502, 503, 504} {
		s := serve(t, failFirst(2, status))
		resp, err := client(t, retryhttp.Config{}).Get(s.URL)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "ok ", read(t, resp))
		require.EqualValues(t, 3, s.requests.Load())
	}
}

func TestTenRetriedCallsUseOneConnection(t *testing.T) {
	var count atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1)%4 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, strings.Repeat("sorry ", 10_000))
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
	c := client(t, retryhttp.Config{})
	for range 10 {
		resp, err := c.Get(s.URL)
		require.NoError(t, err)
		require.Equal(t, "ok", read(t, resp))
	}
	require.EqualValues(t, 40, s.requests.Load())
	require.EqualValues(t, 1, s.conns.Load())
}

func TestRetriesOverHTTP2UseOneConnection(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(failFirst(3, http.StatusServiceUnavailable))
	s.EnableHTTP2 = true
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.StartTLS()
	defer s.Close()
	c := client(t, retryhttp.Config{Base: s.Client().Transport, Retry: retry.Config{AttemptTimeout: time.Minute}})
	req, err := http.NewRequest("PUT", s.URL, strings.NewReader("payload"))
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err)
	require.Equal(t, 2, resp.ProtoMajor)
	require.Equal(t, "ok payload", read(t, resp))
	require.EqualValues(t, 1, conns.Load())
}

func TestResponseWithoutBodyIsForgiven(t *testing.T) {
	calls := 0
	resp, err := client(t, retryhttp.Config{Base: roundTrip(func(*http.Request) (*http.Response, error) {
		if calls++; calls == 1 {
			return &http.Response{StatusCode: 503}, nil
		}
		return &http.Response{StatusCode: 204}, nil
	})}).Get("http://example.com")
	require.NoError(t, err)
	require.Equal(t, 204, resp.StatusCode)
	require.Empty(t, read(t, resp))
}

func TestOtherStatusesAreAnswers(t *testing.T) {
	for _, status := range []int{200, 204, 400, 404, 409, 500, 501} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		resp, err := client(t, retryhttp.Config{}).Get(s.URL)
		require.NoError(t, err)
		require.Equal(t, status, resp.StatusCode)
		read(t, resp)
		require.EqualValues(t, 1, s.requests.Load())
	}
}

func TestFailedDecidesWhichResponsesAreRetried(t *testing.T) {
	s := serve(t, failFirst(1, http.StatusInternalServerError))
	resp, err := client(t, retryhttp.Config{
		// If is about transport errors and must not be asked here.
		Retry:  retry.Config{If: func(err error) bool { t.Errorf("If asked about %v", err); return false }},
		Failed: func(r *http.Response) bool { return r.StatusCode == 500 },
	}).Get(s.URL)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	read(t, resp)
}

func TestLastResponseIsReturnedWhenAttemptsAreSpent(t *testing.T) {
	s := serve(t, failFirst(100, http.StatusServiceUnavailable))
	resp, err := client(t, retryhttp.Config{Retry: retry.Config{MaxAttempts: 3}}).Get(s.URL)
	require.NoError(t, err)
	require.Equal(t, 503, resp.StatusCode)
	require.True(t, strings.HasPrefix(read(t, resp), "sorry sorry"), "its body is whole")
	require.EqualValues(t, 3, s.requests.Load())
}

func TestRequestsThatMustNotBeSentTwiceAreSentOnce(t *testing.T) {
	send := func(cfg retryhttp.Config, method string, body io.Reader, header ...string) (requests int32) {
		s := serve(t, failFirst(1, http.StatusServiceUnavailable))
		req, err := http.NewRequest(method, s.URL, body)
		require.NoError(t, err)
		for _, h := range header {
			req.Header.Set(h, "k")
		}
		resp, err := client(t, cfg).Do(req)
		require.NoError(t, err)
		read(t, resp)
		return s.requests.Load()
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"} {
		require.EqualValues(t, 2, send(retryhttp.Config{}, method, nil), method)
	}
	for _, method := range []string{"POST", "PATCH", "CUSTOM"} {
		require.EqualValues(t, 1, send(retryhttp.Config{}, method, strings.NewReader("x")), method)
		require.EqualValues(t, 2, send(retryhttp.Config{}, method, strings.NewReader("x"), "Idempotency-Key"), method)
		require.EqualValues(t, 2, send(retryhttp.Config{}, method, strings.NewReader("x"), "X-Idempotency-Key"), method)
		optIn := retryhttp.Config{Retryable: func(*http.Request) bool { return true }}
		require.EqualValues(t, 2, send(optIn, method, strings.NewReader("x")), method)
	}
	never := retryhttp.Config{Retryable: func(*http.Request) bool { return false }}
	require.EqualValues(t, 1, send(never, "GET", nil))
	timed := retryhttp.Config{Retry: retry.Config{AttemptTimeout: time.Minute}}
	require.EqualValues(t, 1, send(timed, "POST", nil))
	// A reader that cannot be read twice.
	require.EqualValues(t, 1, send(retryhttp.Config{}, "PUT", io.MultiReader(strings.NewReader("x"))))
}

func TestRequestWithoutBodyNeedsNoGetBody(t *testing.T) {
	s := serve(t, failFirst(1, http.StatusServiceUnavailable))
	req, err := http.NewRequest("PUT", s.URL, nil)
	require.NoError(t, err)
	req.Body = http.NoBody
	resp, err := client(t, retryhttp.Config{}).Transport.RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	read(t, resp)
}

func TestBodyIsSentAgainWhole(t *testing.T) {
	var got []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, string(body))
		if len(got) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	req, err := http.NewRequest("PUT", s.URL, bytes.NewReader([]byte("payload")))
	require.NoError(t, err)
	resp, err := client(t, retryhttp.Config{}).Do(req)
	require.NoError(t, err)
	read(t, resp)
	require.Equal(t, []string{"payload", "payload", "payload"}, got)
}

func TestBodyThatCannotBeMadeAgainEndsTheCall(t *testing.T) {
	s := serve(t, failFirst(100, http.StatusServiceUnavailable))
	req, err := http.NewRequest("PUT", s.URL, strings.NewReader("x"))
	require.NoError(t, err)
	errGone := errors.New("file is gone")
	req.GetBody = func() (io.ReadCloser, error) { return nil, errGone }
	_, err = client(t, retryhttp.Config{}).Do(req)
	require.ErrorIs(t, err, errGone)
	require.ErrorContains(t, err, "retryhttp: body cannot be sent again")
	require.EqualValues(t, 1, s.requests.Load())
}

// roundTrip is a transport of a test.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, header ...string) *http.Response {
	h := make(http.Header)
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Status: strconv.Itoa(status), Header: h, Body: io.NopCloser(strings.NewReader("body"))}
}

func TestBothFormsOfRetryAfterAreObeyed(t *testing.T) {
	for name, row := range map[string]struct {
		header func() []string
		want   time.Duration
	}{
		"seconds":   {func() []string { return []string{"Retry-After", "7"} }, 7 * time.Second},
		"zero":      {func() []string { return []string{"Retry-After", "0"} }, 0},
		"malformed": {func() []string { return []string{"Retry-After", "-7 soon"} }, 0},
		"date": {func() []string {
			return []string{"Retry-After", time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat)}
		}, 9 * time.Second},
		"past date": {func() []string {
			return []string{"Retry-After", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}
		}, 0},
		"date by the server's clock": {func() []string {
			theirs := time.Now().Add(-24 * time.Hour).UTC()
			return []string{"Date", theirs.Format(http.TimeFormat), "Retry-After", theirs.Add(5 * time.Second).Format(http.TimeFormat)}
		}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin, calls := time.Now(), 0
				resp, err := client(t, retryhttp.Config{Base: roundTrip(func(*http.Request) (*http.Response, error) {
					if calls++; calls == 1 {
						return answer(503, row.header()...), nil
					}
					return answer(200), nil
				})}).Get("http://example.com")
				require.NoError(t, err)
				require.Equal(t, 200, resp.StatusCode)
				require.Equal(t, row.want, time.Since(begin))
				read(t, resp)
			})
		})
	}
}

func TestRetryAfterThatIsTooLongReturnsTheResponseAtOnce(t *testing.T) {
	for _, value := range []string{"1743440400", "9223372037", "18446744074", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			resp, err := client(t, retryhttp.Config{Base: roundTrip(func(*http.Request) (*http.Response, error) {
				return answer(429, "Retry-After", value), nil
			})}).Get("http://example.com")
			require.NoError(t, err)
			require.Equal(t, 429, resp.StatusCode)
			require.Equal(t, "body", read(t, resp))
			require.Zero(t, time.Since(begin))
		})
	}
}

func TestDeadlineThatTheDelayCannotFitReturnsTheResponseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", "http://example.com", nil)
		require.NoError(t, err)
		begin := time.Now()
		resp, err := client(t, retryhttp.Config{Base: roundTrip(func(*http.Request) (*http.Response, error) {
			return answer(503, "Retry-After", "10"), nil
		})}).Do(req)
		require.NoError(t, err)
		require.Equal(t, 503, resp.StatusCode)
		require.Equal(t, "body", read(t, resp))
		require.Zero(t, time.Since(begin))
	})
}

func TestCancellationInTheDelayEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		req, err := http.NewRequestWithContext(ctx, "GET", "http://example.com", nil)
		require.NoError(t, err)
		_, err = client(t, retryhttp.Config{Base: roundTrip(func(*http.Request) (*http.Response, error) {
			return answer(503, "Retry-After", "10"), nil
		})}).Transport.RoundTrip(req)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, "retryhttp: status 503 Service Unavailable")
		status, ok := errors.AsType[*retryhttp.StatusError](err)
		require.True(t, ok)
		require.Equal(t, 503, status.StatusCode)
	})
}

func TestTransportErrorsAreRetriedAndReturned(t *testing.T) {
	calls := 0
	refused := errors.New("connection refused")
	c := client(t, retryhttp.Config{Base: roundTrip(func(*http.Request) (*http.Response, error) {
		calls++
		return nil, refused
	})})
	_, err := c.Get("http://example.com")
	require.ErrorIs(t, err, refused)
	require.ErrorIs(t, err, retry.ErrExhausted)
	require.Equal(t, 4, calls)
}

func TestUntrustedCertificateIsNotRetried(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Config.ErrorLog = discardLog
	s.StartTLS()
	defer s.Close()
	_, err := client(t, retryhttp.Config{}).Get(s.URL)
	require.ErrorContains(t, err, "certificate")
	require.EqualValues(t, 1, conns.Load())
}

func TestDoneContextSendsNothingAndClosesTheBody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	body := &closeSpy{Reader: strings.NewReader("x")}
	req, err := http.NewRequestWithContext(ctx, "PUT", "http://example.com", body)
	require.NoError(t, err)
	req.GetBody = func() (io.ReadCloser, error) { return body, nil }
	tr := retryhttp.MustNew(retryhttp.Config{Base: roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("sent")
		return nil, nil
	})})
	_, err = tr.RoundTrip(req)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, body.closed)
}

type closeSpy struct {
	io.Reader
	closed bool
}

func (c *closeSpy) Close() error { c.closed = true; return nil }

func TestRequestIsNotModified(t *testing.T) {
	s := serve(t, failFirst(2, http.StatusServiceUnavailable))
	req, err := http.NewRequest("PUT", s.URL, strings.NewReader("x"))
	require.NoError(t, err)
	body, ctx := req.Body, req.Context()
	resp, err := client(t, retryhttp.Config{}).Transport.RoundTrip(req)
	require.NoError(t, err)
	read(t, resp)
	require.True(t, req.Body == body && req.Context() == ctx)
}

func TestAttemptTimeoutEndsAtTheHeadersAndTheBodyLivesOn(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-release
		_, _ = io.WriteString(w, "late body")
	})
	resp, err := client(t, retryhttp.Config{Retry: retry.Config{AttemptTimeout: 5 * time.Second}}).Get(s.URL)
	require.NoError(t, err)
	close(release)
	require.Equal(t, "late body", read(t, resp))
}

func TestContextLivesUntilTheBodyIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempt context.Context
		tr := retryhttp.MustNew(retryhttp.Config{
			Retry: retry.Config{AttemptTimeout: time.Second},
			Base: roundTrip(func(r *http.Request) (*http.Response, error) {
				attempt = r.Context()
				return answer(200), nil
			}),
		})
		req, err := http.NewRequest("GET", "http://example.com", nil)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.NoError(t, attempt.Err(), "neither the end of the call nor the timeout ends it")
		require.Equal(t, "body", read(t, resp))
		require.Error(t, attempt.Err())
	})
}

func TestAttemptThatTimesOutIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		tr := retryhttp.MustNew(retryhttp.Config{
			Retry: retry.Config{NoDelay: true, AttemptTimeout: time.Second, MaxAttempts: 3},
			Base: roundTrip(func(r *http.Request) (*http.Response, error) {
				calls++
				<-r.Context().Done()
				return nil, r.Context().Err()
			}),
		})
		req, err := http.NewRequest("GET", "http://example.com", nil)
		require.NoError(t, err)
		begin := time.Now()
		_, err = tr.RoundTrip(req)
		require.ErrorIs(t, err, retry.ErrAttemptTimeout)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, context.Canceled, "nobody cancelled the call")
		require.Equal(t, 3, calls)
		require.Equal(t, 3*time.Second, time.Since(begin))
	})
}

func TestResponseThatComesWithTheTimeoutIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := &closeSpy{Reader: strings.NewReader("x")}
		tr := retryhttp.MustNew(retryhttp.Config{
			Retry: retry.Config{NoDelay: true, AttemptTimeout: time.Second, MaxAttempts: 1},
			Base: roundTrip(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				resp := answer(200)
				resp.Body = body
				return resp, nil
			}),
		})
		req, err := http.NewRequest("GET", "http://example.com", nil)
		require.NoError(t, err)
		_, err = tr.RoundTrip(req)
		require.ErrorIs(t, err, retry.ErrAttemptTimeout)
		require.True(t, body.closed)
	})
}

func TestContextEndsWithABodyThatIsReadButNotClosed(t *testing.T) {
	var attempt context.Context
	tr := retryhttp.MustNew(retryhttp.Config{Base: roundTrip(func(r *http.Request) (*http.Response, error) {
		attempt = r.Context()
		return answer(200), nil
	})})
	req, err := http.NewRequest("GET", "http://example.com", nil)
	require.NoError(t, err)
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, attempt.Err())
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.Error(t, attempt.Err())
}

// trickle is a body that gives nothing until its context ends.
type trickle struct {
	ctx    context.Context
	closed *bool
}

func (b trickle) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }
func (b trickle) Close() error             { *b.closed = true; return nil }

func TestDrainingIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, closed := 0, false
		resp, err := client(t, retryhttp.Config{Base: roundTrip(func(r *http.Request) (*http.Response, error) {
			if calls++; calls > 1 {
				return answer(200), nil
			}
			resp := answer(503)
			resp.Body = trickle{r.Context(), &closed}
			return resp, nil
		})}).Get("http://example.com")
		require.NoError(t, err)
		read(t, resp)
		require.True(t, closed)
	})
}

// endless is a body without end.
type endless struct{ read int }

func (b *endless) Read(p []byte) (int, error) { b.read += len(p); return len(p), nil }
func (b *endless) Close() error               { return nil }

func TestDrainingIsBoundedInSize(t *testing.T) {
	calls, body := 0, new(endless)
	resp, err := client(t, retryhttp.Config{Base: roundTrip(func(*http.Request) (*http.Response, error) {
		if calls++; calls > 1 {
			return answer(200), nil
		}
		resp := answer(503)
		resp.Body = body
		return resp, nil
	})}).Get("http://example.com")
	require.NoError(t, err)
	read(t, resp)
	require.LessOrEqual(t, body.read, 64<<10)
}

func TestUpgradedBodyStaysWritable(t *testing.T) {
	var out bytes.Buffer
	c := client(t, retryhttp.Config{Base: roundTrip(func(*http.Request) (*http.Response, error) {
		resp := answer(101)
		resp.Body = struct {
			io.ReadCloser
			io.Writer
		}{resp.Body, &out}
		return resp, nil
	})})
	resp, err := c.Get("http://example.com")
	require.NoError(t, err)
	_, err = resp.Body.(io.Writer).Write([]byte("ping"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "ping", out.String())
}

func TestSharedBudgetStopsRetriesAcrossClients(t *testing.T) {
	budget := retry.MustNewBudget(retry.BudgetConfig{})
	s := serve(t, failFirst(1000, http.StatusServiceUnavailable))
	for range 10 {
		c := client(t, retryhttp.Config{Retry: retry.Config{Budget: budget}})
		resp, err := c.Get(s.URL)
		require.NoError(t, err)
		require.Equal(t, 503, resp.StatusCode)
		read(t, resp)
	}
	require.EqualValues(t, 10+3, s.requests.Load(), "each call once, and the first one its three retries, which empty half a bucket")
}

func TestInsideARetryTheTransportSendsOnce(t *testing.T) {
	s := serve(t, failFirst(1000, http.StatusServiceUnavailable))
	c := client(t, retryhttp.Config{Retry: retry.Config{BaseDelay: 1}})
	outer := retry.MustNew(retry.Config{MaxAttempts: 3, BaseDelay: 1})
	_ = outer.Do(t.Context(), func(ctx context.Context) error {
		req, _ := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		read(t, resp)
		return errors.New(resp.Status)
	})
	require.EqualValues(t, 4+1+1, s.requests.Load())
}

func TestManyClientsAtOnce(t *testing.T) {
	var count atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1)%3 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	c := client(t, retryhttp.Config{Retry: retry.Config{MaxAttempts: 50, AttemptTimeout: time.Minute}})
	var wg sync.WaitGroup
	var bad atomic.Int32
	for range 8 {
		wg.Go(func() {
			for range 25 {
				resp, err := c.Get(s.URL)
				if err != nil || resp.StatusCode != 200 {
					bad.Add(1)
				}
				if err == nil {
					_ = resp.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, bad.Load())
}

func TestNewReportsTheFieldOfRetry(t *testing.T) {
	const want = "retryhttp: retry: Config.AttemptTimeout is -1s, want ≥ 0"
	cfg := retryhttp.Config{Retry: retry.Config{AttemptTimeout: -time.Second}}
	_, err := retryhttp.New(cfg)
	require.EqualError(t, err, want)
	require.PanicsWithValue(t, want, func() { retryhttp.MustNew(cfg) })
	tr, err := retryhttp.New(retryhttp.Config{})
	require.NoError(t, err)
	require.Zero(t, tr.Stats())
}
