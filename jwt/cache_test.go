package jwt_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

func cachedVerifier[T any](k *jwt.KeySet, n int) *jwt.Verifier[T] {
	cfg := strict(k)
	cfg.Cache = n
	return jwt.MustNewVerifier[T](cfg)
}

// What comes out of the cache is what comes without it, and times are checked
// each time.
func TestCacheChecksTimesEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keys()
		v := cachedVerifier[user](k, 8)
		c := alice()
		c.Expires = jwt.DateOf(time.Now().Add(time.Minute))
		tok, err := issuer(k).Sign(c)
		require.NoError(t, err)
		first, err := v.Verify(t.Context(), tok)
		require.NoError(t, err)
		time.Sleep(time.Minute - 1)
		again, err := v.Verify(t.Context(), tok)
		require.NoError(t, err)
		require.Equal(t, first, again)
		time.Sleep(time.Nanosecond)
		got, err := v.Verify(t.Context(), tok)
		requireCause(t, jwt.ErrExpired, err)
		require.Zero(t, got)
	})
}

// Callers may change what they get; no other caller sees it.
func TestCacheSharesNothingThatCanBeChanged(t *testing.T) {
	k := keys()
	v := cachedVerifier[user](k, 8)
	tok, err := issuer(k).Sign(alice())
	require.NoError(t, err)
	for range 4 {
		c, err := v.Verify(t.Context(), tok)
		require.NoError(t, err)
		require.Equal(t, jwt.Audience{"api"}, c.Audience)
		c.Audience[0] = "evil"
		c.Role = "evil"
	}

	cfg := lax(k)
	cfg.Cache = 8
	deep := jwt.MustNewVerifier[everything](cfg)
	signer := jwt.MustNewIssuer[everything](jwt.IssuerConfig{Keys: k})
	tok, err = signer.Sign(filled())
	require.NoError(t, err)
	want, err := jwt.MustNewVerifier[everything](lax(k)).Verify(t.Context(), tok)
	require.NoError(t, err)
	for range 4 {
		c, err := deep.Verify(t.Context(), tok)
		require.NoError(t, err)
		require.Equal(t, want, c)
		c.Texts[0], c.Map["a"], *c.Pointer, c.Tree.Name, c.AnyMap["q"] = "evil", 666, 666, "evil", "evil"
		c.Bytes[0], c.Any.(map[string]any)["x"] = 9, nil
	}

	free := jwt.MustNewVerifier[map[string]any](cfg)
	for range 3 {
		m, err := free.Verify(t.Context(), tok)
		require.NoError(t, err)
		require.Equal(t, "alice", m["sub"])
		m["sub"] = "evil"
	}
}

// A token that is cached helps no token that is like it.
func TestCacheTakesNoMutation(t *testing.T) {
	k := keys()
	v := cachedVerifier[user](k, 1)
	tok, err := issuer(k).Sign(alice())
	require.NoError(t, err)
	var c user
	require.NoError(t, v.VerifyInto(t.Context(), []byte(tok), &c))
	bad := []byte(tok)
	for i := range bad {
		for _, d := range []byte{1, 2, 0x20, 0x80, 0xff} {
			bad[i] = tok[i] ^ d
			require.Error(t, v.VerifyInto(t.Context(), bad, &c))
		}
		bad[i] = tok[i]
		require.Error(t, v.VerifyInto(t.Context(), []byte(tok[:i]), &c))
	}
	require.NoError(t, v.VerifyInto(t.Context(), []byte(tok), &c))
}

// With more tokens than places each is verified right, cached or not.
func TestCacheIsBounded(t *testing.T) {
	k := keys()
	v := cachedVerifier[user](k, 4)
	var toks []string
	for n := range 64 {
		c := alice()
		c.ID = int64(n)
		tok, err := issuer(k).Sign(c)
		require.NoError(t, err)
		toks = append(toks, tok)
	}
	for range 3 {
		for n, tok := range toks {
			c, err := v.Verify(t.Context(), tok)
			require.NoError(t, err)
			require.Equal(t, int64(n), c.ID)
		}
	}
}

// A rotation empties the cache, and a key that is gone is gone from it as well,
// though nobody has changed the set at that moment.
func TestCacheHonoursTheScheduleOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := jwt.MustNewKeySet(newKey(t, "a"))
		i := issuer(set)
		cfg := strict(set)
		cfg.Cache, cfg.Leeway = 8, time.Hour // so that the token outlives its key
		v := jwt.MustNewVerifier[user](cfg)
		tok, err := i.Sign(alice())
		require.NoError(t, err)
		require.NoError(t, set.Rotate(newKey(t, "b"), jwt.Rotation{Overlap: 15 * time.Minute}))
		for range 2 {
			_, err = v.Verify(t.Context(), tok)
			require.NoError(t, err)
		}
		time.Sleep(15*time.Minute - 1)
		_, err = v.Verify(t.Context(), tok)
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		_, err = v.Verify(t.Context(), tok)
		requireCause(t, jwt.ErrKey, err)
	})
}

// Verifying, signing and rotating at once, with a cache that is too small: every
// token that was given within its life passes, with its own claims.
func TestRotationUnderLoad(t *testing.T) {
	set := jwt.MustNewKeySet(newKey(t, "0"))
	i := issuer(set)
	cached, plain := cachedVerifier[user](set, 16), jwt.MustNewVerifier[user](strict(set))
	ctx := t.Context()
	stop := make(chan struct{})
	var rotating, working sync.WaitGroup
	rotating.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			k, err := jwt.GenerateKey(fmt.Sprint(n))
			if err == nil {
				err = set.Rotate(k, jwt.Rotation{})
			}
			if err == nil && n > 50 {
				err = set.Retire(fmt.Sprint(n - 50))
			}
			if err != nil {
				t.Errorf("rotation %d: %v", n, err)
				return
			}
			set.Keys()
		}
	})
	for w := range 4 {
		working.Go(func() {
			for n := range 300 {
				c := alice()
				c.ID = int64(w*1000 + n)
				tok, err := i.Sign(c)
				if err != nil {
					t.Errorf("Sign: %v", err)
					return
				}
				for _, v := range []*jwt.Verifier[user]{cached, plain, cached} {
					got, err := v.Verify(ctx, tok)
					if retired(err) {
						break // it was so slow that 50 keys have come since
					}
					if err != nil || got.ID != c.ID {
						t.Errorf("Verify: %v, id %d, want %d", err, got.ID, c.ID)
						return
					}
				}
			}
		})
	}
	working.Wait()
	close(stop)
	rotating.Wait()
}
