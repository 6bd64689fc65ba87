package jwt_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

func unb64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	require.NoError(t, err)
	return b
}

type level string

// base is embedded, and unexported.
type base struct {
	Team  string `json:"team"`
	Depth int    `json:"depth"`
}

type tree struct {
	Name string  `json:"name"`
	Kids []*tree `json:"kids,omitempty"`
}

// everything has a field of each kind that claims may have.
type everything struct {
	base
	jwt.Registered
	Text     string            `json:"text"`
	Level    level             `json:"level"`
	Untagged int8              // by its Go name
	Bool     bool              `json:"bool"`
	I8       int8              `json:"i8"`
	I64      int64             `json:"i64"`
	U8       uint8             `json:"u8"`
	U64      uint64            `json:"u64"`
	F32      float32           `json:"f32"`
	F64      float64           `json:"f64"`
	Texts    []string          `json:"texts"`
	Ints     []int             `json:"ints"`
	Levels   []level           `json:"levels"`
	Bytes    []byte            `json:"bytes"`
	Pair     [2]int            `json:"pair"`
	Pointer  *int              `json:"pointer"`
	PP       **string          `json:"pp"`
	Map      map[string]int    `json:"map"`
	LevelMap map[level][]level `json:"level_map"`
	Any      any               `json:"any"`
	Anys     []any             `json:"anys"`
	AnyMap   map[string]any    `json:"any_map"`
	Raw      json.RawMessage   `json:"raw"`
	Number   json.Number       `json:"number"`
	When     time.Time         `json:"when"`
	Addr     netip.Addr        `json:"addr"`
	Tree     *tree             `json:"tree"`
	Trees    map[string]tree   `json:"trees"`
	Nested   struct {
		Depth int `json:"depth"`
	} `json:"nested"`
	Empty  string    `json:"empty,omitempty"`
	Zero   time.Time `json:"zero,omitzero"`
	Ignore string    `json:"-"`
	//lint:ignore SA5008 encoding/json takes this for the name "-"
	Dash   string `json:"-,"` //nolint:staticcheck // as above
	hidden int
}

func filled() everything {
	n, s := 5, "deep"
	p := &s
	e := everything{
		base: base{"core", 1}, Registered: jwt.Registered{Subject: "alice", Session: "s"},
		Text: `a"b\c` + "\n\u2028é😀", Level: "high", Untagged: -3, Bool: true, I8: -128, I64: -1 << 63, U8: 255, U64: 1<<64 - 1,
		F32: 1.5, F64: -2.5e-9, Texts: []string{"a", "", "c"}, Ints: []int{1, -2}, Levels: []level{"x"}, Bytes: []byte{0, 1, 255},
		Pair: [2]int{3, 4}, Pointer: &n, PP: &p, Map: map[string]int{"b": 2, "a": 1}, LevelMap: map[level][]level{"k": {"v"}, "e": {}},
		Any: map[string]any{"x": []any{1.5, "y", nil, true, false, map[string]any{}}}, Anys: []any{nil, "z"}, AnyMap: map[string]any{"q": 1.0},
		Raw: json.RawMessage(`{"a":[1,2]}`), Number: "12.50", When: time.Date(2026, 11, 27, 1, 2, 3, 4, time.UTC),
		Addr: netip.MustParseAddr("2001:db8::1"), Tree: &tree{"root", []*tree{{Name: "leaf"}, nil}}, Trees: map[string]tree{"t": {Name: "x"}},
		Dash: "-", Ignore: "never", hidden: 1,
	}
	e.Nested.Depth = 9
	return e
}

