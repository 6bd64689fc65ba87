package jwt_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// verdict is a Verifier by its words: the checks one after the other, each on
// the whole token, with the standard library and no thought of speed. It returns
// the sentinel that must be matched, or nil.
func verdict(tok string, secrets map[string][]byte, policy policy, now time.Time) error {
	if len(tok) > 8192 {
		return jwt.ErrTooLarge
	}
	parts := strings.Split(tok, ".")
	if len(parts) != 3 || len(parts[2]) != 43 || parts[0] == "" || len(parts[0]) > 4096 {
		return jwt.ErrMalformed
	}
	head, err := strictObject(parts[0])
	if err != nil {
		return jwt.ErrHeader
	}
	typ, hasTyp := head["typ"]
	kid, hasKid := head["kid"]
	_, typText := typ.(string)
	kidText, _ := kid.(string)
	if hasTyp && !typText || hasKid && (kidText == "" || len(kidText) > 128 || strings.ContainsFunc(kidText, func(r rune) bool {
		return r < ' ' || r > '~' || r == '"' || r == '\\'
	})) {
		return jwt.ErrHeader
	}
	for _, demand := range []string{"crit", "b64"} {
		if _, ok := head[demand]; ok {
			return jwt.ErrCritical
		}
	}
	if head["alg"] != "HS256" {
		return jwt.ErrAlgorithm
	}
	key, ok := secrets[kidText]
	if !ok {
		key, ok = secrets[""]
	}
	if !ok {
		return jwt.ErrKey
	}
	if mac(parts[0]+"."+parts[1], key) != parts[2] {
		return jwt.ErrSignature
	}
	claims, err := strictObject(parts[1])
	if err != nil {
		return jwt.ErrPayload
	}
	for _, name := range []string{"iss", "sub", "jti", "sid"} {
		if x, ok := claims[name]; ok {
			if _, ok := x.(string); !ok {
				return jwt.ErrClaim
			}
		}
	}
	dates := make(map[string]*big.Rat)
	for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
		x, ok := claims[name]
		if !ok {
			continue
		}
		n, ok := x.(json.Number)
		if !ok {
			return jwt.ErrClaim
		}
		if _, err := n.Float64(); err != nil {
			return jwt.ErrClaim // 1e400
		}
		if dates[name], ok = new(big.Rat).SetString(string(n)); !ok {
			return jwt.ErrClaim
		}
		if end := big.NewRat(1<<53, 1); dates[name].Cmp(end) > 0 {
			dates[name] = end
		} else if end.Neg(end); dates[name].Cmp(end) < 0 {
			dates[name] = end
		}
	}
	var auds []string
	switch aud := claims["aud"].(type) {
	case string:
		auds = []string{aud}
	case []any:
		for _, x := range aud {
			s, ok := x.(string)
			if !ok {
				return jwt.ErrClaim
			}
			auds = append(auds, s)
		}
	case nil:
		if _, ok := claims["aud"]; ok {
			return jwt.ErrClaim
		}
	default:
		return jwt.ErrClaim
	}
	return policy.judge(typ, claims, auds, dates, now)
}

// policy is what a Verifier expects; empty is waived.
type policy struct {
	typ, iss, aud string
	leeway        int64
}

func (p policy) judge(typ any, claims map[string]any, auds []string, dates map[string]*big.Rat, now time.Time) error {
	text, _ := typ.(string)
	if p.typ != "" && strings.TrimPrefix(strings.ToLower(text), "application/") != p.typ {
		return jwt.ErrType
	}
	at := big.NewRat(now.UnixNano(), 1e9)
	plus := func(r *big.Rat, n int64) *big.Rat { return new(big.Rat).Add(r, big.NewRat(n, 1)) }
	exp := dates["exp"]
	if exp == nil {
		return jwt.ErrClaim
	}
	if at.Cmp(plus(exp, p.leeway)) >= 0 {
		return jwt.ErrExpired
	}
	if nbf := dates["nbf"]; nbf != nil && nbf.Cmp(exp) >= 0 {
		return jwt.ErrClaim
	}
	for _, name := range []string{"nbf", "iat"} {
		if d := dates[name]; d != nil && d.Cmp(plus(at, p.leeway)) > 0 {
			return jwt.ErrNotYetValid
		}
	}
	switch {
	case p.iss != "" && claims["iss"] != p.iss:
		return jwt.ErrIssuer
	case p.aud != "" && !slices.Contains(auds, p.aud):
		return jwt.ErrAudience
	}
	return nil
}

var errNotStrict = errors.New("not strict")

// strictObject reads one object from base64url by json.Decoder's tokens, and
// refuses what that tolerates.
func strictObject(part string) (map[string]any, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil || strings.ContainsAny(part, "\r\n") || !utf8.Valid(raw) || !json.Valid(raw) || loneSurrogate(raw) {
		return nil, errNotStrict
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	x, err := strictValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err = d.Token(); err != io.EOF {
		return nil, errNotStrict
	}
	if m, ok := x.(map[string]any); ok {
		return m, nil
	}
	return nil, errNotStrict
}

func strictValue(d *json.Decoder, depth int) (any, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return tok, nil
	}
	if depth == 32 {
		return nil, errNotStrict
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			x, err := strictValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, x)
		}
		_, err = d.Token()
		return list, err
	}
	m := make(map[string]any)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		if _, ok := m[name.(string)]; ok {
			return nil, errNotStrict
		}
		if m[name.(string)], err = strictValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err = d.Token()
	return m, err
}

