// Package jwtredis keeps the sessions of package jwt in Redis, for all processes
// of a service.
//
//	store, err := jwtredis.New(jwtredis.Config{Client: client})
//
// A subject's sessions are one hash, so all commands go to one key, and clusters
// will do. Each step of a session is one call of one script: of many that use a
// refresh token at once, one rotates. Times are by the server's clock, and what is
// over leaves by itself. The server sees no tokens: it has their ids, and
// successors that only the holder of a token can read.
//
// If the server does not answer within Config.Timeout, the error is its, and jwt
// refuses (jwt.ErrUnavailable). A step that the server took although its answer was
// lost is taken: within the grace the client gets the pair by trying again.
package jwtredis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bedplate/bedplate/jwt"
)

//go:embed session.lua
var source string

var script = redis.NewScript(source)

// Config describes a Store. Client is required.
type Config struct {
	// Client is how to reach the server, the cluster or the ring. It stays yours
	// to close. Give it ContextTimeoutEnabled, or Timeout bounds nothing.
	Client redis.UniversalClient

	// Prefix begins all keys. Empty means "jwt:".
	Prefix string

	// PerSubject is how many sessions a subject may have. One more ends the one
	// that would end first. Zero means 32.
	PerSubject int

	// Timeout bounds each call. Zero means 1s.
	Timeout time.Duration
}

// Store is a jwt.RefreshStore in Redis. It is safe for use by many goroutines, and
// has nothing to close.
type Store struct {
	cfg Config
}

// New returns a Store as described by cfg. It fails if a field has a value that
// makes no sense, naming it. It does not call the server.
func New(cfg Config) (*Store, error) {
	switch {
	case cfg.Client == nil:
		return nil, errors.New("jwtredis: Config.Client is nil, want a client")
	case cfg.PerSubject < 0:
		return nil, fmt.Errorf("jwtredis: Config.PerSubject is %d, want ≥ 0", cfg.PerSubject)
	case cfg.Timeout < 0:
		return nil, fmt.Errorf("jwtredis: Config.Timeout is %v, want ≥ 0", cfg.Timeout)
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "jwt:"
	}
	if cfg.PerSubject == 0 {
		cfg.PerSubject = 32
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Second
	}
	return &Store{cfg}, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Store {
	s, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return s
}

// Rotate is that of jwt.RefreshStore.
func (s *Store) Rotate(ctx context.Context, step jwt.RefreshStep) (jwt.RefreshResult, error) {
	outcome, successor, err := s.call(ctx, step.Subject, "rotate", step.Session,
		step.From, step.To, max(step.Live.Milliseconds(), 1), step.Grace.Milliseconds(), s.cfg.PerSubject, step.Successor)
	if err != nil {
		return jwt.RefreshResult{}, err
	}
	return jwt.RefreshResult{Outcome: jwt.Outcome(outcome), Successor: []byte(successor)}, nil
}

// Revoke is that of jwt.RefreshStore.
func (s *Store) Revoke(ctx context.Context, subject, session string) error {
	_, _, err := s.call(ctx, subject, "revoke", session)
	return err
}

// Alive is that of jwt.RefreshStore.
func (s *Store) Alive(ctx context.Context, subject, session string) (bool, error) {
	alive, _, err := s.call(ctx, subject, "alive", session)
	return alive == 1, err
}

// call runs the script and takes its reply apart.
func (s *Store) call(ctx context.Context, subject string, args ...any) (int64, string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	reply, err := script.Run(ctx, s.cfg.Client, []string{s.cfg.Prefix + subject}, args...).Slice()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return 0, "", fmt.Errorf("jwtredis: %w", err)
	}
	if len(reply) == 2 {
		number, isNumber := reply[0].(int64)
		text, isText := reply[1].(string)
		if isNumber && isText {
			return number, text, nil
		}
	}
	return 0, "", fmt.Errorf("jwtredis: the script replied %d values of other types", len(reply))
}
