package jwt_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

func TestNewKeyWants32Bytes(t *testing.T) {
	for n := range 32 {
		_, err := jwt.NewKey("k", make([]byte, n))
		require.ErrorContains(t, err, fmt.Sprintf("%d bytes, want ≥ 32 (RFC 7518", n))
	}
	for _, n := range []int{32, 33, 64, 65, 1000} {
		_, err := jwt.NewKey("k", make([]byte, n))
		require.NoError(t, err)
	}
	_, err := jwt.NewKey("", []byte("your-secret-key"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "your-secret-key")
	require.Panics(t, func() { jwt.MustNewKey("k", nil) })
}

func TestNewKeyWantsAReadableID(t *testing.T) {
	for _, id := range []string{"a\n", "a\x00", `a"b`, `a\b`, "é", "\x7f", strings.Repeat("a", 129)} {
		_, err := jwt.NewKey(id, secret)
		require.ErrorContains(t, err, "key id", id)
	}
	for _, id := range []string{"", "a", "2026-11", "a b", "urn:x:1/2+3=", strings.Repeat("a", 128)} {
		k, err := jwt.NewKey(id, secret)
		require.NoError(t, err)
		require.Equal(t, id, k.ID())
	}
}

func TestKeyHasACopyOfItsSecret(t *testing.T) {
	mine := bytes.Clone(secret)
	k := jwt.MustNewKey("k", mine)
	clear(mine)
	require.Equal(t, secret, k.Secret())
	clear(k.Secret())
	require.Equal(t, secret, k.Secret())
	require.Nil(t, jwt.Key{}.Secret())
}

func TestGenerateKeyIsRandom(t *testing.T) {
	a, err := jwt.GenerateKey("a")
	require.NoError(t, err)
	b, err := jwt.GenerateKey("b")
	require.NoError(t, err)
	require.Len(t, a.Secret(), 32)
	require.NotEqual(t, a.Secret(), b.Secret())
	_, err = jwt.GenerateKey("\n")
	require.Error(t, err)
}

// whole holds keys in every way that a user's struct might.
type whole struct {
	Key     jwt.Key
	Pointer *jwt.Key
	hidden  jwt.Key
	inner   struct{ key jwt.Key }
	List    []jwt.Key
	Map     map[string]jwt.Key
	Any     any
	Set     *jwt.KeySet
	Info    []jwt.KeyInfo
}

// Nothing that prints shows a byte of a secret: neither as text, nor in hex, in
// decimal or in base64, and not through pointers and unexported fields.
func TestKeysAreRedactedEverywhere(t *testing.T) {
	k := jwt.MustNewKey("kid-1", secret)
	set := jwt.MustNewKeySet(k)
	iss, ver := issuer(set), jwt.MustNewVerifier[user](strict(set))
	tok, err := iss.Sign(alice()) // the pools hold HMACs with the secret
	require.NoError(t, err)
	_, err = ver.Verify(t.Context(), tok)
	require.NoError(t, err)
	w := whole{Key: k, Pointer: &k, hidden: k, List: []jwt.Key{k}, Map: map[string]jwt.Key{"k": k}, Any: k, Set: set, Info: set.Keys()}
	w.inner.key = k
	sessions := jwt.MustNewSessions(jwt.SessionsConfig[user]{Keys: set, Store: jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), Issuer: "i", Audience: []string{"a"}})

	var out strings.Builder
	for _, x := range []any{
		k, &k, w, &w, []any{k, &k, &w}, set, iss, ver, jwt.IssuerConfig{Keys: set}, jwt.VerifierConfig{Keys: set}, sessions,
		jwt.SessionsConfig[user]{Keys: set}, jwt.Rotation{}, fmt.Errorf("jwt: %v %w", k, errCause),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%p", "%t", "%e", "%T", "%z"} {
			fmt.Fprintf(&out, verb+"\n", x)
		}
		fmt.Fprintln(&out, x)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "x", x)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "x", x)
		b, err := json.Marshal(x)
		if err == nil {
			out.Write(b)
		}
	}
	text := strings.ToLower(out.String())
	require.Contains(t, text, `jwt.key(kid="kid-1", redacted)`)
	part := secret[4:12]
	for _, form := range []string{
		string(part), hex.EncodeToString(part), fmt.Sprintf("% x", part), strings.Trim(fmt.Sprintf("%v", part), "[]"),
		strings.Trim(strings.ReplaceAll(fmt.Sprintf("%v", part), " ", ", "), "[]"), strings.Trim(fmt.Sprintf("%#v", part), "[]byte{}"),
		fmt.Sprintf("%o", part[0:3]), base64.StdEncoding.EncodeToString(secret)[:16], base64.RawURLEncoding.EncodeToString(secret[3:])[:12],
	} {
		require.NotContains(t, text, strings.ToLower(form))
	}
	require.Equal(t, "jwt.Key(none)", fmt.Sprint(jwt.Key{}))
}

