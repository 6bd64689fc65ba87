package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	password  = "correct horse battery staple"
	mostLinks = 12 // of an account; the oldest are removed

	requestsPerConn = 16 // on average
)

// account is one user.
type account struct {
	gen   *Generator
	email string

	login sync.Mutex // held while logging in, so that one does and others wait

	mu      sync.Mutex // guards what follows
	access  string
	refresh string
	links   []string
}

// call sends a request as this user, who logs in first if need be.
func (u *account) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	token, err := u.token(ctx, "")
	if err != nil {
		return nil, err
	}
	status, data, err := u.gen.send(ctx, method, path, token, body)
	if err == nil && status == http.StatusUnauthorized { // five minutes are over, or the service has another key
		if token, err = u.token(ctx, token); err != nil {
			return nil, err
		}
		status, data, err = u.gen.send(ctx, method, path, token, body)
	}
	if err == nil && status >= 400 {
		err = fmt.Errorf("%w: %d", errStatus, status)
	}
	return data, err
}

// token returns an access token other than stale: by the refresh token, by a
// login, or by a new account.
func (u *account) token(ctx context.Context, stale string) (string, error) {
	u.login.Lock()
	defer u.login.Unlock()
	u.mu.Lock()
	access, refresh := u.access, u.refresh
	u.mu.Unlock()
	if access != stale && access != "" {
		return access, nil
	}
	credentials := map[string]string{"email": u.email, "password": password}
	for _, try := range []struct {
		path string
		body map[string]string
	}{
		{"/refresh", map[string]string{"refresh_token": refresh}},
		{"/register", credentials},
		{"/login", credentials},
	} {
		if try.path == "/refresh" && refresh == "" {
			continue
		}
		status, data, err := u.gen.send(ctx, http.MethodPost, try.path, "", try.body)
		if err != nil {
			return "", err
		}
		var pair struct {
			Access  string `json:"access_token"`
			Refresh string `json:"refresh_token"`
		}
		if status == http.StatusOK && json.Unmarshal(data, &pair) == nil {
			u.mu.Lock()
			u.access, u.refresh = pair.Access, pair.Refresh
			u.mu.Unlock()
			return pair.Access, nil
		}
		if status == http.StatusTooManyRequests || status >= 500 {
			return "", errStatus
		}
	}
	return "", errStatus
}

func (u *account) create(ctx context.Context) {
	data, err := u.call(ctx, http.MethodPost, "/api/links", map[string]string{"url": fmt.Sprintf("https://example.com/page/%d", rand.N(1_000_000))})
	if err != nil {
		return
	}
	var made struct {
		Slug string `json:"slug"`
	}
	if json.Unmarshal(data, &made) != nil || made.Slug == "" {
		return
	}
	u.mu.Lock()
	u.links = append(u.links, made.Slug)
	u.mu.Unlock()
	u.gen.slugs.add(made.Slug)
}

// remove removes the oldest link of a user who has many, and else makes one.
func (u *account) remove(ctx context.Context) {
	u.mu.Lock()
	oldest := ""
	if len(u.links) >= mostLinks {
		oldest, u.links = u.links[0], u.links[1:]
	}
	u.mu.Unlock()
	if oldest == "" {
		u.create(ctx)
		return
	}
	u.gen.slugs.remove(oldest)
	if _, err := u.call(ctx, http.MethodDelete, "/api/links/"+oldest, nil); err != nil {
		u.mu.Lock()
		u.links = append(u.links, oldest) // another time
		u.mu.Unlock()
	}
}

// send sends one request and counts its answer.
func (g *Generator) send(ctx context.Context, method, path, token string, body any) (int, []byte, error) {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, g.base+path, payload)
	if err != nil {
		return 0, nil, err
	}
	// Of users some leave and others come. With connections that stay for ever, one
	// process of a cluster would have all of them and the others none.
	req.Close = rand.N(requestsPerConn) == 0
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	began := time.Now()
	res, err := g.http.Do(req)
	if err != nil {
		g.tally.unanswered()
		return 0, nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		g.tally.unanswered()
		return 0, nil, err
	}
	g.tally.answered(res.StatusCode, data, time.Since(began))
	return res.StatusCode, data, nil
}
