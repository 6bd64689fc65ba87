package jwt_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

type vectors struct {
	Groups []struct {
		Comment string          `json:"comment"`
		Private json.RawMessage `json:"private"`
		Tests   []struct {
			ID      int             `json:"tcId"`
			Comment string          `json:"comment"`
			Token   json.RawMessage `json:"jws"`
			Result  string          `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

func readVectors(t *testing.T, name string, into any) {
	data, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into))
}

// text returns a token that is a string, or the JSON that it is.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// accepted reports whether tok passes as a signed text. The payloads of the
// vectors are no claims, so what passes the signature fails at the payload.
func accepted(t *testing.T, keys []jwt.Key, tok string) bool {
	set, err := jwt.NewKeySet(keys...)
	require.NoError(t, err)
	_, err = jwt.MustNewVerifier[user](lax(set)).Verify(t.Context(), tok)
	require.Error(t, err, "no payload of a vector is an object")
	var e *jwt.Error
	require.ErrorAs(t, err, &e)
	return e.Code == jwt.ErrPayload && e.Err != nil // canonical base64url, but not JSON
}

func TestWycheproofSignatures(t *testing.T) {
	wrong := map[int]bool{367: true, 370: true, 372: true, 373: true} // see testdata/README.md
	var v vectors
	readVectors(t, "wycheproof_hs256_only.json", &v)
	n := 0
	for _, g := range v.Groups {
		key, err := jwt.ParseJWK(g.Private)
		require.NoError(t, err, g.Comment)
		for _, c := range g.Tests {
			n++
			want := (c.Result == "valid") != wrong[c.ID]
			require.Equal(t, want, accepted(t, []jwt.Key{key}, text(c.Token)), "%d %s", c.ID, c.Comment)
		}
	}
	require.Equal(t, 40, n)
}

func TestWycheproofKeys(t *testing.T) {
	var v vectors
	readVectors(t, "wycheproof_json_web_key_test.json", &v)
	n := 0
	for _, g := range v.Groups {
		for _, c := range g.Tests {
			n++
			keys, err := jwt.ParseJWKSet(g.Private)
			got := err == nil && accepted(t, keys, text(c.Token))
			want := c.Result == "valid" && bytes.Contains(g.Private, []byte(`"HS256"`))
			require.Equal(t, want, got, "%d %s: %v", c.ID, c.Comment, err)
			if c.ID == 3 {
				require.NoError(t, err, "the keys are good, the signature is not")
			}
		}
	}
	require.Equal(t, 26, n)
}

type rfcVector struct {
	Source  string `json:"source"`
	Secret  string `json:"jwk_k"`
	KeyText string `json:"key_text"`
	Token   string `json:"token"`
}

func rfcVectors(t *testing.T) []rfcVector {
	var v struct {
		Vectors []rfcVector `json:"vectors"`
	}
	readVectors(t, "rfc_hs256.json", &v)
	require.Len(t, v.Vectors, 4)
	return v.Vectors
}

type rootClaims struct {
	jwt.Registered
	Root bool `json:"http://example.com/is_root"`
}

// The example of RFC 7515, A.1 and RFC 7519, 3.1, whose exp is 1300819380: good
// until the second before, expired at it.
func TestRFC7515A1(t *testing.T) {
	c := rfcVectors(t)[0]
	key, err := jwt.ParseJWK([]byte(`{"kty":"oct","k":"` + c.Secret + `"}`))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		cfg := lax(jwt.MustNewKeySet(key))
		cfg.Issuer, cfg.Type, cfg.NoExpiry = jwt.Is("joe"), jwt.Is("JWT"), false
		v := jwt.MustNewVerifier[rootClaims](cfg)
		time.Sleep(time.Until(time.Unix(1300819380, -1)))
		got, err := v.Verify(t.Context(), c.Token)
		require.NoError(t, err)
		require.Equal(t, rootClaims{jwt.Registered{Issuer: "joe", Expires: 1300819380}, true}, got)
		time.Sleep(time.Nanosecond)
		_, err = v.Verify(t.Context(), c.Token)
		requireCause(t, jwt.ErrExpired, err)
	})
}

func TestRFC7515A5Unsecured(t *testing.T) {
	_, err := jwt.MustNewVerifier[user](lax(keys())).Verify(t.Context(), rfcVectors(t)[1].Token)
	requireCause(t, jwt.ErrMalformed, err)
}

func TestRFC7520Figure35(t *testing.T) {
	c := rfcVectors(t)[2]
	key, err := jwt.ParseJWK([]byte(`{"kty":"oct","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037","k":"` + c.Secret + `"}`))
	require.NoError(t, err)
	require.True(t, accepted(t, []jwt.Key{key}, c.Token))
}

func TestDebuggersDefaultKeyIsTooShort(t *testing.T) {
	_, err := jwt.NewKey("", []byte(rfcVectors(t)[3].KeyText))
	require.ErrorContains(t, err, "19 bytes")
}
