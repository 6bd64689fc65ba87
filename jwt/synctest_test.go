package jwt_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// A KeySet, an Issuer, a Verifier with a cache and Sessions made before are used
// in two bubbles: nothing in them belongs to one.
func TestSynctestSafe(t *testing.T) {
	k := keys()
	i, v := issuer(k), cachedVerifier[user](k, 8)
	d := jwt.MustNewDenylist(10)
	s := jwt.MustNewSessions(jwt.SessionsConfig[user]{
		Keys: k, Store: jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), Issuer: "i", Audience: []string{"a"},
	})
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			tok, err := i.Sign(alice())
			require.NoError(t, err)
			for range 2 {
				_, err = v.Verify(t.Context(), tok)
				require.NoError(t, err)
			}
			p, err := s.Start(t.Context(), alice())
			require.NoError(t, err)
			time.Sleep(time.Minute)
			_, err = s.Refresh(t.Context(), p.Refresh)
			require.NoError(t, err)
			require.NoError(t, d.Revoke("x", time.Now().Add(time.Minute)))
			time.Sleep(15 * time.Minute)
			_, err = v.Verify(t.Context(), tok)
			requireCause(t, jwt.ErrExpired, err)
		})
	}
}

// Each bound in time is checked at the nanosecond on both of its sides: exp is
// the first moment at which a token is no longer good, nbf and iat are the first
// at which it is.
func TestTimesAreExact(t *testing.T) {
	for _, leeway := range []time.Duration{0, time.Second, 90 * time.Second} {
		for _, c := range []struct {
			claims string        // with the second from which times count
			at     time.Duration // when things change
			before error
			after  error
		}{
			{`{"exp":%d}`, leeway, nil, jwt.ErrExpired},
			{`{"exp":%d.25}`, leeway + 250*time.Millisecond, nil, jwt.ErrExpired},
			{`{"exp":4000000000,"nbf":%d}`, -leeway, jwt.ErrNotYetValid, nil},
			{`{"exp":4000000000,"nbf":%d.5}`, -leeway + 500*time.Millisecond, jwt.ErrNotYetValid, nil},
			{`{"exp":4000000000,"iat":%d}`, -leeway, jwt.ErrNotYetValid, nil},
		} {
			synctest.Test(t, func(t *testing.T) {
				cfg := lax(keys())
				cfg.Leeway, cfg.NoExpiry, cfg.Cache = leeway, false, 4
				v := jwt.MustNewVerifier[user](cfg)
				from := time.Now().Add(time.Hour)
				tok := forge(plainHead, fmt.Sprintf(c.claims, from.Unix()))
				check := func(want error) {
					t.Helper()
					_, err := v.Verify(t.Context(), tok)
					if want == nil {
						require.NoError(t, err, c.claims)
					} else {
						requireCause(t, want, err, c.claims)
					}
				}
				time.Sleep(time.Until(from.Add(c.at)) - 1)
				check(c.before)
				time.Sleep(time.Nanosecond)
				check(c.after)
			})
		}
	}
}

func TestAllowedAgeOfATokenIsItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keys()
		v := jwt.MustNewVerifier[user](strict(k))
		for _, ttl := range []time.Duration{time.Second, 1500 * time.Millisecond, time.Hour, 1000 * time.Hour} {
			i := jwt.MustNewIssuer[user](jwt.IssuerConfig{Keys: k, Issuer: "https://auth", Audience: []string{"api"}, TTL: ttl})
			tok, err := i.Sign(alice())
			require.NoError(t, err)
			time.Sleep(ttl.Truncate(time.Second) - 1)
			_, err = v.Verify(t.Context(), tok)
			require.NoError(t, err)
			time.Sleep(time.Nanosecond)
			_, err = v.Verify(t.Context(), tok)
			requireCause(t, jwt.ErrExpired, err)
		}
	})
}
