package jwt_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

func newKey(t testing.TB, id string) jwt.Key {
	k, err := jwt.GenerateKey(id)
	require.NoError(t, err)
	return k
}

func states(s *jwt.KeySet) map[string]jwt.KeyState {
	out := make(map[string]jwt.KeyState)
	for _, k := range s.Keys() {
		out[k.Key.ID()] = k.State
	}
	return out
}

func kidOf(t testing.TB, tok string) string {
	u, err := jwt.PeekUnverified(tok)
	require.NoError(t, err)
	return u.KeyID
}

func TestNewKeySetRefuses(t *testing.T) {
	_, err := jwt.NewKeySet()
	require.ErrorContains(t, err, "needs a key")
	_, err = jwt.NewKeySet(jwt.Key{})
	require.ErrorContains(t, err, "zero Key")
	_, err = jwt.NewKeySet(newKey(t, "a"), newKey(t, "a"))
	require.ErrorContains(t, err, `the id "a"`)
	_, err = jwt.NewKeySet(jwt.MustNewKey("a", secret), jwt.MustNewKey("b", secret))
	require.ErrorContains(t, err, "same secret")
	require.Panics(t, func() { jwt.MustNewKeySet() })
}

func TestTheLastKeySignsAndAllVerify(t *testing.T) {
	a, b := newKey(t, "a"), newKey(t, "b")
	set := jwt.MustNewKeySet(a, b)
	require.Equal(t, map[string]jwt.KeyState{"a": jwt.VerifyOnly, "b": jwt.Signing}, states(set))
	v := jwt.MustNewVerifier[user](strict(set))
	for _, k := range []jwt.Key{a, b} {
		tok, err := issuer(jwt.MustNewKeySet(k)).Sign(alice())
		require.NoError(t, err)
		_, err = v.Verify(t.Context(), tok)
		require.NoError(t, err)
	}
	tok, err := issuer(set).Sign(alice())
	require.NoError(t, err)
	require.Equal(t, "b", kidOf(t, tok))
}

// A token's key is the one that it names. There is no trying of others.
func TestKidDecidesTheKey(t *testing.T) {
	named, unnamed := jwt.MustNewKey("k", secret), newKey(t, "")
	both := jwt.MustNewVerifier[user](lax(jwt.MustNewKeySet(named, unnamed)))
	only := jwt.MustNewVerifier[user](lax(jwt.MustNewKeySet(named)))
	sign := func(key jwt.Key, head string) string {
		input := b64(head) + "." + b64(good)
		return input + "." + mac(input, key.Secret())
	}
	for _, c := range []struct {
		name      string
		tok       string
		only, all error
	}{
		{"its kid", sign(named, `{"alg":"HS256","kid":"k"}`), nil, nil},
		{"its kid in another order", sign(named, `{"kid":"k","alg":"HS256"}`), nil, nil},
		{"no kid", sign(named, `{"alg":"HS256"}`), jwt.ErrKey, jwt.ErrSignature},
		{"another kid", sign(named, `{"alg":"HS256","kid":"other"}`), jwt.ErrKey, jwt.ErrSignature},
		{"kid in another case", sign(named, `{"alg":"HS256","kid":"K"}`), jwt.ErrKey, jwt.ErrSignature},
		{"kid of the other key", sign(unnamed, `{"alg":"HS256","kid":"k"}`), jwt.ErrSignature, jwt.ErrSignature},
		{"unnamed", sign(unnamed, `{"alg":"HS256"}`), jwt.ErrKey, nil},
		{"unnamed with a kid that is none here", sign(unnamed, `{"alg":"HS256","kid":"theirs"}`), jwt.ErrKey, nil},
		{"a path for a kid", sign(named, `{"alg":"HS256","kid":"../../dev/null"}`), jwt.ErrKey, jwt.ErrSignature},
		{"SQL for a kid", sign(named, `{"alg":"HS256","kid":"k' OR '1'='1"}`), jwt.ErrKey, jwt.ErrSignature},
	} {
		for v, want := range map[*jwt.Verifier[user]]error{only: c.only, both: c.all} {
			_, err := v.Verify(t.Context(), c.tok)
			if want == nil {
				require.NoError(t, err, c.name)
			} else {
				requireCause(t, want, err, c.name)
			}
		}
	}
}

