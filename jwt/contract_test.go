package jwt_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// hook is the user's code that a call reaches with its ctx: Validate, a
// Revocation, a RefreshStore, Load.
type hook func(ctx context.Context) error

type hookKey struct{}

// hooked is claims whose Validate is the hook in the ctx.
type hooked struct {
	jwt.Registered
}

func (*hooked) Validate(ctx context.Context) error {
	if h, ok := ctx.Value(hookKey{}).(hook); ok {
		return h(ctx)
	}
	return nil
}

// hookStore is a store that runs a hook before each of its answers.
type hookStore struct {
	jwt.RefreshStore
	hook hook
}

func (s hookStore) Rotate(ctx context.Context, step jwt.RefreshStep) (jwt.RefreshResult, error) {
	if err := s.hook(ctx); err != nil {
		return jwt.RefreshResult{}, err
	}
	return s.RefreshStore.Rotate(ctx, step)
}

func (s hookStore) Revoke(ctx context.Context, subject, session string) error {
	if err := s.hook(ctx); err != nil {
		return err
	}
	return s.RefreshStore.Revoke(ctx, subject, session)
}

func (s hookStore) Alive(ctx context.Context, subject, session string) (bool, error) {
	if err := s.hook(ctx); err != nil {
		return false, err
	}
	return s.RefreshStore.Alive(ctx, subject, session)
}

const hookedToken = `{"sub":"alice","exp":4000000000,"jti":"1"}`

func hookSessions(t testing.TB, store jwt.RefreshStore, load hook) *jwt.Sessions[user] {
	cfg := jwt.SessionsConfig[user]{Keys: keys(), Store: store, Issuer: "i", Audience: []string{"a"}}
	if load != nil {
		cfg.Load = func(ctx context.Context, last user) (user, error) { return last, load(ctx) }
	}
	s, err := jwt.NewSessions(cfg)
	require.NoError(t, err)
	return s
}

// entries are the ways into the package that take a ctx, each with the user's
// code that it reaches.
var entries = map[string]func(t testing.TB, ctx context.Context, h hook) error{
	"Verify": func(_ testing.TB, ctx context.Context, h hook) error {
		_, err := jwt.MustNewVerifier[hooked](lax(keys())).Verify(context.WithValue(ctx, hookKey{}, h), forge(plainHead, hookedToken))
		return err
	},
	"VerifyInto": func(_ testing.TB, ctx context.Context, h hook) error {
		var c hooked
		return jwt.MustNewVerifier[hooked](lax(keys())).VerifyInto(context.WithValue(ctx, hookKey{}, h), []byte(forge(plainHead, hookedToken)), &c)
	},
	"Verify with Revocation": func(_ testing.TB, ctx context.Context, h hook) error {
		cfg := lax(keys())
		cfg.Revocation = jwt.RevocationFunc(func(ctx context.Context, _ jwt.Registered) (bool, error) { return false, h(ctx) })
		_, err := jwt.MustNewVerifier[user](cfg).Verify(ctx, forge(plainHead, hookedToken))
		return err
	},
	"Start": func(t testing.TB, ctx context.Context, h hook) error {
		_, err := hookSessions(t, hookStore{jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), h}, nil).Start(ctx, alice())
		return err
	},
	"Refresh": func(t testing.TB, ctx context.Context, h hook) error {
		store := jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{})
		p, err := hookSessions(t, store, nil).Start(context.Background(), alice())
		require.NoError(t, err)
		_, err = hookSessions(t, hookStore{store, h}, nil).Refresh(ctx, p.Refresh)
		return err
	},
	"Refresh with Load": func(t testing.TB, ctx context.Context, h hook) error {
		s := hookSessions(t, jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), h)
		p, err := s.Start(context.Background(), alice())
		require.NoError(t, err)
		_, err = s.Refresh(ctx, p.Refresh)
		return err
	},
	"Revoke": func(t testing.TB, ctx context.Context, h hook) error {
		return hookSessions(t, hookStore{jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), h}, nil).Revoke(ctx, "alice", "s")
	},
	"RevokeSubject": func(t testing.TB, ctx context.Context, h hook) error {
		return hookSessions(t, hookStore{jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), h}, nil).RevokeSubject(ctx, "alice")
	},
}