func TestClaimsOfEveryKindGoRound(t *testing.T) {
	k := keys()
	i := jwt.MustNewIssuer[everything](jwt.IssuerConfig{Keys: k})
	v := jwt.MustNewVerifier[everything](lax(k))
	for _, in := range []everything{filled(), {Texts: []string{}, Map: map[string]int{}, Anys: []any{}}, {Number: "0", Raw: json.RawMessage("null")}} {
		if in.Number == "" {
			in.Number = "0"
		}
		if in.Raw == nil {
			in.Raw = json.RawMessage("null")
		}
		tok, err := i.Sign(in)
		require.NoError(t, err)
		out, err := v.Verify(t.Context(), tok)
		require.NoError(t, err)

		// What encoding/json makes of the same payload is the same value.
		var std everything
		require.NoError(t, json.Unmarshal(payloadOf(t, tok), &std))
		require.Equal(t, std, out)
		in.Ignore, in.hidden, in.Registered = "", 0, out.Registered
		require.Equal(t, in, out)
		require.Equal(t, 1*btoi(in.Team != ""), out.Depth, "a field hides those of its name further down, not in another struct")
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func payloadOf(t testing.TB, tok string) []byte {
	t.Helper()
	u, err := jwt.PeekUnverified(tok)
	require.NoError(t, err)
	return u.Payload
}

// Values of the wrong kind are an error for every kind, as with encoding/json.
func TestClaimsOfTheWrongKind(t *testing.T) {
	v := jwt.MustNewVerifier[everything](lax(keys()))
	values := []string{
		`null`, `true`, `"text"`, `""`, `"12"`, `0`, `-1`, `1.5`, `1e2`, `256`, `18446744073709551616`, `1e39`, `1e400`, `[]`, `["a"]`, `[1]`, `[1,2]`,
		`[1,2,3]`, `[null,null]`, `{}`, `{"a":1}`, `{"a":"b"}`, `{"a":[]}`, `{"a":null}`, `{"depth":"x"}`, `{"name":1}`, `{"kids":[{"kids":[3]}]}`,
		`{"name":"x","unknown":[{}]}`, `"2026-11-27T01:02:03Z"`, `"10.0.0.1"`, `"AAEC"`, `"!"`,
	}
	names := []string{
		"text", "level", "Untagged", "bool", "i8", "i64", "u8", "u64", "f32", "f64", "texts", "ints", "levels", "bytes", "pair", "pointer", "pp",
		"map", "level_map", "any", "anys", "any_map", "raw", "number", "when", "addr", "tree", "trees", "nested", "-", "team", "depth",
	}
	agreed, refused := 0, 0
	for _, name := range names {
		for _, value := range values {
			payload := fmt.Sprintf(`{%q:%s}`, name, value)
			got, err := v.Verify(t.Context(), forge(plainHead, payload))
			var std everything
			stdErr := json.Unmarshal([]byte(payload), &std)
			if err != nil {
				requireCause(t, jwt.ErrPayload, err, payload)
				require.Zero(t, got)
				refused++
				if name != "pair" { // where we are stricter: the length of an array
					require.Error(t, stdErr, payload)
				}
				continue
			}
			require.NoError(t, stdErr, payload)
			require.Equal(t, std, got, payload)
			agreed++
		}
	}
	require.Greater(t, agreed, 200)
	require.Greater(t, refused, 400)
}

// A struct within claims is as strict about names as the claims themselves.
func TestNamesWithinClaimsAreExact(t *testing.T) {
	v := jwt.MustNewVerifier[everything](lax(keys()))
	c, err := v.Verify(t.Context(), forge(plainHead, `{"nested":{"DEPTH":5},"trees":{"x":{"Name":"a"}}}`))
	require.NoError(t, err)
	require.Zero(t, c.Nested.Depth)
	require.Empty(t, c.Trees["x"].Name)
	for _, payload := range []string{
		`{"nested":{"depth":1,"depth":2}}`, `{"map":{"a":1,"a":2}}`, `{"trees":{"x":{"name":"a","n\u0061me":"b"}}}`,
		`{"any":{"a":1,"a":2}}`, `{"any":[{"b":{"a":1,"a":2}}]}`, `{"raw":{"a":1,"a":2}}`, `{"raw":"\ud800"}`, `{"addr":"\udfff"}`, `{"bytes":["a",{"a":1,"a":1}]}`,
	} {
		_, err := v.Verify(t.Context(), forge(plainHead, payload))
		requireCause(t, jwt.ErrPayload, err, payload)
	}
}

type marshalOnly struct {
	A int `json:"a"`
}

func (m marshalOnly) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `{"a":%d}`, m.A), nil }

// A type that writes itself and does not read itself is read as the struct that
// it is, with exact names.
func TestTypesThatOnlyMarshal(t *testing.T) {
	type claims struct {
		M marshalOnly `json:"m"`
	}
	tok, err := jwt.MustNewIssuer[claims](jwt.IssuerConfig{Keys: keys()}).Sign(claims{marshalOnly{5}})
	require.NoError(t, err)
	v := jwt.MustNewVerifier[claims](lax(keys()))
	c, err := v.Verify(t.Context(), tok)
	require.NoError(t, err)
	require.Equal(t, 5, c.M.A)
	c, err = v.Verify(t.Context(), forge(plainHead, `{"m":{"A":6}}`))
	require.NoError(t, err)
	require.Zero(t, c.M.A)
}

