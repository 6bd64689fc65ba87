package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/examples/service/api"
	"github.com/bedplate/bedplate/pool/poolpgx/pgserver"
)

const (
	longest = 30 * time.Second
	often   = 10 * time.Millisecond
)

// process is the service as a program of its own, which is this test's binary,
// see TestMain.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	url   string
	ended chan error
	gone  chan struct{} // closed when it has ended

	mu  sync.Mutex // guards out
	out strings.Builder
}

func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], append([]string{"-rounds", "100"}, args...)...), ended: make(chan error, 1), gone: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), asService+"=1", "DATABASE_URL=", "REDIS_ADDR=", "TMPDIR="+t.TempDir()), env...)
	p.cmd.Stderr = &lockedWriter{p: p}
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	url := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "http://") {
				url <- strings.TrimSuffix(lines.Text(), "/")
			}
			_, _ = (&lockedWriter{p}).Write(append(lines.Bytes(), '\n'))
		}
		p.ended <- p.cmd.Wait()
		close(p.gone)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.gone
		if t.Failed() {
			t.Log(p.text())
		}
	})
	select {
	case p.url = <-url:
	case err := <-p.ended:
		require.FailNow(t, "it has ended", "%v: %s", err, p.text())
	case <-time.After(longest):
		require.FailNow(t, "it does not serve", "%s", p.text())
	}
	return p
}

type lockedWriter struct{ p *process }

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.p.out.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// end sends a signal and waits for the end, which is the status.
func (p *process) end(s syscall.Signal) error {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
	select {
	case err := <-p.ended:
		return err
	case <-time.After(longest):
		require.FailNow(p.t, "it does not end", "%s", p.text())
		return nil
	}
}

var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (p *process) send(c *http.Client, method, path, token string, body any) (int, []byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequest(method, p.url+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return res.StatusCode, data, err
}

func (p *process) must(status int, method, path, token string, body, into any) {
	p.t.Helper()
	got, data, err := p.send(client, method, path, token, body)
	require.NoError(p.t, err)
	require.Equal(p.t, status, got, "%s", data)
	if into != nil {
		require.NoError(p.t, json.Unmarshal(data, into))
	}
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// account registers and makes a link.
func (p *process) account() (t tokens) {
	p.t.Helper()
	p.must(200, "POST", "/register", "", map[string]string{"email": "ada@example.com", "password": "correct horse"}, &t)
	p.must(201, "POST", "/api/links", t.Access, map[string]string{"url": "https://example.com", "slug": "mine"}, nil)
	return t
}

// workers is the table of processes that /live shows first.
func (p *process) workers() []api.Worker {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", p.url+"/live", nil)
	require.NoError(p.t, err)
	res, err := client.Do(req)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), `data: {"t":`); ok && strings.Contains(data, `"workers":`) {
			var state struct{ Workers []api.Worker }
			if json.Unmarshal([]byte(`{"t":`+data), &state) == nil {
				return state.Workers
			}
		}
	}
	return nil
}

// clients follow a link for as long as the service lets them.
type clients struct {
	ok, refused, reset, wrong atomic.Int64
	first                     atomic.Pointer[string] // thing that went wrong
	running                   sync.WaitGroup
}

func (p *process) hammer(n int, keepAlive bool, until <-chan struct{}) *clients {
	c := &clients{}
	for range n {
		c.running.Go(func() {
			own := &http.Client{
				Transport:     &http.Transport{DisableKeepAlives: !keepAlive},
				CheckRedirect: client.CheckRedirect, Timeout: longest,
			}
			defer own.CloseIdleConnections()
			for {
				select {
				case <-until:
					return
				default:
				}
				status, _, err := p.send(own, "GET", "/l/mine", "", nil)
				switch {
				case errors.Is(err, syscall.ECONNREFUSED):
					c.refused.Add(1)
					return
				case errors.Is(err, syscall.ECONNRESET):
					c.reset.Add(1)
				case err != nil || status != http.StatusFound && status != http.StatusTooManyRequests:
					c.wrong.Add(1)
					text := "status " + http.StatusText(status)
					if err != nil {
						text = err.Error()
					}
					c.first.CompareAndSwap(nil, &text)
				default:
					c.ok.Add(1)
				}
			}
		})
	}
	return c
}

