package jwt_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

func FuzzModel(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0, 1, 0, 5, 6, 0, 11, 1, 0, 5})
	f.Add([]byte{0, 1, 1, 1, 1, 1, 6, 1, 9, 1, 1, 10, 5, 1, 4})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 3000 {
			return
		}
		runModel(t, ops)
	})
}

// FuzzPayload compares our decoder with encoding/json: what we accept it accepts,
// with the same values, for a struct and for a map; and what is no JSON to it is
// none to us.
func FuzzPayload(f *testing.F) {
	for _, h := range hostile {
		if p := strings.Split(h.tok, "."); len(p) == 3 && len(h.tok) < 2000 {
			if payload, err := jwt.PeekUnverified(h.tok); err == nil {
				f.Add(payload.Payload)
			}
		}
	}
	for _, h := range harmless {
		f.Add(payloadOf(f, h.tok))
	}
	f.Add([]byte(`{"texts":["a"],"any":{"x":[1e5,-0]},"raw":[1 , 2],"f32":1e38,"tree":{"kids":[{"name":"x"},null]},"pair":[1,2]}`))
	cfg := lax(keys())
	cfg.Leeway = 1 << 62
	ofStruct, ofMap := jwt.MustNewVerifier[everything](cfg), jwt.MustNewVerifier[map[string]any](cfg)
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > 5000 {
			return
		}
		tok := forge(plainHead, string(payload))
		got, err := ofStruct.Verify(t.Context(), tok)
		free, freeErr := ofMap.Verify(t.Context(), tok)
		if !json.Valid(payload) {
			require.Error(t, err)
			require.Error(t, freeErr)
			return
		}
		if freeErr == nil {
			var std map[string]any
			require.NoError(t, json.Unmarshal(payload, &std))
			require.Equal(t, std, free)
		}
		if err != nil || freeErr != nil || foldedNames(free) {
			return // encoding/json takes names that differ in case for the same
		}
		for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
			if _, ok := free[name]; ok {
				return // dates may be fractions here
			}
		}
		var std everything
		require.NoError(t, json.Unmarshal(payload, &std))
		if !reflect.DeepEqual(std, got) {
			require.Equal(t, std, got)
		}
	})
}

var exactNames = func() []string {
	var names []string
	t := reflect.TypeFor[everything]()
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name, f.Name)
	}
	return append(names, "depth", "name", "kids")
}()

// foldedNames reports whether a name anywhere in x is one that encoding/json
// would match although we do not.
func foldedNames(x any) bool {
	switch x := x.(type) {
	case map[string]any:
		for name, value := range x {
			if foldedNames(value) {
				return true
			}
			if slices.ContainsFunc(exactNames, func(n string) bool { return n != name && strings.EqualFold(n, name) }) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(x, foldedNames)
	}
	return false
}

// FuzzToken takes any bytes for a token: no panic, no acceptance without the
// key, the same verdict from a string, from bytes and from the cache, and nothing
// is written beside the token.
func FuzzToken(f *testing.F) {
	for _, h := range hostile {
		if len(h.tok) < 2000 {
			f.Add([]byte(h.tok))
		}
	}
	for _, h := range harmless {
		f.Add([]byte(h.tok))
	}
	cfg := lax(keys())
	plain := jwt.MustNewVerifier[user](cfg)
	cfg.Cache = 4
	cached := jwt.MustNewVerifier[user](cfg)
	strangers := jwt.MustNewVerifier[user](lax(jwt.MustNewKeySet(newKey(f, ""))))
	f.Fuzz(func(t *testing.T, tok []byte) {
		guarded := append(bytes.Clone(tok), "after"...)
		part := guarded[:len(tok)]
		want, err := plain.Verify(t.Context(), string(tok))
		var got user
		for _, other := range []error{
			plain.VerifyInto(t.Context(), part, &got), cached.VerifyInto(t.Context(), part, &got), cached.VerifyInto(t.Context(), part, &got),
		} {
			require.Equal(t, err == nil, other == nil)
			require.Equal(t, want, got)
		}
		require.Equal(t, string(tok)+"after", string(guarded))
		if err == nil {
			i := bytes.LastIndexByte(tok, '.')
			require.Equal(t, mac(string(tok[:i]), secret), string(tok[i+1:]))
		} else {
			require.Zero(t, want)
		}
		_, err = strangers.Verify(t.Context(), string(tok))
		require.Error(t, err)
		_, _ = jwt.PeekUnverified(string(tok))
	})
}

// FuzzSign signs any text and verifies it to the same.
func FuzzSign(f *testing.F) {
	f.Add("alice", "admin", "x", int64(5))
	f.Add(`"`, "\\\n\x00", "é\u2028😀", int64(-1))
	f.Add("\xff", "", "", int64(0))
	k := keys()
	i, v := issuer(k), jwt.MustNewVerifier[user](strict(k))
	free, freeV := jwt.MustNewIssuer[map[string]any](jwt.IssuerConfig{Keys: k}), jwt.MustNewVerifier[map[string]any](lax(k))
	f.Fuzz(func(t *testing.T, sub, role, name string, id int64) {
		if len(sub)+len(role)+len(name) > 500 {
			return
		}
		in := user{Registered: jwt.Registered{Subject: sub}, ID: id, Role: role}
		if tok, err := i.Sign(in); err == nil {
			out, err := v.Verify(t.Context(), tok)
			if sub == "" {
				require.ErrorIs(t, err, jwt.ErrSubject)
				return
			}
			require.NoError(t, err)
			require.Equal(t, in.Subject, out.Subject)
			require.Equal(t, in.Role, out.Role)
			require.Equal(t, in.ID, out.ID)
		}
		tok, err := free.Sign(map[string]any{name + "x": role})
		if err != nil {
			return
		}
		m, err := freeV.Verify(t.Context(), tok)
		require.NoError(t, err)
		require.Equal(t, strings.ToValidUTF8(role, "\ufffd"), strings.ToValidUTF8(m[name+"x"].(string), "\ufffd"))
	})
}