type failing struct{}

func (failing) MarshalJSON() ([]byte, error)  { return nil, errCause }
func (*failing) UnmarshalJSON(b []byte) error { return errCause }

func TestErrorsOfATypesOwnMethods(t *testing.T) {
	type claims struct {
		F failing `json:"f"`
	}
	_, err := jwt.MustNewIssuer[claims](jwt.IssuerConfig{Keys: keys()}).Sign(claims{})
	require.ErrorIs(t, err, errCause)
	_, err = jwt.MustNewVerifier[claims](lax(keys())).Verify(t.Context(), forge(plainHead, `{"f":1}`))
	requireCause(t, jwt.ErrPayload, err)
	require.ErrorIs(t, err, errCause)
}

type outer struct {
	inner
	Name string `json:"name"`
}

type inner struct {
	Name string `json:"name"`
	Rest string `json:"rest"`
}

func TestFieldsHideThoseOfEmbeddedStructs(t *testing.T) {
	c, err := jwt.MustNewVerifier[outer](lax(keys())).Verify(t.Context(), forge(plainHead, `{"name":"a","rest":"b"}`))
	require.NoError(t, err)
	require.Equal(t, outer{inner{Rest: "b"}, "a"}, c)
}

// Registered claims may be fields of one's own, under their names.
func TestRegisteredClaimsByTag(t *testing.T) {
	type claims struct {
		Who  level    `json:"sub"`
		For  []string `json:"aud"`
		Till int64    `json:"exp"`
	}
	tok, err := jwt.MustNewIssuer[claims](jwt.IssuerConfig{Keys: keys()}).Sign(claims{Who: "alice", For: []string{"a", "b"}})
	require.NoError(t, err)
	c, err := jwt.MustNewVerifier[claims](lax(keys())).Verify(t.Context(), tok)
	require.NoError(t, err)
	require.Equal(t, level("alice"), c.Who)
	require.Equal(t, []string{"a", "b"}, c.For)
	require.InDelta(t, unix(15*time.Minute), c.Till, 2)

	type one struct {
		For string `json:"aud"`
	}
	tok, err = jwt.MustNewIssuer[one](jwt.IssuerConfig{Keys: keys()}).Sign(one{"a"})
	require.NoError(t, err)
	d, err := jwt.MustNewVerifier[one](lax(keys())).Verify(t.Context(), tok)
	require.NoError(t, err)
	require.Equal(t, "a", d.For)
	d, err = jwt.MustNewVerifier[one](lax(keys())).Verify(t.Context(), forge(plainHead, `{"aud":["x","y"]}`))
	require.NoError(t, err)
	require.Equal(t, "x", d.For, "the first; the Verifier has checked them all")
	d, err = jwt.MustNewVerifier[one](lax(keys())).Verify(t.Context(), forge(plainHead, `{"aud":[]}`))
	require.NoError(t, err)
	require.Empty(t, d.For)
}

type (
	left  struct{ Same int }
	right struct{ Same int }
)

func refusedType[T any](t *testing.T, want string) {
	t.Helper()
	_, err := jwt.NewVerifier[T](lax(keys()))
	require.ErrorContains(t, err, want)
	_, err = jwt.NewIssuer[T](jwt.IssuerConfig{Keys: keys()})
	require.ErrorContains(t, err, want)
}

type recursive struct {
	Next *recursive `json:"next"`
	Bad  chan int   `json:"bad"`
}