// Publish, sign, verify only, gone, each at its time to the nanosecond.
func TestRotationFollowsItsSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := jwt.MustNewKeySet(newKey(t, "a"))
		i := jwt.MustNewIssuer[user](jwt.IssuerConfig{Keys: set, Issuer: "https://auth", Audience: []string{"api"}, TTL: time.Hour})
		v := jwt.MustNewVerifier[user](strict(set))
		b := newKey(t, "b")
		sign := func() string {
			tok, err := i.Sign(alice())
			require.NoError(t, err)
			return tok
		}
		byB, err := issuer(jwt.MustNewKeySet(b)).Sign(alice())
		require.NoError(t, err)
		_, err = v.Verify(t.Context(), byB)
		requireCause(t, jwt.ErrKey, err)

		from := time.Now().Add(10 * time.Minute)
		require.NoError(t, set.Rotate(b, jwt.Rotation{SignFrom: from, Overlap: time.Hour}))
		_, err = v.Verify(t.Context(), byB)
		require.NoError(t, err, "a published key verifies")
		require.Equal(t, map[string]jwt.KeyState{"a": jwt.Signing, "b": jwt.Published}, states(set))
		require.Equal(t, "a", kidOf(t, sign()))
		infos := set.Keys()
		require.True(t, infos[0].SignFrom.IsZero())
		require.True(t, infos[0].VerifyUntil.Equal(from.Add(time.Hour)))
		require.True(t, infos[1].SignFrom.Equal(from))
		require.True(t, infos[1].VerifyUntil.IsZero())

		time.Sleep(10*time.Minute - 1)
		last := sign()
		require.Equal(t, "a", kidOf(t, last))
		time.Sleep(time.Nanosecond)
		require.Equal(t, "b", kidOf(t, sign()))
		require.Equal(t, map[string]jwt.KeyState{"a": jwt.VerifyOnly, "b": jwt.Signing}, states(set))

		time.Sleep(time.Hour - time.Second)
		_, err = v.Verify(t.Context(), last)
		if err != nil { // its exp has whole seconds
			requireCause(t, jwt.ErrExpired, err)
		}
		time.Sleep(time.Second - 1)
		require.Len(t, set.Keys(), 2)
		time.Sleep(time.Nanosecond)
		require.Equal(t, map[string]jwt.KeyState{"b": jwt.Signing}, states(set))
		_, err = v.Verify(t.Context(), last)
		requireCause(t, jwt.ErrKey, err)
		require.Equal(t, "b", kidOf(t, sign()))
	})
}

// No token that was good when it was signed loses its key before its end.
func TestEveryTokenOutlivesARotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := jwt.MustNewKeySet(newKey(t, "0"))
		i, v := issuer(set), jwt.MustNewVerifier[user](strict(set))
		type live struct {
			tok string
			end time.Time
		}
		var all []live
		for n := range 200 {
			if n%40 == 0 {
				id := string(rune('a' + n/40))
				require.NoError(t, set.Rotate(newKey(t, id), jwt.Rotation{SignFrom: time.Now().Add(3 * time.Minute)}))
			}
			tok, err := i.Sign(alice())
			require.NoError(t, err)
			all = append(all, live{tok, time.Now().Truncate(time.Second).Add(15 * time.Minute)})
			time.Sleep(30 * time.Second)
			for _, l := range all {
				_, err := v.Verify(t.Context(), l.tok)
				if time.Now().Before(l.end) {
					require.NoError(t, err)
				} else {
					require.Error(t, err)
				}
			}
		}
		require.LessOrEqual(t, len(set.Keys()), 3)
	})
}

func TestRotateChecksTheOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := jwt.MustNewKeySet(newKey(t, "a"))
		require.ErrorContains(t, set.Rotate(newKey(t, "b"), jwt.Rotation{}), "Rotation.Overlap is 0s", "nobody knows how long tokens live")
		jwt.MustNewIssuer[user](jwt.IssuerConfig{Keys: set, TTL: time.Minute})
		jwt.MustNewIssuer[user](jwt.IssuerConfig{Keys: set, TTL: time.Hour})
		jwt.MustNewIssuer[user](jwt.IssuerConfig{Keys: set, TTL: time.Second})
		for _, bad := range []time.Duration{-time.Hour, time.Second, time.Hour - 1} {
			require.ErrorContains(t, set.Rotate(newKey(t, "b"), jwt.Rotation{Overlap: bad}), "want ≥ 1h0m0s, the longest life")
		}
		require.Len(t, set.Keys(), 1)
		require.NoError(t, set.Rotate(newKey(t, "b"), jwt.Rotation{}))
		require.Equal(t, time.Hour+5*time.Minute, time.Until(set.Keys()[0].VerifyUntil))

		_, err := jwt.NewIssuer[user](jwt.IssuerConfig{Keys: set, TTL: 100 * time.Hour})
		require.NoError(t, err, "the old key signs no more")
		require.NoError(t, set.Rotate(newKey(t, "c"), jwt.Rotation{SignFrom: time.Now().Add(time.Hour), Overlap: 100 * time.Hour}))
		_, err = jwt.NewIssuer[user](jwt.IssuerConfig{Keys: set, TTL: 101 * time.Hour})
		require.ErrorContains(t, err, `key "b" is to be gone 100h0m0s after it stops signing, tokens are to live 101h0m0s`)
	})
}

func TestRotateRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newKey(t, "a")
		set := jwt.MustNewKeySet(a)
		ok := jwt.Rotation{Overlap: time.Hour}
		require.ErrorContains(t, set.Rotate(jwt.Key{}, ok), "zero Key")
		require.ErrorContains(t, set.Rotate(newKey(t, "a"), ok), "the id")
		require.ErrorContains(t, set.Rotate(jwt.MustNewKey("z", a.Secret()), ok), "same secret")
		require.ErrorContains(t, set.Rotate(newKey(t, "b"), jwt.Rotation{SignFrom: time.Now().Add(-1), Overlap: time.Hour}), "Rotation.SignFrom")
		require.NoError(t, set.Rotate(newKey(t, "b"), jwt.Rotation{SignFrom: time.Now().Add(time.Hour), Overlap: time.Hour}))
		require.ErrorContains(t, set.Rotate(newKey(t, "c"), ok), "Rotation.SignFrom", "before the one that is scheduled")
		require.NoError(t, set.Rotate(newKey(t, "c"), jwt.Rotation{SignFrom: time.Now().Add(2 * time.Hour), Overlap: time.Hour}))
		require.Equal(t, map[string]jwt.KeyState{"a": jwt.Signing, "b": jwt.Published, "c": jwt.Published}, states(set))
		time.Sleep(time.Hour)
		require.Equal(t, map[string]jwt.KeyState{"a": jwt.VerifyOnly, "b": jwt.Signing, "c": jwt.Published}, states(set))
		time.Sleep(time.Hour)
		require.Equal(t, map[string]jwt.KeyState{"b": jwt.VerifyOnly, "c": jwt.Signing}, states(set))
		require.NoError(t, set.Rotate(newKey(t, "a"), ok), "an id that is gone may come again")
	})
}

func TestRetireRefusesTokensAtOnce(t *testing.T) {
	set := jwt.MustNewKeySet(newKey(t, "a"))
	cfg := strict(set)
	cfg.Cache = 16
	i, v := issuer(set), jwt.MustNewVerifier[user](cfg)
	old, err := i.Sign(alice())
	require.NoError(t, err)
	require.ErrorContains(t, set.Retire("a"), "no other key can sign")
	require.ErrorContains(t, set.Retire("x"), `no key has the id "x"`)
	require.NoError(t, set.Rotate(newKey(t, "b"), jwt.Rotation{}))
	fresh, err := i.Sign(alice())
	require.NoError(t, err)
	for _, tok := range []string{old, fresh, old, fresh} {
		_, err = v.Verify(t.Context(), tok)
		require.NoError(t, err)
	}
	require.NoError(t, set.Retire("a"))
	_, err = v.Verify(t.Context(), old)
	requireCause(t, jwt.ErrKey, err, "the cache honours it")
	_, err = v.Verify(t.Context(), fresh)
	require.NoError(t, err)
}

// If a key that was to sign is retired, the one before it takes its time, with
// the overlap that it had.
func TestRetireOfAKeyThatSignsGivesItsTimeToTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := jwt.MustNewKeySet(newKey(t, "a"))
		start := time.Now()
		at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
		require.NoError(t, set.Rotate(newKey(t, "b"), jwt.Rotation{SignFrom: at(1), Overlap: 2 * time.Hour}))
		require.NoError(t, set.Rotate(newKey(t, "c"), jwt.Rotation{SignFrom: at(10), Overlap: time.Hour}))
		require.NoError(t, set.Retire("b"))
		require.Equal(t, map[string]jwt.KeyState{"a": jwt.Signing, "c": jwt.Published}, states(set))
		require.True(t, set.Keys()[0].VerifyUntil.Equal(at(12)))
		require.NoError(t, set.Retire("c"))
		require.True(t, set.Keys()[0].VerifyUntil.IsZero())

		require.NoError(t, set.Rotate(newKey(t, "d"), jwt.Rotation{Overlap: 2 * time.Hour}))
		time.Sleep(time.Hour)
		require.NoError(t, set.Retire("d"), "back to the one before, which is still there")
		require.Equal(t, map[string]jwt.KeyState{"a": jwt.Signing}, states(set))
		require.True(t, set.Keys()[0].VerifyUntil.IsZero())

		require.NoError(t, set.Rotate(newKey(t, "e"), jwt.Rotation{Overlap: 9 * time.Hour}))
		require.NoError(t, set.Rotate(newKey(t, "f"), jwt.Rotation{SignFrom: time.Now().Add(time.Hour), Overlap: 9 * time.Hour}))
		require.NoError(t, set.Retire("a"), "it no longer signs")
		require.Equal(t, map[string]jwt.KeyState{"e": jwt.Signing, "f": jwt.Published}, states(set))
		require.Error(t, set.Retire("e"), "f cannot sign in its place, its time has not come")
	})
}

func TestKeyStatesHaveNames(t *testing.T) {
	require.Equal(t, "published signing verify only KeyState(9)", jwt.Published.String()+" "+jwt.Signing.String()+" "+jwt.VerifyOnly.String()+" "+jwt.KeyState(9).String())
}
