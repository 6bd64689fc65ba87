package jwttest_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwttest"
)

type claims struct {
	jwt.Registered
	Role string `json:"role"`
}

func verifier(key jwt.Key) *jwt.Verifier[claims] {
	return jwt.MustNewVerifier[claims](jwt.VerifierConfig{
		Keys: jwt.MustNewKeySet(key), Issuer: jwt.Is("i"), Audience: jwt.Is("a"), Subject: jwt.Present(), Type: jwt.Is("JWT"),
	})
}

func good() claims {
	return claims{jwt.Registered{Issuer: "i", Audience: jwt.Audience{"a"}, Subject: "alice"}, "admin"}
}

func TestBadTokensAreWhatTheySay(t *testing.T) {
	for _, id := range []string{"", "k"} {
		key, err := jwt.GenerateKey(id)
		require.NoError(t, err)
		v := verifier(key)
		bad := jwttest.BadTokens(t, key, good())
		require.Greater(t, len(bad), 20)
		for _, b := range bad {
			_, err := v.Verify(t.Context(), b.Token)
			require.ErrorIs(t, err, b.Err, b.Name)
		}
	}
}

func TestMintSignsGoodTokensToo(t *testing.T) {
	key, err := jwt.GenerateKey("k")
	require.NoError(t, err)
	c := good()
	c.Expires = jwt.DateOf(time.Now().Add(time.Minute))
	m := jwttest.Mint{Key: key}
	got, err := verifier(key).Verify(t.Context(), m.Token(t, c))
	require.NoError(t, err)
	require.Equal(t, c, got)
	m.Type = "at+jwt"
	_, err = verifier(key).Verify(t.Context(), m.Token(t, c))
	require.ErrorIs(t, err, jwt.ErrType)
}

func TestMintSaysWhenAToken(t *testing.T) {
	key, err := jwt.GenerateKey("k")
	require.NoError(t, err)
	m := jwttest.Mint{Key: key}
	u, err := jwt.PeekUnverified(m.Expired(t, good(), time.Hour))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(-time.Hour), u.Claims.Expires.Time(), 2*time.Second)
	u, err = jwt.PeekUnverified(m.NotYetValid(t, good(), time.Hour))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), u.Claims.NotBefore.Time(), 2*time.Second)
}

// faulty is a store with a fault, which the suite must find.
type faulty struct {
	jwt.RefreshStore
	fault string
}

func (f faulty) Rotate(ctx context.Context, step jwt.RefreshStep) (jwt.RefreshResult, error) {
	switch f.fault {
	case "no grace":
		step.Grace = 0
	case "endless grace":
		step.Grace = time.Hour
	case "never ends":
		step.Live = time.Hour
	case "deaf":
		ctx = context.Background()
	}
	res, err := f.RefreshStore.Rotate(ctx, step)
	if f.fault == "forgetful" {
		res.Successor = nil
	}
	if f.fault == "forgiving" && res.Outcome == jwt.Reused {
		_, _ = f.RefreshStore.Rotate(ctx, jwt.RefreshStep{Subject: step.Subject, Session: step.Session, To: "2", Live: time.Hour})
	}
	return res, err
}

func (f faulty) Revoke(ctx context.Context, subject, session string) error {
	if f.fault == "no revoke" {
		return nil
	}
	return f.RefreshStore.Revoke(ctx, subject, session)
}

const faultEnv = "JWTTEST_FAULT"

// TestFaulty is what TestTheSuiteFindsFaults starts.
func TestFaulty(t *testing.T) {
	fault := os.Getenv(faultEnv)
	if fault == "" {
		return
	}
	jwttest.Suite{Open: func(*testing.T) jwt.RefreshStore {
		return faulty{jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{PerSubject: 100}), fault}
	}}.Run(t)
}

func TestTheSuiteFindsFaults(t *testing.T) {
	for fault, finder := range map[string]string{
		"no grace": "ReplaysWithinGrace", "endless grace": "ReuseEndsTheSession", "never ends": "SessionsExpire",
		"deaf": "ContextDone", "forgetful": "SuccessorsAreBytes", "no revoke": "RevokesOneOrAll", "forgiving": "ReuseEndsTheSession",
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFaulty$")
		cmd.Env = append(os.Environ(), faultEnv+"="+fault)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, fault)
		require.Contains(t, string(out), "--- FAIL: TestFaulty/"+finder, fault)
	}
}