func TestTypesThatNoClaimFits(t *testing.T) {
	refusedType[string](t, "claims are string")
	refusedType[int](t, "claims are int")
	refusedType[any](t, "claims are interface")
	refusedType[*user](t, "claims are *")
	refusedType[map[string]string](t, "claims are map")
	refusedType[time.Time](t, "without JSON methods")
	refusedType[struct{ time.Time }](t, "without JSON methods")
	refusedType[struct{ C chan int }](t, "chan int has no JSON, in field C")
	refusedType[struct{ F func() }](t, "has no JSON")
	refusedType[struct{ F []func() }](t, "has no JSON")
	refusedType[struct{ F fmt.Stringer }](t, "has no JSON")
	refusedType[struct{ C complex128 }](t, "has no JSON")
	refusedType[struct{ M map[int]string }](t, "keys that are not strings")
	refusedType[struct{ M map[netip.Addr]string }](t, "keys that are not strings")
	refusedType[struct{ *user }](t, "struct")
	refusedType[recursive](t, "has no JSON")
	refusedType[struct {
		N int `json:"n,string"`
	}](t, `option "string"`)
	refusedType[struct {
		left
		right
	}](t, `two fields for "Same"`)
	refusedType[struct {
		E string `json:"exp"`
	}](t, `claim "exp" is a string, want a jwt.Date`)
	refusedType[struct {
		E time.Time `json:"exp"`
	}](t, `claim "exp"`)
	refusedType[struct {
		S int `json:"sub"`
	}](t, `claim "sub" is a int, want a string`)
	refusedType[struct {
		A []int `json:"aud"`
	}](t, `want a jwt.Audience`)
}

// node is claims that hold claims of their own kind.
type node struct {
	jwt.Registered
	Role string `json:"role"`
	Kids []node `json:"kids,omitempty"`
	Up   *node  `json:"up,omitempty"`
}

// Within claims the registered names are as any others: what is there is no
// registered claim, checked or not.
func TestClaimsWithinClaims(t *testing.T) {
	in := node{Registered: jwt.Registered{Subject: "alice"}, Role: "a", Kids: []node{{Role: "b"}}, Up: &node{Registered: jwt.Registered{Issuer: "x", Audience: jwt.Audience{"y"}, Expires: 1}}}
	tok, err := jwt.MustNewIssuer[node](jwt.IssuerConfig{Keys: keys()}).Sign(in)
	require.NoError(t, err)
	v := jwt.MustNewVerifier[node](lax(keys()))
	out, err := v.Verify(t.Context(), tok)
	require.NoError(t, err)
	in.Registered = out.Registered
	require.Equal(t, in, out)
	out, err = v.Verify(t.Context(), forge(plainHead, `{"kids":[{"iss":"x","exp":1,"aud":["a"],"nbf":null}],"up":{"auth_time":5,"sub":"z"}}`))
	require.NoError(t, err)
	require.Equal(t, node{
		Kids: []node{{Registered: jwt.Registered{Issuer: "x", Expires: 1, Audience: jwt.Audience{"a"}}}},
		Up:   &node{Registered: jwt.Registered{AuthTime: 5, Subject: "z"}},
	}, out)
	_, err = v.Verify(t.Context(), forge(plainHead, `{"kids":[{"iss":1}]}`))
	requireCause(t, jwt.ErrPayload, err)
}

func TestManyFieldsAreFoundInAnyOrder(t *testing.T) {
	type wide struct {
		A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T, U, V, W, X, Y, Z           int
		A1, B1, C1, D1, E1, F1, G1, H1, I1, J1, K1, L1, M1, N1, O1, P1, Q1, R1, S1, T1, U1, V1 int
		A2, B2, C2, D2, E2, F2, G2, H2, I2, J2, K2, L2, M2, N2, O2, P2, Q2, R2, S2, T2, U2, V2 int
	}
	v := jwt.MustNewVerifier[wide](lax(keys()))
	c, err := v.Verify(t.Context(), forge(plainHead, `{"V2":1,"A":2,"U2":3,"B":4,"Z":5,"a":9,"none":1}`))
	require.NoError(t, err)
	require.Equal(t, wide{V2: 1, A: 2, U2: 3, B: 4, Z: 5}, c)
	for _, twice := range []string{`{"A":1,"A":1}`, `{"V2":1,"V2":1}`, `{"U2":1,"A":1,"none":1,"U2":1}`, `{"none":1,"none":1}`} {
		_, err = v.Verify(t.Context(), forge(plainHead, twice))
		requireCause(t, jwt.ErrPayload, err, twice)
	}
}

func TestMapsOfClaims(t *testing.T) {
	v := jwt.MustNewVerifier[map[string]any](lax(keys()))
	m, err := v.Verify(t.Context(), forge(plainHead, `{"sub":"alice","aud":"a","exp":4000000000,"x":{"y":[1,null]},"big":12345678901234567890}`))
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"sub": "alice", "aud": "a", "exp": 4e9, "x": map[string]any{"y": []any{1.0, nil}}, "big": 12345678901234567890.0,
	}, m)
	_, err = v.Verify(t.Context(), forge(plainHead, `{"big":1e400}`))
	requireCause(t, jwt.ErrPayload, err)
}
