package jwt_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

func retired(err error) bool { return errors.Is(err, jwt.ErrKey) }

func TestDenylistRefusesUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keys()
		d := jwt.MustNewDenylist(10)
		cfg := strict(k)
		cfg.Revocation, cfg.Cache = d, 8
		v := jwt.MustNewVerifier[user](cfg)
		i := jwt.MustNewIssuer[user](jwt.IssuerConfig{Keys: k, Issuer: "https://auth", Audience: []string{"api"}, RandomID: true})
		one, err := i.Sign(alice())
		require.NoError(t, err)
		two, err := i.Sign(alice())
		require.NoError(t, err)
		c, err := v.Verify(t.Context(), one)
		require.NoError(t, err)
		require.NoError(t, d.Revoke(c.Registered.ID, c.Expires.Time()))
		_, err = v.Verify(t.Context(), one)
		requireCause(t, jwt.ErrRevoked, err)
		_, err = v.Verify(t.Context(), two)
		require.NoError(t, err)
		time.Sleep(15 * time.Minute)
		_, err = v.Verify(t.Context(), one)
		requireCause(t, jwt.ErrExpired, err)
		revoked, err := d.Revoked(t.Context(), c.Registered)
		require.NoError(t, err)
		require.False(t, revoked, "forgotten, as it is expired")
	})
}

func TestDenylistIsBoundedAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := jwt.MustNewDenylist(3)
		is := func(id string) bool {
			revoked, err := d.Revoked(t.Context(), jwt.Registered{ID: id})
			require.NoError(t, err)
			return revoked
		}
		end := time.Now().Add(time.Hour)
		for n := range 3 {
			require.NoError(t, d.Revoke(fmt.Sprint(n), end.Add(time.Duration(n)*time.Hour)))
		}
		require.Equal(t, jwt.ErrFull, d.Revoke("3", end))
		require.False(t, is("3"))
		require.NoError(t, d.Revoke("0", end.Add(-time.Minute)), "known already, until later")
		require.NoError(t, d.Revoke("past", time.Now()), "nothing to do")
		time.Sleep(time.Hour - 1)
		require.True(t, is("0"))
		time.Sleep(time.Nanosecond)
		require.False(t, is("0"))
		require.NoError(t, d.Revoke("3", end.Add(9*time.Hour)), "there is room again")
		require.NoError(t, d.Revoke("1", end.Add(9*time.Hour)), "until later")
		time.Sleep(8 * time.Hour)
		require.True(t, is("1"))
		require.False(t, is("2"))
		require.True(t, is("3"))
		require.Error(t, d.Revoke("", end))
	})
}

func TestNewDenylistRefuses(t *testing.T) {
	_, err := jwt.NewDenylist(-1)
	require.ErrorContains(t, err, "is -1")
	require.Panics(t, func() { jwt.MustNewDenylist(-1) })
	require.NotPanics(t, func() { jwt.MustNewDenylist(0) })
}

func TestDenylistUnderLoad(t *testing.T) {
	d := jwt.MustNewDenylist(1000)
	end := time.Now().Add(time.Hour)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 200 {
				id := fmt.Sprint(w, n)
				if err := d.Revoke(id, end); err != nil {
					t.Errorf("Revoke: %v", err)
				}
				if revoked, _ := d.Revoked(t.Context(), jwt.Registered{ID: id}); !revoked {
					t.Errorf("%s is not revoked", id)
				}
			}
		})
	}
	wg.Wait()
}
