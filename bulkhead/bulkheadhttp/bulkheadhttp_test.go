package bulkheadhttp_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/bulkhead/bulkheadhttp"
)

func get(t *testing.T, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	return w
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })

func TestHandlerRunsNextWithASlot(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	inUse := 0
	h := bulkheadhttp.Handler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inUse = b.Stats().InUse
		ok(w, r)
	}))
	for range 3 {
		w := get(t, h)
		require.Equal(t, 1, inUse)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "ok", w.Body.String())
	}
	require.Zero(t, b.Stats().InUse)
}

func TestHandlerAnswers503WithAtLeastOneSecondWhenFull(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1, NoWait: true})
	p, err := b.Acquire(t.Context())
	require.NoError(t, err)
	w := get(t, bulkheadhttp.Handler(b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("called")
	})))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	p.Release()
	require.Equal(t, http.StatusOK, get(t, bulkheadhttp.Handler(b, ok)).Code)
}

func TestHandlerRoundsRetryAfterUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, NoWait: true})
		h := bulkheadhttp.Handler(b, ok)
		// The first refusal makes the next release measure how long a slot
		// takes to come back, 2.1 s here.
		p, _ := b.TryAcquire()
		require.Equal(t, "1", get(t, h).Header().Get("Retry-After"))
		time.Sleep(2100 * time.Millisecond)
		p.Release()
		p, _ = b.TryAcquire()
		require.Equal(t, "3", get(t, h).Header().Get("Retry-After"))
		p.Release()
	})
}

func TestHandlerAnswers503AfterClose(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{})
	require.NoError(t, b.Close())
	w := get(t, bulkheadhttp.Handler(b, ok))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
}

func TestHandlerAnswers503WhenTheRequestEndsWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		p, _ := b.TryAcquire()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		bulkheadhttp.Handler(b, ok).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		p.Release()
		require.Zero(t, b.Stats().InUse)
	})
}

// net/http recovers the panic of a handler, so a slot that it does not give
// back is lost for the life of the server.
func TestHandlerPanicsUnderARealServerDoNotLoseSlots(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1, NoWait: true})
	failing := true
	server := httptest.NewUnstartedServer(bulkheadhttp.Handler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if failing {
			panic("boom")
		}
		ok(w, r)
	})))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	client := server.Client()
	defer client.CloseIdleConnections()
	for range 5 {
		_, err := client.Get(server.URL)
		require.Error(t, err)
		require.Eventually(t, func() bool { return b.Stats().InUse == 0 }, time.Minute, time.Millisecond)
	}
	failing = false
	resp, err := client.Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestHandlerLeavesTheStatusOfARequestThatRanAlone(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	w := httptest.NewRecorder()
	bulkheadhttp.Handler(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		w.WriteHeader(http.StatusTeapot)
	})).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	require.Equal(t, http.StatusTeapot, w.Code)
	require.Empty(t, w.Header().Get("Retry-After"))
}

func TestHandlerRefusesNil(t *testing.T) {
	require.PanicsWithValue(t, "bulkheadhttp: b is nil", func() { bulkheadhttp.Handler(nil, ok) })
	require.PanicsWithValue(t, "bulkheadhttp: next is nil", func() {
		bulkheadhttp.Handler(bulkhead.MustNew(bulkhead.Config{}), nil)
	})
}
