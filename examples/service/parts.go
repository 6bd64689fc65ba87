package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bedplate/bedplate/examples/service/api"
	"github.com/bedplate/bedplate/examples/service/audit"
	"github.com/bedplate/bedplate/examples/service/store"
	"github.com/bedplate/bedplate/examples/service/web"
	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimitredis"
)

// parts is one process of the service, without its socket.
type parts struct {
	store  *store.Store
	api    *api.API
	redis  *redis.Client // nil without
	limits []*ratelimitredis.Store
}

const auditBound = 4 << 20 // bytes

// open makes the parts of a worker, of which there may be one. On failure it
// leaves nothing behind.
func open(ctx context.Context, cfg config, worker int, command func(context.Context, api.Command) error, sent func() (sent, failed uint64), log *slog.Logger) (p *parts, err error) {
	p = &parts{}
	key, err := loadKey(cfg.data)
	if err != nil {
		return nil, err
	}
	keys, err := jwt.NewKeySet(key)
	if err != nil {
		return nil, err
	}
	if p.store, err = store.Open(ctx, store.Config{Path: filepath.Join(cfg.data, "service.db"), URL: cfg.database}); err != nil {
		return nil, err
	}
	limits, err := p.openLimits(cfg)
	if err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	trail, err := audit.Open(filepath.Join(cfg.data, fmt.Sprintf("audit-%d.log", worker)), auditBound)
	if err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	p.api, err = api.New(ctx, api.Config{
		Store: p.store, Keys: keys, Audit: trail, Limits: limits, Logger: log, Command: command, Sent: sent,
		Breakable: cfg.breakable, Page: page(), Worker: worker, Workers: cfg.workers, Rounds: cfg.rounds,
	})
	if err != nil {
		return nil, errors.Join(err, trail.Close(), p.close(ctx))
	}
	return p, nil
}

// openLimits keeps budgets in Redis, if there is one, so that all processes
// share them.
func (p *parts) openLimits(cfg config) (api.Limits, error) {
	if cfg.redis == "" {
		return api.InMemory(), nil
	}
	p.redis = redis.NewClient(&redis.Options{Addr: cfg.redis, ContextTimeoutEnabled: true})
	users, err := p.openLimit("users", api.UserLimit, cfg)
	if err != nil {
		return api.Limits{}, err
	}
	auth, err := p.openLimit("auth", api.AuthLimit, cfg)
	return api.InRedis(users, auth), err
}

func (p *parts) openLimit(name string, limit ratelimit.Limit, cfg config) (*ratelimitredis.Store, error) {
	s, err := ratelimitredis.New(ratelimitredis.Config{
		Name: name, Prefix: "bedplate-service:", Client: p.redis,
		Limits: []ratelimit.Limit{limit}, Instances: max(1, cfg.workers),
	})
	if err == nil {
		p.limits = append(p.limits, s)
	}
	return s, err
}

// drain ends everything after the last request, what needs others before those.
func (p *parts) drain(ctx context.Context) error {
	return errors.Join(p.api.Drain(ctx), p.close(ctx))
}

// close ends what the API stands on.
func (p *parts) close(ctx context.Context) error {
	var errs []error
	for _, s := range p.limits {
		errs = append(errs, s.Drain(ctx))
	}
	if p.redis != nil {
		errs = append(errs, p.redis.Close())
	}
	return errors.Join(append(errs, p.store.Drain(ctx))...)
}

// newServer returns a server that no client can hold up.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// dataFolder makes the folder that cfg names, or one that remove removes.
func dataFolder(cfg *config) (remove func(), err error) {
	if cfg.data != "" {
		return func() {}, os.MkdirAll(cfg.data, 0o700)
	}
	if cfg.data, err = os.MkdirTemp("", "bedplate-service-"); err != nil {
		return nil, err
	}
	folder := cfg.data
	return func() { _ = os.RemoveAll(folder) }, nil
}

// loadKey returns the key of tokens: JWT_KEY, a JSON Web Key, or the one in the
// data folder, which is made if there is none. All processes that share the
// folder get the same.
func loadKey(folder string) (jwt.Key, error) {
	if text := os.Getenv("JWT_KEY"); text != "" {
		key, err := jwt.ParseJWK([]byte(text))
		if err != nil {
			return jwt.Key{}, fmt.Errorf("JWT_KEY: %w", err)
		}
		return key, nil
	}
	path := filepath.Join(folder, "jwt.key")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(path); err != nil {
			return jwt.Key{}, err
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return jwt.Key{}, err
	}
	key, err := jwt.ParseJWK(text)
	if err != nil {
		return jwt.Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// makeKey writes a new key to path, whole or not at all. If another process has
// been faster, its key stays.
func makeKey(path string) error {
	key, err := jwt.GenerateKey(time.Now().UTC().Format("2006-01-02"))
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "jwt.key.*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(key.JWK())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// page answers /.
func page() http.Handler { return web.Handler() }
