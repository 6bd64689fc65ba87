package memwatchhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchhttp"
)

// running starts a Watcher that runs to the end of the test.
func running(t *testing.T, cfg memwatch.Config) *memwatch.Watcher {
	t.Helper()
	w := memwatch.MustNew(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

func TestStreamBeginsWithAGreetingAndAReportAndGoesOnWithPoints(t *testing.T) {
	both(t, func(t *testing.T, protocols *http.Protocols) {
		s := serve(t, handler(t, memwatchhttp.Config{}), protocols).open(t)
		require.Equal(t, http.StatusOK, s.StatusCode)
		require.Equal(t, "text/event-stream; charset=utf-8", s.Header.Get("Content-Type"))
		require.Equal(t, "no-store, no-transform", s.Header.Get("Cache-Control"))
		require.Equal(t, "no", s.Header.Get("X-Accel-Buffering"))

		e, err := s.next()
		require.NoError(t, err)
		require.Equal(t, "hello", e.name)
		hello := decode[map[string]any](t, e.data)
		require.Equal(t, 1000.0, hello["interval_ms"])
		require.Contains(t, hello["profiles"], "heap")
		require.Equal(t, true, hello["confirm"])

		e, err = s.next()
		require.NoError(t, err)
		require.Equal(t, "report", e.name)
		status := decode[struct {
			Report  memwatch.Report
			Running bool
		}](t, e.data)
		require.Equal(t, "shop", status.Report.Name)
		require.False(t, status.Running)

		begin := time.Now()
		for i := range 5 {
			e, err = s.next()
			require.NoError(t, err)
			require.Equal(t, "sample", e.name)
			require.Equal(t, hello["instance"].(string)+fmt.Sprintf("-%d", i+1), e.id)
			require.Equal(t, time.Duration(i)*time.Second, time.Since(begin))
			p := decode[map[string]uint64](t, e.data)
			require.Equal(t, uint64(time.Now().UnixMilli()), p["time_ms"])
			require.NotZero(t, p["heap"])
			require.NotZero(t, p["goroutines"])
			require.Contains(t, p, "worst_ns")
		}
	})
}

func TestStreamTellsWhetherRunGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memwatch.MustNew(memwatch.Config{})
		told := func() (running bool) {
			site := serve(t, handler(t, memwatchhttp.Config{Watcher: w}), nil)
			return decode[struct{ Running bool }](t, site.open(t).until(t, "report").data).Running
		}
		require.False(t, told())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.ErrorIs(t, w.Run(ctx), context.DeadlineExceeded)
		require.True(t, told(), "one sample, five seconds ago")
		ctx, cancel = context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		require.ErrorIs(t, w.Run(ctx), context.DeadlineExceeded)
		require.True(t, told())
		time.Sleep(time.Minute)
		require.False(t, told())
	})
}

// However many watch, points and reports are made once.
func TestStreamsShareTheirPointsAndReports(t *testing.T) {
	both(t, func(t *testing.T, protocols *http.Protocols) {
		h := handler(t, memwatchhttp.Config{})
		site := serve(t, h, protocols)
		var all []*stream
		for range 8 {
			all = append(all, site.open(t))
		}
		// All read at the same pace, as none may keep a writer waiting here.
		reports := 0
		for seq := uint64(1); seq <= 31; seq++ {
			for _, s := range all {
				e, err := s.next()
				for ; err == nil && e.name != "sample"; e, err = s.next() {
					if e.name == "report" {
						reports++
					}
				}
				require.NoError(t, err)
				require.Equal(t, seq, e.seq)
			}
		}
		require.Equal(t, 8*4, reports, "one at the begin and one every ten seconds")
		require.Equal(t, uint64(31), h.Stats().Points)
		require.Equal(t, 8, h.Stats().Streams)
	})
}

// One that does not read delays no other.
func TestStreamIsDroppedWhenItsReaderDoesNotRead(t *testing.T) {
	both(t, func(t *testing.T, protocols *http.Protocols) {
		h := handler(t, memwatchhttp.Config{WriteTimeout: 3 * time.Second, Interval: 10 * time.Millisecond})
		site := serve(t, h, protocols)
		// A connection of its own, so that HTTP/2 does not share a window.
		slow := &http.Client{Transport: &http.Transport{
			DialContext: site.pipes.dial, Protocols: protocols,
			HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10},
		}}
		defer slow.CloseIdleConnections()
		resp, err := slow.Get("http://pipe/m/stream")
		require.NoError(t, err)
		defer resp.Body.Close()

		s := site.open(t)
		var last uint64
		for begin := time.Now(); time.Since(begin) < time.Minute; {
			e := s.until(t, "sample")
			if last > 0 {
				require.Equal(t, last+1, e.seq)
			}
			last = e.seq
		}
		require.Equal(t, 1, h.Stats().Streams)
		require.Equal(t, uint64(1), h.Stats().Dropped)
		_, err = io.Copy(io.Discard, resp.Body)
		require.Error(t, err, "it was cut off, not ended")
	})
}

