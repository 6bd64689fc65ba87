package jwt_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// fill repeats part, with its number for %d, until about n bytes are full.
func fill(n int, part string) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		if strings.Contains(part, "%d") {
			fmt.Fprintf(&b, part, i)
		} else {
			b.WriteString(part)
		}
	}
	return b.String()
}

// bytesOf is what f allocates, at most, in one of a few runs.
func bytesOf(f func()) uint64 {
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// Without the key, the costliest token costs next to nothing: no memory in
// proportion to it, and one pass of SHA-256 at most.
func TestForgedTokensCostNoMemory(t *testing.T) {
	v := jwt.MustNewVerifier[user](lax(keys()))
	bad := strings.Repeat("A", 43)
	for name, tok := range map[string]string{
		"dots":              strings.Repeat(".", 8192),
		"dots and a sig":    strings.Repeat(".", 8000) + bad,
		"no dots":           strings.Repeat("A", 8192),
		"too long":          strings.Repeat("A", 1<<20),
		"a long payload":    b64(plainHead) + "." + strings.Repeat("A", 8000) + "." + bad,
		"a deep payload":    b64(plainHead) + "." + b64(strings.Repeat("[", 6000)) + "." + bad,
		"an empty payload":  b64(plainHead) + ".." + bad,
		"a header of dots":  "." + strings.Repeat("A", 4096) + "." + bad,
		"many names":        b64(plainHead) + "." + b64("{"+fill(5800, `"%d":0,`)+`"x":0}`) + "." + bad,
		"binary":            strings.Repeat("\x00", 8192),
		"binary with a dot": strings.Repeat("\xff", 8000) + "." + bad,
	} {
		var c user
		raw := []byte(tok)
		require.Error(t, v.VerifyInto(t.Context(), raw, &c), name)
		require.Less(t, bytesOf(func() { _ = v.VerifyInto(t.Context(), raw, &c) }), uint64(2000), name)
	}
}

// A header is read before the signature: the costliest one costs memory in
// proportion to its length, which is bounded.
func TestForgedHeadersCostLittle(t *testing.T) {
	v := jwt.MustNewVerifier[user](lax(keys()))
	for name, head := range map[string]string{
		"many names":     `{"alg":"HS256",` + fill(2900, `"%d":0,`) + `"x":0}`,
		"escapes":        `{"alg":"HS256","x":"` + fill(2900, `\u0041`) + `"}`,
		"escaped names":  `{"alg":"HS256",` + fill(2900, `"\u0041%d":0,`) + `"x":0}`,
		"one long value": `{"alg":"HS256","x":"` + fill(2900, "x") + `"}`,
		"arrays":         `{"alg":"HS256","x":[` + fill(2900, `[[[]]],`) + `0]}`,
		"objects":        `{"alg":"HS256","x":[` + fill(2900, `{"a":{"b":{}}},`) + `0]}`,
		"depth":          `{"alg":"HS256","x":` + strings.Repeat("[", 2900),
	} {
		tok := []byte(b64(head) + "." + b64(good) + "." + strings.Repeat("A", 43))
		var c user
		require.Error(t, v.VerifyInto(t.Context(), tok, &c), name)
		require.Less(t, bytesOf(func() { _ = v.VerifyInto(t.Context(), tok, &c) }), uint64(100_000), name)
	}
}

// The same for payloads whose signature is good.
func TestSignedPayloadsCostInProportion(t *testing.T) {
	structs, maps := jwt.MustNewVerifier[everything](lax(keys())), jwt.MustNewVerifier[map[string]any](lax(keys()))
	for name, payload := range map[string]string{
		"many names":          `{` + fill(5800, `"%d":0,`) + `"x":0}`,
		"many names below":    `{"any":{` + fill(5800, `"%d":0,`) + `"x":0}}`,
		"escapes":             `{"text":"` + fill(5800, `\u0041`) + `"}`,
		"escaped names":       `{` + fill(5800, `"\u0041%d":0,`) + `"x":0}`,
		"texts":               `{"texts":[` + fill(5800, `"",`) + `""]}`,
		"numbers":             `{"ints":[` + fill(5800, `0,`) + `0]}`,
		"long number":         `{"f64":0.` + fill(5800, "1") + `}`,
		"audiences":           `{"aud":[` + fill(5800, `"",`) + `""]}`,
		"nulls":               `{"tree":{"kids":[` + fill(5800, `null,`) + `null]}}`,
		"trees":               `{"tree":{"kids":[` + fill(5800, `{},`) + `{}]}}`,
		"objects for any":     `{"anys":[` + fill(5800, `{},`) + `{}]}`,
		"objects with a name": `{"anys":[` + fill(5800, `{"a":0},`) + `{}]}`,
		"empty arrays":        `{"anys":[` + fill(5800, `[],`) + `[]]}`,
		"skipped objects":     `{"none":[` + fill(5800, `{"a":{}},`) + `{}]}`,
	} {
		tok := forge(plainHead, payload)
		_, err := structs.Verify(t.Context(), tok)
		require.NoError(t, err, name)
		for _, verify := range []func(){
			func() { _, _ = structs.Verify(t.Context(), tok) },
			func() { _, _ = maps.Verify(t.Context(), tok) },
		} {
			require.Less(t, bytesOf(verify), uint64(2_000_000), name)
		}
	}
}

// The tail of a large token does not stay with the Verifier, and a Verifier for
// large tokens is one for small ones too.
func TestLargeTokens(t *testing.T) {
	cfg := lax(keys())
	cfg.MaxBytes = 1 << 20
	v := jwt.MustNewVerifier[user](cfg)
	large := forge(plainHead, with(`"role":"`+strings.Repeat("x", 500_000)+`"`))
	for range 3 {
		c, err := v.Verify(t.Context(), large)
		require.NoError(t, err)
		require.Len(t, c.Role, 500_000)
		c, err = v.Verify(t.Context(), forge(plainHead, good))
		require.NoError(t, err)
		require.Empty(t, c.Role)
		_, err = v.Verify(t.Context(), large[:len(large)-1]+"x")
		require.Error(t, err)
	}
}

// Issuers of other makes write headers and payloads in their own ways; with the
// same secret all of them are understood.
func TestTokensOfOtherMakesAreUnderstood(t *testing.T) {
	set := jwt.MustNewKeySet(jwt.MustNewKey("k1", secret), jwt.MustNewKey("", append([]byte("x"), secret...)))
	v := jwt.MustNewVerifier[user](lax(set))
	for name, head := range map[string]string{
		"sorted names":         `{"alg":"HS256","kid":"k1","typ":"JWT"}`,
		"as they were set":     `{"typ":"JWT","alg":"HS256","kid":"k1"}`,
		"kid first":            `{"kid":"k1","typ":"JWT","alg":"HS256"}`,
		"without a type":       `{"alg":"HS256","kid":"k1"}`,
		"with spaces":          `{"alg": "HS256", "kid": "k1", "typ": "JWT"}`,
		"with line breaks":     "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\",\r\n \"kid\":\"k1\"}",
		"with a content type":  `{"alg":"HS256","cty":"json","kid":"k1","typ":"JWT"}`,
		"with a thumbprint":    `{"alg":"HS256","kid":"k1","typ":"JWT","x5t#S256":"abc"}`,
		"an access token":      `{"typ":"at+jwt","alg":"HS256","kid":"k1"}`,
		"a logout token":       `{"typ":"logout+jwt","alg":"HS256","kid":"k1"}`,
		"with escaped slashes": `{"typ":"application\/jwt","alg":"HS256","kid":"k1"}`,
	} {
		for _, payload := range []string{
			`{"sub":"alice","id":7,"role":"admin","iat":1500000000,"exp":4000000000}`,
			`{"exp":4000000000,"iat":1500000000,"id":7,"role":"admin","sub":"alice"}`,
			`{"exp":4.0e+09,"iat":1.5e+09,"id":7,"role":"admin","sub":"alice"}`,
			`{"exp":4000000000.123456,"iat":1500000000.5,"id":7,"role":"admin","sub":"alice"}`,
			`{ "sub": "alice", "id": 7, "role": "admin", "iat": 1500000000, "exp": 4000000000 }`,
			"{\n  \"sub\": \"alice\",\n  \"id\": 7,\n  \"role\": \"admin\",\n  \"exp\": 4000000000\n}",
			`{"sub":"\u0061lice","id":7,"role":"adm\u0069n","exp":4000000000,"scope":"a b","https:\/\/x\/y":[1,2,{"z":null}]}`,
		} {
			c, err := v.Verify(t.Context(), forge(head, payload))
			require.NoError(t, err, name)
			require.Equal(t, "alice", c.Subject)
			require.Equal(t, int64(7), c.ID)
			require.Equal(t, "admin", c.Role)
			require.Equal(t, jwt.Date(4000000000), c.Expires)
		}
	}
}

// Every sentinel says in its own words what it is, with the package's name.
func TestSentinelsHaveTheirOwnWords(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range append([]error{jwt.ErrConflict, jwt.ErrFull}, sentinels...) {
		require.True(t, strings.HasPrefix(s.Error(), "jwt: "), s)
		require.False(t, seen[s.Error()], s)
		seen[s.Error()] = true
		for _, claim := range []string{"", "exp"} {
			for _, inner := range []error{nil, errCause} {
				err := &jwt.Error{Code: s, Claim: claim, Err: inner}
				require.ErrorIs(t, err, s)
				require.True(t, strings.HasPrefix(err.Error(), s.Error()))
				require.Equal(t, claim != "", strings.Contains(err.Error(), `"exp"`))
				require.Equal(t, inner != nil, strings.HasSuffix(err.Error(), ": cause"))
				require.Equal(t, inner, err.Unwrap())
			}
		}
	}
}