func (c *clients) requireNothingWrong(t *testing.T) {
	t.Helper()
	if text := c.first.Load(); text != nil {
		require.FailNow(t, "a request was lost", "%d of %d: %s", c.wrong.Load(), c.ok.Load(), *text)
	}
}

func TestSIGTERMUnderLoadLosesNoRequest(t *testing.T) {
	p := launch(t, nil, "-addr", "127.0.0.1:0", "-load", "-rps", "50")
	p.account()
	once, kept := p.hammer(3, false, nil), p.hammer(3, true, nil)
	require.Eventually(t, func() bool { return once.ok.Load() > 100 && kept.ok.Load() > 100 }, longest, often)
	require.NoError(t, p.end(syscall.SIGTERM), "an orderly end has status 0")
	once.running.Wait()
	kept.running.Wait()
	for _, c := range []*clients{once, kept} {
		c.requireNothingWrong(t)
		require.EqualValues(t, 3, c.refused.Load())
	}
	// A connection may be reset that the service has never accepted: one that
	// comes between its last look for others and the end of its listener.
	t.Logf("answered: %d and %d; reset before they were accepted: %d and %d",
		once.ok.Load(), kept.ok.Load(), once.reset.Load(), kept.reset.Load())
	require.LessOrEqual(t, once.reset.Load()+kept.reset.Load(), int64(6), "at most the last one of each client")
	report := regexp.MustCompile(`load: \d+ requests in .*; 0 got no answer`)
	require.Regexp(t, report, p.text())
}

func TestASecondSignalEndsItAtOnce(t *testing.T) {
	p := launch(t, nil, "-addr", "127.0.0.1:0", "-drain-delay", "1h")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool {
		status, _, err := p.send(client, "GET", "/readyz", "", nil)
		return err == nil && status == http.StatusServiceUnavailable
	}, longest, often)
	err := p.end(syscall.SIGTERM)
	require.ErrorContains(t, err, "terminated")
}

func TestWhatWasAnsweredOutlivesKill(t *testing.T) {
	folder := t.TempDir()
	p := launch(t, nil, "-addr", "127.0.0.1:0", "-data", folder, "-load", "-rps", "100")
	ada := p.account()
	var made []string
	for range 20 {
		var l struct{ Slug string }
		p.must(201, "POST", "/api/links", ada.Access, map[string]string{"url": "https://example.com"}, &l)
		made = append(made, l.Slug)
	}
	require.Error(t, p.end(syscall.SIGKILL))

	address := strings.TrimPrefix(p.url, "http://")
	again := launch(t, nil, "-addr", address, "-data", folder)
	for _, slug := range made {
		again.must(302, "GET", "/l/"+slug, "", nil, nil)
	}
	again.must(200, "GET", "/api/profile", ada.Access, nil, nil) // the key and the session are the same
	again.must(200, "POST", "/refresh", "", map[string]string{"refresh_token": ada.Refresh}, nil)
	require.NoError(t, again.end(syscall.SIGTERM))
	info, err := os.Stat(filepath.Join(folder, "jwt.key"))
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	log, err := os.ReadFile(filepath.Join(folder, "audit-0.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "ada@example.com has an account")
}

func TestWorkersAreReplacedWhenTheyAreKilledAndWhenAskedTo(t *testing.T) {
	p := launch(t, nil, "-addr", "127.0.0.1:0", "-workers", "3", "-load", "-rps", "30")
	p.account()
	var before []api.Worker
	require.Eventually(t, func() bool { before = p.workers(); return len(before) == 3 && before[1].Ready }, longest, 100*time.Millisecond)
	require.NoError(t, syscall.Kill(before[1].Pid, syscall.SIGKILL))
	require.Eventually(t, func() bool {
		now := p.workers()
		return len(now) == 3 && now[1].Ready && now[1].Pid != before[1].Pid && now[1].Restarts == 1
	}, longest, 100*time.Millisecond)
	p.must(204, "POST", "/break/kill", "", map[string]bool{"on": true}, nil)
	require.Eventually(t, func() bool {
		restarts, ready := uint64(0), 0
		for _, w := range p.workers() {
			restarts += w.Restarts
			if w.Ready {
				ready++
			}
		}
		return restarts == 2 && ready == 3
	}, longest, 100*time.Millisecond)
	p.must(302, "GET", "/l/mine", "", nil, nil)

	// A reload under load.
	until := make(chan struct{})
	c := p.hammer(4, false, until)
	require.Eventually(t, func() bool { return c.ok.Load() > 50 }, longest, often)
	before = p.workers()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool {
		now := p.workers()
		for i, w := range now {
			if !w.Ready || w.Pid == before[i].Pid {
				return false
			}
		}
		return len(now) == 3
	}, longest, 100*time.Millisecond)
	close(until)
	c.running.Wait()
	c.requireNothingWrong(t)
	require.Zero(t, c.refused.Load()+c.reset.Load(), "the socket stays open")
	require.NoError(t, p.end(syscall.SIGTERM))
	require.Contains(t, p.text(), "load: ")
}

func TestAClusterWhoseWorkersCannotStartEnds(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-addr", "127.0.0.1:0", "-workers", "2", "-database", "postgres://%")
	cmd.Env = append(os.Environ(), asService+"=1")
	began := time.Now()
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "crash loop")
	require.Contains(t, string(out), "cannot parse", "which says why")
	t.Log("after", time.Since(began))
}