// Done before the call: no user's code is called.
func TestContractDoneBeforeCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, enter := range entries {
		require.Equal(t, context.Canceled, enter(t, ctx, func(context.Context) error { t.Error("called"); return nil }), name)
	}
	cfg := lax(keys())
	_, err := jwt.MustNewVerifier[user](cfg).Verify(ctx, string(make([]byte, 9000)))
	require.Equal(t, context.Canceled, err)
	m := jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{})
	_, err = m.Rotate(ctx, jwt.RefreshStep{Subject: "a", Session: "s", To: "t", Live: time.Hour})
	require.Equal(t, context.Canceled, err)
	require.Equal(t, context.Canceled, m.Revoke(ctx, "a", "s"))
	_, err = m.Alive(ctx, "a", "s")
	require.Equal(t, context.Canceled, err)
}

// Done while the user's code waits: the error of ctx, and no claims.
func TestContractDoneWhileWaiting(t *testing.T) {
	wait := func(ctx context.Context) error { <-ctx.Done(); return errors.New("gave up") }
	for name, enter := range entries {
		if name == "Verify" || name == "VerifyInto" {
			continue // what Validate returns is a verdict about the claims
		}
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			require.Equal(t, context.DeadlineExceeded, enter(t, ctx, wait), name)
			require.Equal(t, time.Second, time.Since(start))
		})
	}
}

// The error matches ctx.Err() and context.Cause(ctx).
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	for name, enter := range entries {
		ctx, cancel := context.WithCancelCause(t.Context())
		err := enter(t, ctx, func(ctx context.Context) error { cancel(errCause); return context.Cause(ctx) })
		require.ErrorIs(t, err, errCause, name)
		if name != "Verify" && name != "VerifyInto" {
			require.ErrorIs(t, err, context.Canceled, name)
		}
		err = enter(t, ctx, func(context.Context) error { return nil })
		require.ErrorIs(t, err, context.Canceled, name)
		require.ErrorIs(t, err, errCause, name)
	}
}

type ctxKey struct{}

// The user's code gets the caller's ctx.
func TestContractFnContextDerives(t *testing.T) {
	for name, enter := range entries {
		called := false
		ctx := context.WithValue(t.Context(), ctxKey{}, "v")
		require.NoError(t, enter(t, ctx, func(ctx context.Context) error {
			called = true
			require.Equal(t, "v", ctx.Value(ctxKey{}), name)
			return nil
		}))
		require.True(t, called, name)
	}
}

// Cancelling one caller leaves another of the same objects alone.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	var inner error
	ctx, cancel := context.WithCancel(t.Context())
	cfg := lax(keys())
	var v *jwt.Verifier[user]
	cfg.Revocation = jwt.RevocationFunc(func(c context.Context, r jwt.Registered) (bool, error) {
		if r.ID == "1" {
			cancel()
			_, inner = v.Verify(t.Context(), forge(plainHead, `{"exp":4000000000,"jti":"2"}`))
		}
		return false, c.Err()
	})
	v = jwt.MustNewVerifier[user](cfg)
	_, err := v.Verify(ctx, forge(plainHead, hookedToken))
	require.Equal(t, context.Canceled, err)
	require.NoError(t, inner)
}

// The error of the user's code is there to be found, under one sentinel that
// says what it was about.
func TestContractFnErrorUnwrapped(t *testing.T) {
	for name, enter := range entries {
		err := enter(t, t.Context(), func(context.Context) error { return errCause })
		var e *jwt.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, errCause, e.Err, name)
		want := jwt.ErrUnavailable
		if name == "Verify" || name == "VerifyInto" {
			want = jwt.ErrRejected
		}
		requireCause(t, want, err, name)
	}
}

func explode(context.Context) error { panic(errCause) }

// A panic or Goexit in the user's code passes through untouched, no claims are
// left behind, and everything goes on.
func TestContractPanicAndGoexit(t *testing.T) {
	for name, enter := range entries {
		func() {
			defer func() {
				require.Equal(t, errCause, recover(), name)
				// The stack still has the frame that panicked: nothing
				// recovered and panicked again on the way.
				require.Contains(t, string(debug.Stack()), "jwt_test.explode")
			}()
			_ = enter(t, t.Context(), explode)
		}()
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = enter(t, context.Background(), func(context.Context) error { runtime.Goexit(); return nil })
		})
		wg.Wait()
		require.NoError(t, enter(t, t.Context(), func(context.Context) error { return nil }), name)
	}
	c := hooked{}
	v := jwt.MustNewVerifier[hooked](lax(keys()))
	func() {
		defer func() { _ = recover() }()
		_ = v.VerifyInto(context.WithValue(t.Context(), hookKey{}, hook(explode)), []byte(forge(plainHead, hookedToken)), &c)
	}()
	require.Zero(t, c, "what Validate did not pass is not there")
}