// Without points there are heartbeats, and no deadline ends an idle stream: not
// that of the server, and not that of the last write, which HTTP/2 enforces
// even if nothing is written.
func TestStreamIsKeptAliveByComments(t *testing.T) {
	both(t, func(t *testing.T, protocols *http.Protocols) {
		site := serve(t, handler(t, memwatchhttp.Config{Interval: time.Hour, WriteTimeout: time.Second}), protocols)
		s := site.open(t)
		s.until(t, "sample")
		begin := time.Now()
		reports := 0
		for i := range 20 {
			e, err := s.next()
			require.NoError(t, err)
			require.LessOrEqual(t, time.Since(begin), time.Duration(i+1)*15*time.Second)
			if e.name == "report" {
				reports++
			}
		}
		require.Equal(t, 20, reports, "a report is more than ten seconds old at each of them")
	})
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{Interval: 4 * time.Second})
		s := serve(t, h, nil).open(t)
		begin := time.Now()
		for time.Since(begin) < time.Minute {
			_, err := s.next()
			require.NoError(t, err)
		}
	})
}

func TestStreamResumesWithoutGapOrRepeat(t *testing.T) {
	both(t, func(t *testing.T, protocols *http.Protocols) {
		w := running(t, memwatch.Config{Interval: 10 * time.Second})
		h := handler(t, memwatchhttp.Config{Watcher: w})
		site := serve(t, h, protocols)
		s := site.open(t)
		var last event
		for range 7 {
			e := s.until(t, "sample")
			require.Equal(t, last.seq+1, e.seq)
			last = e
		}
		s.cancel()
		synctest.Wait()
		require.Zero(t, h.Stats().Streams)

		// Nobody watches for a while. Run samples every ten seconds, and those
		// samples fill the time in between.
		before := h.Stats().Points
		<-time.After(57 * time.Second)
		require.Equal(t, before, h.Stats().Points)
		s = site.open(t, "Last-Event-ID", last.id)
		at := decode[struct {
			Time int64 `json:"time_ms"`
		}](t, last.data).Time
		for i := range 10 {
			e := s.until(t, "sample")
			require.Equal(t, last.seq+1, e.seq)
			now := decode[struct {
				Time int64 `json:"time_ms"`
			}](t, e.data).Time
			if i < 6 {
				require.Zero(t, now%10000, "a sample of Run")
			}
			require.Greater(t, now, at)
			last, at = e, now
		}

		// The page asks by the query where it cannot set a field.
		resp, err := site.client.Get("http://pipe/m/stream?after=" + last.id)
		require.NoError(t, err)
		defer resp.Body.Close()
		again := &stream{Response: resp, lines: newReader(resp)}
		require.Equal(t, last.seq+1, again.until(t, "sample").seq)
	})
}

// An id that is of another process, or nonsense, gets the whole history.
func TestStreamBeginsAnewForAnIDThatIsNotItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := serve(t, handler(t, memwatchhttp.Config{}), nil)
		first := site.open(t)
		var id string
		for range 5 {
			id = first.until(t, "sample").id
		}
		instance := id[:len(id)-len("-5")]
		for _, other := range []string{"", "x", "ABCDEFGH-3", "-3", instance, instance + "-", instance + "-x", instance + "--1", instance + "-99999", instance + "-99999999999999999999999"} {
			s := site.open(t, "Last-Event-ID", other)
			require.Equal(t, uint64(1), s.until(t, "sample").seq, "%q", other)
			s.cancel()
		}
		require.Equal(t, uint64(4), site.open(t, "Last-Event-ID", instance+"-3").until(t, "sample").seq)
	})
}

func TestStreamsAreBounded(t *testing.T) {
	both(t, func(t *testing.T, protocols *http.Protocols) {
		h := handler(t, memwatchhttp.Config{MaxStreams: 2})
		site := serve(t, h, protocols)
		first := site.open(t)
		site.open(t).until(t, "sample")
		s := site.open(t)
		require.Equal(t, http.StatusServiceUnavailable, s.StatusCode)
		require.Equal(t, "15", s.Header.Get("Retry-After"))
		require.Equal(t, uint64(1), h.Stats().Refused)

		first.cancel()
		synctest.Wait()
		require.Equal(t, http.StatusOK, site.open(t).StatusCode)
	})
}

func TestNothingRunsWhileNobodyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{})
		site := serve(t, h, nil)
		s := site.open(t)
		s.until(t, "sample")
		s.cancel()
		synctest.Wait()
		points := h.Stats().Points
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, points, h.Stats().Points)
	})
}