func TestSwitchesReachAllWorkers(t *testing.T) {
	p := launch(t, nil, "-addr", "127.0.0.1:0", "-workers", "2")
	p.account()
	p.must(302, "GET", "/l/mine", "", nil, nil)
	p.must(204, "POST", "/break/database", "", map[string]bool{"on": true}, nil)
	require.Eventually(t, func() bool { // by whichever worker accepts
		for range 10 {
			if status, _, err := p.send(client, "POST", "/login", "", map[string]string{"email": "ada@example.com", "password": "correct horse"}); err != nil || status != 503 {
				return false
			}
		}
		return true
	}, longest, 500*time.Millisecond)
	p.must(204, "POST", "/break/database", "", map[string]bool{"on": false}, nil)
	require.NoError(t, p.end(syscall.SIGTERM))
}

func TestServiceOnPostgreSQLOutlivesItsRestart(t *testing.T) {
	server, err := pgserver.Start(context.Background(), pgserver.Config{})
	if errors.Is(err, pgserver.ErrNotInstalled) {
		t.Skip(err)
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	p := launch(t, []string{"DATABASE_URL=" + server.URL()}, "-addr", "127.0.0.1:0")
	ada := p.account()
	p.must(302, "GET", "/l/mine", "", nil, nil)
	until := make(chan struct{})
	c := p.hammer(2, true, until)
	require.NoError(t, server.Halt())
	require.Eventually(t, func() bool {
		status, _, err := p.send(client, "GET", "/api/profile", ada.Access, nil)
		return err == nil && status == http.StatusServiceUnavailable
	}, longest, 200*time.Millisecond)
	require.NoError(t, server.Restart(context.Background()))
	require.Eventually(t, func() bool {
		status, _, err := p.send(client, "GET", "/api/profile", ada.Access, nil)
		return err == nil && status == http.StatusOK
	}, longest, 200*time.Millisecond)
	close(until)
	c.running.Wait()
	c.requireNothingWrong(t) // redirects came from the cache all the time
	require.NoError(t, p.end(syscall.SIGTERM))
}

func TestProcessesShareTheirLimitsInRedis(t *testing.T) {
	addr := redisServer(t)
	folder := t.TempDir()
	var both []*process
	for range 2 {
		both = append(both, launch(t, []string{"REDIS_ADDR=" + addr}, "-addr", "127.0.0.1:0", "-data", folder))
	}
	began, admitted := time.Now(), 0
	ada := both[0].account()
	for i := range api.UserLimit.N + 10 {
		status, _, err := both[i%2].send(client, "GET", "/api/profile", ada.Access, nil)
		require.NoError(t, err)
		if status == http.StatusOK {
			admitted++
		}
	}
	if time.Since(began) < api.UserLimit.Window {
		require.Equal(t, api.UserLimit.N-1, admitted, "one request has made the link")
	}
	for _, p := range both {
		require.NoError(t, p.end(syscall.SIGTERM))
	}
}
