package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/bedplate/bedplate/examples/service/store"
	"github.com/bedplate/bedplate/lru"
)

// link is what a redirect has to know.
type link struct{ slug, url string }

// shown is a link as clients get it.
type shown struct {
	Slug    string    `json:"slug"`
	URL     string    `json:"url"`
	Hits    int64     `json:"hits"`
	Created time.Time `json:"created"`
}

func show(l store.Link) shown { return shown{l.Slug, l.URL, l.Hits, l.Created} }

const newest = 100 // links that a list has

// find finds a link by way of the cache.
func (a *API) find(ctx context.Context, slug string) (link, error) {
	if !slugs.MatchString(slug) {
		return link{}, store.ErrNotFound // a cache is no place for whatever people type
	}
	return a.links.GetOrLoad(ctx, slug, func(ctx context.Context, slug string) (link, error) {
		l, err := a.cfg.Store.Link(ctx, slug)
		if errors.Is(err, store.ErrNotFound) {
			err = fmt.Errorf("%w: %w", lru.ErrNotFound, err)
		}
		return link{l.Slug, l.URL}, err
	})
}

// follow redirects.
func (a *API) follow(w http.ResponseWriter, r *http.Request) error {
	l, err := a.find(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	a.hits.add(l.slug, 1)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, l.url, http.StatusFound)
	return nil
}

var slugs = regexp.MustCompile(`^[A-Za-z0-9_-]{3,32}$`)

// newLink makes a link of what a user has given, or says what is wrong with it.
func newLink(owner, target, slug string) (store.Link, error) {
	if slug == "" {
		slug = strings.ToLower(rand.Text()[:8])
	}
	if !slugs.MatchString(slug) {
		return store.Link{}, fmt.Errorf("slug is %.40q, want 3 to 32 letters, digits, - and _", slug)
	}
	if len(target) > 2048 {
		return store.Link{}, fmt.Errorf("url has %d bytes, want at most 2048", len(target))
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return store.Link{}, fmt.Errorf("url is %.80q, want one that begins with http:// or https://", target)
	}
	return store.Link{Slug: slug, Owner: owner, URL: u.String(), Created: time.Now().Truncate(time.Millisecond)}, nil
}

func (a *API) createLink(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		URL  string `json:"url"`
		Slug string `json:"slug"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	claims := user(r)
	l, err := newLink(claims.Subject, body.URL, body.Slug)
	if err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}
	if err := a.cfg.Store.CreateLink(r.Context(), l); err != nil {
		if errors.Is(err, store.ErrExists) {
			return refuse(http.StatusConflict, "this slug is taken")
		}
		return err
	}
	a.links.Set(l.Slug, link{l.Slug, l.URL})
	a.emit("link.created", "%s made %s", claims.Email, l.Slug)
	writeJSON(w, http.StatusCreated, show(l))
	return nil
}

func (a *API) listLinks(w http.ResponseWriter, r *http.Request) error {
	links, err := a.cfg.Store.Newest(r.Context(), user(r).Subject, newest)
	if err != nil {
		return err
	}
	list := make([]shown, len(links))
	for i, l := range links {
		list[i] = show(l)
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// deleteLink removes a link: here at once, and from the caches of other
// processes within ten seconds.
func (a *API) deleteLink(w http.ResponseWriter, r *http.Request) error {
	claims, slug := user(r), r.PathValue("slug")
	if err := a.cfg.Store.DeleteLink(r.Context(), claims.Subject, slug); err != nil {
		return err
	}
	a.links.Delete(slug)
	a.emit("link.deleted", "%s removed %s", claims.Email, slug)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// preview answers with the title of what a link leads to.
func (a *API) preview(w http.ResponseWriter, r *http.Request) error {
	l, err := a.find(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	title, attempts, err := a.titles.Title(r.Context(), l.url)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"title": title, "attempts": attempts})
	return nil
}

// pulse asks the upstream ten times a second, so that the breaker knows of an
// outage before users do, and of its end without them.
func (a *API) pulse(ctx context.Context) {
	every(ctx, 100*time.Millisecond, func() {
		a.running.Go(func() {
			_, _, _ = a.titles.Title(ctx, "https://example.com/pulse") // the guards see the error
		})
	})
}

// hits counts redirects until they are written, so that a redirect need not wait
// for the database. A process that is killed loses those of its last second.
type hits struct {
	mu     sync.Mutex // guards counts
	counts map[string]int64
}

const mostCounts = 10_000 // slugs; hits of others are lost while the database is away

func (h *hits) add(slug string, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		h.counts = make(map[string]int64)
	}
	if _, known := h.counts[slug]; known || len(h.counts) < mostCounts {
		h.counts[slug] += n
	}
}

// flush writes what was counted. On failure it is kept.
func (h *hits) flush(ctx context.Context, s *store.Store) error {
	h.mu.Lock()
	counts := h.counts
	h.counts = nil
	h.mu.Unlock()
	if len(counts) == 0 {
		return nil
	}
	err := s.AddHits(ctx, counts)
	if err != nil {
		for slug, n := range counts {
			h.add(slug, n)
		}
	}
	return err
}

// countHits writes the hits once a second.
func (a *API) countHits(ctx context.Context) {
	every(ctx, time.Second, func() {
		err := a.hits.flush(ctx, a.cfg.Store)
		if err != nil && !errors.Is(err, store.ErrUnavailable) && ctx.Err() == nil {
			a.cfg.Logger.Warn("writing hits", "err", err)
		}
	})
}