// loneSurrogate reports whether JSON has an escape of half a character.
func loneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if i++; i+4 >= len(raw) || raw[i] != 'u' {
			continue
		}
		var unit, low rune
		if _, err := fmt.Sscanf(string(raw[i+1:i+5]), "%04x", &unit); err != nil || unit < 0xd800 || unit > 0xdfff {
			continue
		}
		if unit > 0xdbff || i+10 >= len(raw) || raw[i+5] != '\\' || raw[i+6] != 'u' {
			return true
		}
		if _, err := fmt.Sscanf(string(raw[i+7:i+11]), "%04x", &low); err != nil || low < 0xdc00 || low > 0xdfff {
			return true
		}
		i += 10
	}
	return false
}

// generator makes tokens that are almost right: each part is drawn from values
// of which many are good, and then something may be broken.
type generator struct {
	*rand.Rand
	now int64
}

// pick takes the first of list mostly, which is a good one.
func (g generator) pick(list ...string) string {
	if g.IntN(4) > 0 {
		return list[0]
	}
	return list[g.IntN(len(list))]
}

func (g generator) date() string {
	n := g.now + int64(g.IntN(400)) - 200
	return g.pick(
		"4000000000", fmt.Sprint(n), fmt.Sprint(n), fmt.Sprint(n), fmt.Sprint(n), fmt.Sprint(n), fmt.Sprint(n)+".5", fmt.Sprint(n)+".0", fmt.Sprintf("%de0", n), fmt.Sprintf("%d00E-2", n),
		"4000000000", "4000000000", "4000000000", "0", "-0", "-1", "1e300", "-1e300", "1e400", `"5"`, "null", "true", "[]", "99999999999999999999",
	)
}

func (g generator) members(list ...string) string {
	g.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	var out []string
	for _, m := range list {
		if m != "" {
			out = append(out, m)
		}
	}
	sep := g.pick(",", ",", ",", " ,\n", "\t,")
	return "{" + strings.Join(out, sep) + "}"
}

func (g generator) header() string {
	return g.members(
		g.pick(`"alg":"HS256"`, `"alg":"HS256"`, `"alg":"HS256"`, `"alg":"HS256"`, `"alg":"HS256"`, `"alg" : "HS256"`, `"\u0061lg":"HS256"`, `"alg":"none"`, `"alg":"HS512"`, `"alg":["HS256"]`, `"alg":null`, ``),
		g.pick(`"typ":"JWT"`, `"typ":"JWT"`, `"typ":"JWT"`, `"typ":"jwt"`, `"typ":"application/JWT"`, `"typ":"at+jwt"`, `"typ":1`, ``),
		g.pick(``, ``, `"kid":"a"`, `"kid":"a"`, `"kid":"b"`, `"kid":"zzz"`, `"kid":""`, `"kid":"a\n"`, `"kid":7`),
		g.pick(``, ``, ``, ``, ``, ``, ``, `"crit":["x"]`, `"b64":false`, `"jwk":{"kty":"oct","k":"AAAA"}`, `"alg":"HS256"`, `"x":{"a":1,"a":2}`),
	)
}

