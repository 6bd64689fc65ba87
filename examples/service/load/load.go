// Package load sends a service the traffic of its users, and counts how it is
// answered.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/bedplate/bedplate/workerpool"
)

// Mode says what a Generator sends.
type Mode struct {
	Load  bool // the usual mix
	RPS   int  // requests a second of it
	Flood bool // one account sends floodRPS more
}

const (
	accountCount = 16
	atOnce       = 64 // requests under way
	floodRPS     = 200
	idleFor      = 10 * time.Second // connections and workers that a burst has left
	tick         = 10 * time.Millisecond
)

// Generator sends requests at a rate, whether or not the ones before have been
// answered, as users do who do not know of one another. Make one with New, and
// Drain it.
type Generator struct {
	base    string
	http    *http.Client
	pool    *workerpool.Pool
	users   []*account
	flooder *account
	slugs   slugList
	tally   tally

	mu     sync.Mutex // guards what follows
	mode   Mode
	ended  bool
	stop   context.CancelFunc // of the mode
	driver sync.WaitGroup
}

// New returns a Generator for the service at base, "http://127.0.0.1:8080". It
// sends nothing before Apply.
func New(base string) *Generator {
	g := &Generator{
		base: base,
		http: &http.Client{
			Timeout:       15 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: atOnce, IdleConnTimeout: idleFor},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		pool: workerpool.MustNew(workerpool.Config{Name: "load", Max: atOnce, NoQueue: true, Overflow: workerpool.Reject, IdleTimeout: idleFor}),
		stop: func() {},
	}
	for i := range accountCount {
		g.users = append(g.users, &account{gen: g, email: fmt.Sprintf("load-%d@example.com", i)})
	}
	g.flooder = &account{gen: g, email: "flood@example.com"}
	return g
}

// Apply changes what is sent. After Drain it changes nothing.
func (g *Generator) Apply(m Mode) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.applyLocked(m)
}

func (g *Generator) applyLocked(m Mode) {
	if m == g.mode || g.ended {
		return
	}
	g.stop()
	g.driver.Wait()
	g.mode = m
	var ctx context.Context
	ctx, g.stop = context.WithCancel(context.Background())
	if m.Load {
		g.tally.start()
		g.driver.Go(func() { g.drive(ctx, m.RPS, g.usual) })
	}
	if m.Flood {
		g.tally.start()
		g.driver.Go(func() { g.drive(ctx, floodRPS, g.flood) })
	}
}

// Drain sends no more and waits for the answers.
func (g *Generator) Drain(ctx context.Context) error {
	g.mu.Lock()
	g.applyLocked(Mode{})
	g.ended = true
	g.mu.Unlock()
	err := g.pool.Drain(ctx)
	g.http.CloseIdleConnections()
	return err
}

// Sent returns how many requests were sent, and how many of them got no answer or
// one that tells of a mistake in the service.
func (g *Generator) Sent() (sent, failed uint64) {
	g.tally.mu.Lock()
	defer g.tally.mu.Unlock()
	return g.tally.counted.Requests, g.tally.counted.Lost + g.tally.counted.Status["5xx"]
}

// Report returns what was counted.
func (g *Generator) Report() Report { return g.tally.report() }

// drive starts so many tasks a second. What finds no free place is not sent, but
// counted: a generator that waited would be slowed down by what it measures.
func (g *Generator) drive(ctx context.Context, rps int, task func(context.Context)) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	began, sent := time.Now(), 0
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		due := int(time.Since(began).Seconds() * float64(rps))
		if due-sent > rps { // this process did not run for more than a second
			sent = due - rps
		}
		for ; sent < due; sent++ {
			// Not ctx: what is sent is to be answered, also if it was the last.
			if !g.pool.TryGo(context.WithoutCancel(ctx), task) {
				g.tally.skip()
			}
		}
	}
}

func (g *Generator) flood(ctx context.Context) {
	_, _ = g.flooder.call(ctx, http.MethodGet, "/api/profile", nil) // counted there
}

// usual does what a user does at some moment, mostly follow a link.
func (g *Generator) usual(ctx context.Context) {
	u := g.users[rand.N(len(g.users))]
	slug, known := g.slugs.pick()
	dice := rand.N(100)
	switch {
	case dice < 5 || !known:
		u.create(ctx)
	case dice < 10:
		u.remove(ctx)
	case dice < 14:
		g.get(ctx, fmt.Sprintf("/l/missing-%d", rand.N(20)))
	case dice < 18:
		_, _ = u.call(ctx, http.MethodGet, "/api/links", nil)
	case dice < 21:
		_, _ = u.call(ctx, http.MethodGet, "/api/links/"+slug+"/qr.png", nil)
	case dice < 29:
		_, _ = u.call(ctx, http.MethodGet, "/api/links/"+slug+"/preview", nil)
	default:
		g.get(ctx, "/l/"+slug)
	}
}

func (g *Generator) get(ctx context.Context, path string) {
	_, _, _ = g.send(ctx, http.MethodGet, path, "", nil) // counted there
}

// errStatus is an answer that is no success.
var errStatus = errors.New("load: not the answer that was wanted")

// slugList is the links that there are, as far as this process has made them.
type slugList struct {
	mu    sync.Mutex // guards slugs
	slugs []string
}

func (l *slugList) add(slug string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slugs = append(l.slugs, slug)
}

func (l *slugList) remove(slug string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range l.slugs {
		if s == slug {
			l.slugs = append(l.slugs[:i], l.slugs[i+1:]...)
			return
		}
	}
}

// pick picks one; few are popular, as it is.
func (l *slugList) pick() (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.slugs) == 0 {
		return "", false
	}
	r := rand.Float64()
	return l.slugs[int(r*r*float64(len(l.slugs)))], true
}