func TestPairsAreRedacted(t *testing.T) {
	p := jwt.Pair{Access: "aaa.bbb.ccc", Refresh: "ddd.eee.fff", Session: "s"}
	var out strings.Builder
	fmt.Fprintf(&out, "%v %+v %#v %s %v", p, p, p, p, struct{ P jwt.Pair }{p})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "x", p)
	require.NotContains(t, out.String(), "aaa")
	require.NotContains(t, out.String(), "eee")
	b, err := json.Marshal(p)
	require.NoError(t, err)
	require.Contains(t, string(b), `"access_token":"aaa.bbb.ccc"`, "but as JSON it is for the client")
}

func TestJWKRoundTrip(t *testing.T) {
	for _, id := range []string{"", "2026-11"} {
		k, err := jwt.GenerateKey(id)
		require.NoError(t, err)
		back, err := jwt.ParseJWK(k.JWK())
		require.NoError(t, err)
		require.Equal(t, k.Secret(), back.Secret())
		require.Equal(t, id, back.ID())
		require.True(t, json.Valid(k.JWK()))
		keys, err := jwt.ParseJWKSet([]byte(`{"keys":[` + string(k.JWK()) + `]}`))
		require.NoError(t, err)
		require.Len(t, keys, 1)
		require.Equal(t, k.Secret(), keys[0].Secret())
	}
	require.Nil(t, jwt.Key{}.JWK())
}

func TestParseJWKRefuses(t *testing.T) {
	k := b64(string(secret))
	for text, want := range map[string]string{
		``:                                     "JWK cannot be read",
		`null`:                                 "JWK cannot be read",
		`[]`:                                   "JWK cannot be read",
		`{}`:                                   `kty ""`,
		`{"kty":"oct"}`:                        "0 bytes",
		`{"kty":"OCT","k":"` + k + `"}`:        `kty "OCT"`,
		`{"kty":"RSA","n":"AQAB"}`:             `kty "RSA"`,
		`{"kty":"oct","k":"` + k + `="}`:       "base64url",
		`{"kty":"oct","k":"` + k + ` "}`:       "base64url",
		`{"kty":"oct","k":"` + loose(k) + `"}`: "base64url",
		`{"kty":"oct","k":"AAAA"}`:             "3 bytes",
		`{"kty":"oct","k":"` + k + `","alg":"HS512"}`:                    `alg "HS512"`,
		`{"kty":"oct","k":"` + k + `","alg":"A256GCM"}`:                  `alg "A256GCM"`,
		`{"kty":"oct","k":"` + k + `","use":"enc"}`:                      `use "enc"`,
		`{"kty":"oct","k":"` + k + `","key_ops":["encrypt"]}`:            "key_ops",
		`{"kty":"oct","k":"` + k + `","key_ops":["verify"]}`:             "key_ops",
		`{"kty":"oct","k":"` + k + `","key_ops":[]}`:                     "key_ops",
		`{"kty":"oct","k":"` + k + `","kid":"a\nb"}`:                     "key id",
		`{"kty":"oct","k":"` + k + `","kid":7}`:                          "JWK cannot be read",
		`{"kty":"oct","k":"` + k + `","k":"` + k + `"}`:                  "duplicate",
		`{"kty":"oct","k":"` + k + `"} x`:                                "after the object",
		`{"kty":"oct","k":"` + k + `","x":` + strings.Repeat("[", 50000): "nested",
		strings.Repeat(" ", 1<<20) + " ":                                 "bytes",
	} {
		_, err := jwt.ParseJWK([]byte(text))
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), k)
	}
	_, err := jwt.ParseJWK([]byte(`{"kty":"oct","k":"` + k + `","key_ops":["verify","sign"],"x5u":"ignored"}`))
	require.NoError(t, err)
	for text, want := range map[string]string{
		`{`:           "JWK cannot be read",
		`{}`:          "no keys",
		`{"keys":[]}`: "no keys",
		`{"keys":[{"kty":"oct","k":"` + k + `"},{"kty":"EC"}]}`:                                        "in key 1",
		`{"keys":[{"kty":"oct","k":"` + k + `"},{"kty":"oct","k":"` + k + `","kid":"a"}]}`:             "same secret",
		`{"keys":[{"kty":"oct","k":"` + k + `"},{"kty":"oct","k":"` + b64(string(secret)+"x") + `"}]}`: "two keys have the id",
	} {
		_, err := jwt.ParseJWKSet([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

// Keys shorter and longer than a block of the hash make the HMACs that the
// standard library makes, from a pool and again.
func TestKeysOfEveryLengthSignRight(t *testing.T) {
	for n := 32; n < 150; n += 3 {
		own := bytes.Repeat([]byte{byte(n)}, n)
		set := jwt.MustNewKeySet(jwt.MustNewKey("", own))
		i, v := issuer(set), jwt.MustNewVerifier[user](strict(set))
		for range 3 {
			tok, err := i.Sign(alice())
			require.NoError(t, err)
			dot := strings.LastIndexByte(tok, '.')
			require.Equal(t, mac(tok[:dot], own), tok[dot+1:])
			_, err = v.Verify(t.Context(), tok)
			require.NoError(t, err)
			_, err = v.Verify(t.Context(), tok[:dot+1]+mac(tok[:dot], own[1:]))
			requireCause(t, jwt.ErrSignature, err)
			_, err = v.Verify(t.Context(), tok[:dot+1]+mac(tok[1:dot], own))
			requireCause(t, jwt.ErrSignature, err)
		}
	}
}