func (g generator) payload() string {
	return g.members(
		g.pick(`"exp":`+g.date(), `"exp":`+g.date(), `"exp":`+g.date(), `"exp":4000000000`, `"exp":4000000000`, `"Exp":4000000000`, ``),
		g.pick(``, `"nbf":`+fmt.Sprint(g.now+int64(g.IntN(400))-200), `"nbf":`+g.date()),
		g.pick(``, `"iat":`+fmt.Sprint(g.now+int64(g.IntN(400))-200), `"iat":`+g.date()),
		g.pick(``, ``, ``, ``, ``, `"auth_time":`+g.date()),
		g.pick(`"iss":"I"`, `"iss":"I"`, `"iss":"I"`, `"iss":"I"`, `"iss":"\u0049"`, `"iss":"J"`, `"iss":null`, ``),
		g.pick(`"aud":"A"`, `"aud":"A"`, `"aud":["B","A"]`, `"aud":["A"]`, `"aud":"B"`, `"aud":[]`, `"aud":["A",1]`, `"aud":null`, `"aud":{}`, ``),
		g.pick(`"sub":"s"`, `"sub":"s"`, `"sub":"s"`, `"sub":""`, `"sub":1`, ``),
		g.pick(``, ``, ``, ``, `"jti":"1"`, `"sid":2`, `"jti":[]`),
		g.pick(``, ``, ``, ``, `"x":[1,{"y":null}]`, `"x":{"a":1,"a":1}`, `"x":"\ud83d\ude00"`, `"x":"\ud83d"`, `"x":01`, `"sub":"s"`, `"SUB":"t"`, `"x":`+strings.Repeat("[", 31)+strings.Repeat("]", 31), `"x":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)),
	)
}

// token signs with one of the keys and may break the result.
func (g generator) token(secrets map[string][]byte) string {
	head, payload := g.header(), g.payload()
	switch g.IntN(30) {
	case 0:
		payload += g.pick("", " ", "\n", "x", "\x00", "{}", "\ufeff")
	case 1:
		payload = g.pick("null", "[]", `""`, "", "1", "\ufeff"+payload, " "+payload, payload[1:])
	case 2:
		head = g.pick("null", "[]", "", head+" ", head+"x", "\xff")
	}
	h, p := b64(head), b64(payload)
	switch g.IntN(30) {
	case 0:
		p += g.pick("=", "A", "\n", " ", ".", "+")
	case 1:
		h += g.pick("=", "A", "\n", " ", ".", "+")
	case 2:
		p = loose(p + "A")[:len(p)]
	}
	kid := g.pick("", "", "a", "b")
	if json.Valid([]byte(head)) {
		var h struct {
			KID any `json:"kid"`
		}
		_ = json.Unmarshal([]byte(head), &h)
		if s, ok := h.KID.(string); ok && secrets[s] != nil && g.IntN(10) > 0 {
			kid = s
		}
	}
	tok := h + "." + p + "." + mac(h+"."+p, secrets[kid])
	switch g.IntN(40) {
	case 0:
		i := g.IntN(len(tok))
		tok = tok[:i] + g.pick("A", "=", "\n", ".", "-") + tok[i+1:]
	case 1:
		tok = tok[:g.IntN(len(tok))]
	case 2:
		tok += g.pick("=", " ", ".", ".x", "\n")
	case 3:
		tok = g.pick(" ", ".", "Bearer ") + tok
	}
	return tok
}

// Verifiers say of tens of thousands of almost good tokens what the reference
// says, with the same cause, with a cache and without, into a struct and a map.
func TestVerifierFollowsTheReference(t *testing.T) {
	secrets := map[string][]byte{"": secret, "a": []byte("another secret of 32 bytes, for a"), "b": []byte("a third secret, of 32 bytes for b")}
	named := map[string][]byte{"a": secrets["a"], "b": secrets["b"]}
	set := jwt.MustNewKeySet(jwt.MustNewKey("a", secrets["a"]), jwt.MustNewKey("b", secrets["b"]), jwt.MustNewKey("", secrets[""]))
	namedSet := jwt.MustNewKeySet(jwt.MustNewKey("a", secrets["a"]), jwt.MustNewKey("b", secrets["b"]))
	type rule struct {
		policy  policy
		secrets map[string][]byte
		structs *jwt.Verifier[user]
		maps    *jwt.Verifier[map[string]any]
	}
	var rules []rule
	for _, p := range []policy{{}, {typ: "jwt", iss: "I", aud: "A"}, {leeway: 60}, {typ: "at+jwt"}, {iss: "I"}, {aud: "A", leeway: 100}} {
		for i, k := range []*jwt.KeySet{set, namedSet} {
			cfg := lax(k)
			cfg.NoExpiry, cfg.Leeway = false, time.Duration(p.leeway)*time.Second
			for want, e := range map[string]*jwt.Expectation{p.typ: &cfg.Type, p.iss + "": &cfg.Issuer, "" + p.aud: &cfg.Audience} {
				if want != "" {
					*e = jwt.Is(want)
				}
			}
			maps := jwt.MustNewVerifier[map[string]any](cfg)
			cfg.Cache = 32
			rules = append(rules, rule{p, []map[string][]byte{secrets, named}[i], jwt.MustNewVerifier[user](cfg), maps})
		}
	}
	g := generator{rand.New(rand.NewPCG(13, 14)), time.Now().Unix()}
	counts := make(map[error]int)
	for range 20_000 {
		tok := g.token(secrets)
		r := rules[g.IntN(len(rules))]
		before := verdict(tok, r.secrets, r.policy, time.Now())
		_, first := r.structs.Verify(context.Background(), tok)
		_, second := r.structs.Verify(context.Background(), tok)
		_, third := r.maps.Verify(context.Background(), tok)
		want := verdict(tok, r.secrets, r.policy, time.Now())
		if before != want {
			continue // a second has passed in between
		}
		counts[want]++
		for _, err := range []error{first, second, third} {
			if want == nil {
				require.NoError(t, err, tok)
				continue
			}
			if !errors.Is(err, want) {
				u, _ := jwt.PeekUnverified(tok)
				require.FailNow(t, "another verdict", "%v, want %v, of %s\n%s", err, want, tok, u.Payload)
			}
			requireCause(t, want, err)
		}
	}
	for _, s := range append([]error{nil}, sentinels[1:14]...) {
		require.Greater(t, counts[s], 20, "too few tokens with the verdict %v: %v", s, counts)
	}
}
