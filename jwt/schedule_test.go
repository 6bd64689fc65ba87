package jwt_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// modelKey is a key of a set, by the words of Rotate and Retire: with the times
// that it was given.
type modelKey struct {
	id      string
	from    time.Time
	overlap time.Duration // of the one after it
}

// modelSet lists keys in the order of signing. When a key stops follows from the
// key after it.
type modelSet []modelKey

func (m modelSet) until(i int) (time.Time, bool) {
	if i+1 == len(m) {
		return time.Time{}, false
	}
	return m[i+1].from.Add(m[i].overlap), true
}

func (m modelSet) alive(i int, now time.Time) bool {
	end, ends := m.until(i)
	return !ends || now.Before(end)
}

// signer is the last key whose time has come.
func (m modelSet) signer(now time.Time) int {
	for i := len(m) - 1; i > 0; i-- {
		if !m[i].from.After(now) {
			return i
		}
	}
	return 0
}

// pruned drops what is gone from the front; nothing in the middle ends before
// what is in front of it in these tests, as overlaps are equal.
func (m modelSet) pruned(now time.Time) modelSet {
	for len(m) > 1 && !m.alive(0, now) {
		m = m[1:]
	}
	return m
}

// Random rotations, retirements and pauses: which key signs and which verify is
// what the model says, at each moment.
func TestKeySetFollowsTheModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			const overlap = time.Hour
			set := jwt.MustNewKeySet(newKey(t, "k0"))
			i := jwt.MustNewIssuer[user](jwt.IssuerConfig{Keys: set, TTL: overlap})
			v := jwt.MustNewVerifier[user](lax(set))
			m := modelSet{{id: "k0"}}
			tokens := make(map[string]string) // the last of each key
			for n := 1; n < 60; n++ {
				m = m.pruned(time.Now())
				switch rng.IntN(5) {
				case 0, 1:
					from := time.Now().Add(time.Duration(rng.IntN(4)) * 20 * time.Minute)
					id := fmt.Sprint("k", n)
					err := set.Rotate(newKey(t, id), jwt.Rotation{SignFrom: from, Overlap: overlap})
					if last := m[len(m)-1]; from.Before(last.from) {
						require.ErrorContains(t, err, "SignFrom")
						break
					}
					require.NoError(t, err)
					m[len(m)-1].overlap = overlap
					m = append(m, modelKey{id: id, from: from})
				case 2:
					at := rng.IntN(len(m))
					err := set.Retire(m[at].id)
					if at == 0 && m.signer(time.Now()) == 0 {
						require.ErrorContains(t, err, "no other key can sign")
						break
					}
					require.NoError(t, err)
					if at > 0 && at < m.signer(time.Now()) {
						// The one before had stopped already, and stays so.
						return
					}
					m = slices.Delete(slices.Clone(m), at, at+1)
				default:
					time.Sleep(time.Duration(rng.IntN(50)) * time.Minute)
				}
				now := time.Now()
				m = m.pruned(now)
				tok, err := i.Sign(alice())
				require.NoError(t, err)
				signer := m.signer(now)
				require.Equal(t, m[signer].id, kidOf(t, tok))
				tokens[m[signer].id] = tok
				var want []string
				for k := range m {
					if m.alive(k, now) {
						want = append(want, m[k].id)
					}
				}
				var got []string
				for _, info := range set.Keys() {
					got = append(got, info.Key.ID())
					require.Equal(t, info.Key.ID() == m[signer].id, info.State == jwt.Signing)
				}
				require.Equal(t, want, got)
				for id, tok := range tokens {
					_, err := v.Verify(t.Context(), tok)
					if !slices.Contains(want, id) {
						requireCause(t, jwt.ErrKey, err)
					} else if err != nil {
						requireCause(t, jwt.ErrExpired, err)
					}
				}
			}
		})
	}
}
