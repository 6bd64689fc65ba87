package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// Many verify through one Verifier, good tokens and bad ones, with contexts that
// are cancelled at any moment: each gets its own claims or its own error, and
// never those of another.
func TestVerifyUnderStorm(t *testing.T) {
	k := keys()
	cfg := strict(k)
	cfg.Cache = 8
	cfg.Revocation = jwt.RevocationFunc(func(ctx context.Context, r jwt.Registered) (bool, error) {
		return r.ID == "revoked", ctx.Err()
	})
	v := jwt.MustNewVerifier[user](cfg)
	i := issuer(k)
	var good, cancelled, refused atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			var dst []byte
			for n := range 400 {
				c := alice()
				c.ID, c.Role = int64(w*1000+n), fmt.Sprint("role-", w, "-", n)
				c.Registered.ID = []string{"fine", "fine", "revoked"}[rng.IntN(3)]
				var err error
				if dst, err = i.AppendSign(dst[:0], &c); err != nil {
					t.Errorf("AppendSign: %v", err)
					return
				}
				broken := rng.IntN(4) == 0
				if broken {
					dst[rng.IntN(len(dst))] ^= 1
				}
				ctx, cancel := context.WithCancel(context.Background())
				if rng.IntN(3) == 0 {
					go cancel()
				}
				var got user
				err = v.VerifyInto(ctx, dst, &got)
				cancel()
				switch {
				case err == nil:
					good.Add(1)
					if broken || got.ID != c.ID || got.Role != c.Role || c.Registered.ID == "revoked" {
						t.Errorf("got %+v for %+v, broken %v", got, c, broken)
					}
				case errors.Is(err, context.Canceled):
					cancelled.Add(1)
				default:
					refused.Add(1)
					if !broken && !errors.Is(err, jwt.ErrRevoked) {
						t.Errorf("refused: %v", err)
					}
				}
				if err != nil && got.Role != "" {
					t.Errorf("an error and claims: %+v", got)
				}
			}
		})
	}
	wg.Wait()
	require.NotZero(t, good.Load())
	require.NotZero(t, refused.Load())
	require.Equal(t, int64(3200), good.Load()+refused.Load()+cancelled.Load())
}

// Logins, refreshes with old and new tokens, logouts and questions at once, and
// contexts cancelled in between: a session never has two tokens that both rotate.
func TestSessionsUnderStorm(t *testing.T) {
	store := jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{PerSubject: 4})
	var reuses atomic.Int64
	s := jwt.MustNewSessions(jwt.SessionsConfig[user]{
		Keys: keys(), Store: store, Issuer: "i", Audience: []string{"a"}, Grace: time.Nanosecond,
		Hooks: jwt.Hooks{OnReuse: func(jwt.Reuse) { reuses.Add(1) }},
	})
	p, err := s.Start(t.Context(), alice())
	require.NoError(t, err)
	for range 30 {
		var rotated atomic.Int64
		var next atomic.Pointer[jwt.Pair]
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if w == 0 {
					go cancel()
				}
				n, err := s.Refresh(ctx, p.Refresh)
				switch {
				case err == nil:
					rotated.Add(1)
					next.Store(&n)
				case errors.Is(err, jwt.ErrReused), errors.Is(err, jwt.ErrRevoked), errors.Is(err, context.Canceled):
				default:
					t.Errorf("Refresh: %v", err)
				}
			})
		}
		wg.Go(func() {
			if _, err := s.Revoked(context.Background(), jwt.Registered{Subject: "alice", Session: p.Session}); err != nil {
				t.Errorf("Revoked: %v", err)
			}
		})
		wg.Wait()
		// One rotates; another may come within the nanosecond and get its pair.
		require.LessOrEqual(t, rotated.Load(), int64(6))
		require.NotZero(t, rotated.Load())
		_, err := s.Refresh(t.Context(), next.Load().Refresh)
		if err != nil {
			require.ErrorIs(t, err, jwt.ErrRevoked, "reuse has ended the session for the newest token too")
		}
		p, err = s.Start(t.Context(), alice())
		require.NoError(t, err)
	}
	require.NotZero(t, reuses.Load())
}