// http.Server.Shutdown waits for streams, so they must end.
func TestShutdownEndsTheStreams(t *testing.T) {
	both(t, func(t *testing.T, protocols *http.Protocols) {
		site := serve(t, handler(t, memwatchhttp.Config{}), protocols)
		ended := site.open(t).discard()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		require.NoError(t, site.server.Shutdown(ctx))
		require.Less(t, time.Since(begin), 5*time.Second)
		require.NoError(t, <-ended, "it ends properly")
	})
}

func TestStreamOfHeadIsItsFieldsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{})
		site := serve(t, h, nil)
		resp, err := site.client.Head("http://pipe/m/stream")
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "text/event-stream; charset=utf-8", resp.Header.Get("Content-Type"))
		require.Zero(t, h.Stats().Points)
	})
}

// Without a write deadline a reader could hold its goroutine for ever.
func TestStreamIsRefusedWhereThereIsNoWriteDeadline(t *testing.T) {
	h := handler(t, memwatchhttp.Config{})
	for name, whole := range map[string]http.Handler{
		"recorder":       h,
		"TimeoutHandler": http.TimeoutHandler(h, time.Minute, ""),
	} {
		t.Run(name, func(t *testing.T) {
			var code int
			var text string
			if name == "recorder" {
				w := do(whole, http.MethodGet, "/stream")
				code, text = w.Code, w.Body.String()
			} else {
				server := httptest.NewServer(whole)
				defer server.Close()
				resp, err := http.Get(server.URL + "/stream")
				require.NoError(t, err)
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				code, text = resp.StatusCode, string(body)
			}
			require.Equal(t, http.StatusInternalServerError, code)
			require.Contains(t, text, "write deadline")
		})
	}
	require.Zero(t, h.Stats().Streams)
}

// broken is a connection that fails at some write.
type broken struct {
	http.ResponseWriter
	left int
}

var errBroken = errors.New("broken")

func (b *broken) Write(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		return 0, errBroken
	}
	return b.ResponseWriter.Write(p)
}

func (b *broken) FlushError() error                { return nil }
func (b *broken) SetWriteDeadline(time.Time) error { return nil }

func TestStreamEndsWhenAWriteFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, memwatchhttp.Config{})
		w := &broken{httptest.NewRecorder(), 3}
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/stream", nil))
		require.Zero(t, h.Stats().Streams)
		require.Equal(t, uint64(4), h.Stats().Points, "the fourth was not to be written")
		require.Zero(t, h.Stats().Dropped, "it was not slow")
	})
}

// A history longer than a piece is sent in pieces, each in its own time.
func TestStreamSendsALongHistoryInPieces(t *testing.T) {
	both(t, func(t *testing.T, protocols *http.Protocols) {
		h := handler(t, memwatchhttp.Config{Interval: 10 * time.Millisecond})
		site := serve(t, h, protocols)
		s := site.open(t)
		var newest uint64
		for newest < 3000 {
			newest = s.until(t, "sample").seq
		}
		s.cancel()
		synctest.Wait()
		s = site.open(t)
		var last uint64
		n := 0
		for last < newest {
			e := s.until(t, "sample")
			require.Greater(t, e.seq, last)
			if last == 0 {
				require.Equal(t, uint64(1), e.seq, "it goes back to the begin")
			}
			if e.seq > newest-400 {
				require.Equal(t, last+1, e.seq, "what is new is whole")
			}
			last = e.seq
			n++
		}
		require.LessOrEqual(t, n, 1024)
		require.Greater(t, n, 512)
	})
}

// Real connections, TLS and all.
func TestStreamWorksOverTheNetwork(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2=%v", http2), func(t *testing.T) {
			h := handler(t, memwatchhttp.Config{Interval: 10 * time.Millisecond})
			server := httptest.NewUnstartedServer(h)
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			defer h.Close()
			resp, err := server.Client().Get(server.URL + "/stream")
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, http2, resp.ProtoMajor == 2)
			s := &stream{Response: resp, lines: newReader(resp)}
			for i := range 20 {
				require.Equal(t, uint64(i+1), s.until(t, "sample").seq)
			}
		})
	}
}

// A reader on the network that stalls is dropped as well.
func TestStreamDropsAStalledConnection(t *testing.T) {
	h := handler(t, memwatchhttp.Config{Interval: 10 * time.Millisecond, WriteTimeout: 50 * time.Millisecond})
	server := httptest.NewUnstartedServer(h)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
		return ctx
	}
	server.Start()
	defer server.Close()
	defer h.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4<<10))
	_, err = io.WriteString(conn, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return h.Stats().Dropped == 1 }, 30*time.Second, 10*time.Millisecond)
	require.Zero(t, h.Stats().Streams)
}
