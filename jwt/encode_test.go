package jwt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// Tokens that are signed at once have their own claims and nothing of each other,
// although the room to write them in is shared.
func TestSignAtOnce(t *testing.T) {
	k := keys()
	i, v := jwt.MustNewIssuer[everything](jwt.IssuerConfig{Keys: k, TTL: time.Hour}), jwt.MustNewVerifier[everything](lax(k))
	var wg sync.WaitGroup
	failures := make(chan error, 8)
	for n := range 8 {
		wg.Go(func() {
			for round := range 200 {
				mark := strings.Repeat(string(rune('a'+n)), round%70)
				in := everything{Text: mark, Texts: []string{mark, mark}, Any: map[string]any{mark + "x": mark}, LevelMap: map[level][]level{level(mark): {level(mark)}}, Number: "1", Raw: json.RawMessage("1")}
				in.ID = mark
				tok, err := i.Sign(in)
				if err == nil {
					var out everything
					out, err = v.Verify(t.Context(), tok)
					in.Registered = out.Registered
					if err == nil && (out.ID != mark || !reflect.DeepEqual(in, out)) {
						err = fmt.Errorf("signed %+v, got %+v", in, out)
					}
				}
				if err != nil {
					failures <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(failures)
	require.NoError(t, <-failures)
}

// explosive panics when it is written.
type explosive struct{ Fuse bool }

func (e explosive) MarshalJSON() ([]byte, error) {
	if e.Fuse {
		panic("as it was asked to")
	}
	return []byte("1"), nil
}

// A panic of a claim's own method passes through, and the Issuer is as good as
// before.
func TestPanicsOfClaimsPassThrough(t *testing.T) {
	type claims struct {
		Deep []map[string]explosive `json:"deep"`
	}
	i := jwt.MustNewIssuer[claims](jwt.IssuerConfig{Keys: keys()})
	with := func(fuse bool) claims { return claims{[]map[string]explosive{{"b": {fuse}, "a": {}}}} }
	for range 3 {
		require.PanicsWithValue(t, "as it was asked to", func() { _, _ = i.Sign(with(true)) })
		tok, err := i.Sign(with(false))
		require.NoError(t, err)
		require.Contains(t, string(payloadOf(t, tok)), `"deep":[{"a":1,"b":1}]`)
	}
}

// keeper keeps a pointer to itself when it is written or read, as code that logs
// later would.
type keeper struct {
	Name string
}

var kept []*keeper

func (k *keeper) MarshalJSON() ([]byte, error) {
	kept = append(kept, k)
	return json.Marshal(k.Name)
}

func (k *keeper) UnmarshalJSON(b []byte) error {
	kept = append(kept, k)
	return json.Unmarshal(b, &k.Name)
}

// validated keeps a pointer to the claims.
type validated struct {
	jwt.Registered
	Name string `json:"name"`
}

var keptClaims []*validated

func (v *validated) Validate(context.Context) error {
	keptClaims = append(keptClaims, v)
	return nil
}

// Code of the user's that keeps a pointer to claims never sees those of the next
// token there.
func TestKeptPointersSeeNoOtherClaims(t *testing.T) {
	type claims struct {
		K keeper `json:"k"`
	}
	set := keys()
	i, v := jwt.MustNewIssuer[claims](jwt.IssuerConfig{Keys: set}), jwt.MustNewVerifier[claims](lax(set))
	iv, vv := jwt.MustNewIssuer[validated](jwt.IssuerConfig{Keys: set}), jwt.MustNewVerifier[validated](lax(set))
	kept, keptClaims = nil, nil
	for n := range 10 {
		name := strings.Repeat("x", n)
		tok, err := i.Sign(claims{keeper{Name: name}})
		require.NoError(t, err)
		_, err = v.Verify(t.Context(), tok)
		require.NoError(t, err)
		tok, err = iv.Sign(validated{Name: name})
		require.NoError(t, err)
		_, err = vv.Verify(t.Context(), tok)
		require.NoError(t, err)
	}
	for n := range 10 {
		require.Len(t, kept[2*n].Name, n, "as it was signed")
		require.Len(t, kept[2*n+1].Name, n, "as it was read")
		require.Len(t, keptClaims[n].Name, n)
	}
}

// A date in a map that no date is like is an error, and not some other date.
func TestDatesInMapsHaveBounds(t *testing.T) {
	i := jwt.MustNewIssuer[map[string]any](jwt.IssuerConfig{Keys: keys()})
	for _, x := range []any{math.NaN(), math.Inf(1), math.Inf(-1), 1e300, -1e300, 1e16} {
		for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
			_, err := i.Sign(map[string]any{name: x})
			require.ErrorIs(t, err, jwt.ErrClaim, "%s: %v", name, x)
		}
	}
	for name, x := range map[string]any{"nbf": int64(math.MaxInt64), "exp": int64(math.MaxInt64), "iat": int64(math.MinInt64)} {
		_, err := i.Sign(map[string]any{name: x})
		require.ErrorIs(t, err, jwt.ErrConflict, name)
	}
	tok, err := i.Sign(map[string]any{"nbf": -1.5, "iat": float64(unix(-60)) + 0.5})
	require.NoError(t, err)
	_, payload := parts(t, tok)
	require.Equal(t, -2.0, payload["nbf"], "rounded down, as DateOf does")
}

// Types that refer to themselves in every way that Go has.
type (
	lists  []lists
	maps   map[string]maps
	chain  struct{ Next *chain }
	pair   struct{ A, B *pair }
	anyBox struct{ In any }
	mixed  struct {
		Lists lists            `json:"lists"`
		Maps  maps             `json:"maps"`
		Chain *chain           `json:"chain"`
		Pair  *pair            `json:"pair"`
		Table map[string]chain `json:"table"`
		Any   any              `json:"any"`
		Raw   json.RawMessage  `json:"raw,omitempty"`
		Own   *writes          `json:"own,omitempty"`
		Pick  []*mixed         `json:"pick,omitempty"`
	}
	ring   *ring
	first  *second
	second *first
)

// writes writes what it is told to.
type writes struct{ text string }

func (w *writes) MarshalJSON() ([]byte, error) { return []byte(w.text), nil }
func (w *writes) UnmarshalJSON(b []byte) error { w.text = string(b); return nil }

func chainOf(n int) *chain {
	var c *chain
	for range n {
		c = &chain{c}
	}
	return c
}

func listsOf(n int) lists {
	l := lists{}
	for range n {
		l = lists{l}
	}
	return l
}

func anysOf(n int) any {
	var x any
	for range n {
		x = []any{x}
	}
	return x
}

// boxesOf is known to nobody until it is written.
func boxesOf(n int) any {
	var x any
	for range n {
		x = &anyBox{x}
	}
	return x
}

// pairsOf is a few structs that in JSON are 2ⁿ.
func pairsOf(n int) *pair {
	p := &pair{}
	for range n {
		p = &pair{p, p}
	}
	return p
}

// Claims that refer to themselves, or are deeper than what a Verifier takes, are
// an error and not the end of the program; so are claims that hold one thing so
// often that they fill the memory.
func TestIssuerBoundsDepthAndSize(t *testing.T) {
	million := 1_000_000
	if raceEnabled {
		million = 50_000
	}
	loop := &chain{}
	loop.Next = loop
	list := lists{nil}
	list[0] = list
	table := maps{}
	table["x"] = table
	anys := []any{nil}
	anys[0] = anys
	free := map[string]any{}
	free["x"] = map[string]any{"y": free}
	box := &anyBox{}
	box.In = box
	boxes := map[int]any{}
	boxes[0] = boxes
	self := &mixed{}
	self.Pick = []*mixed{self}
	half := any("x")
	for range 64 {
		half = []any{half, half}
	}
	var pointers any = new(int)
	for range million {
		next := pointers
		pointers = &next
	}
	long := strings.Repeat("x", 1000)
	many := make([]any, 2000)
	for i := range many {
		many[i] = long
	}
	const deep, large = "nested deeper than 32", "too large"
	for name, c := range map[string]struct {
		in   mixed
		want string
	}{
		"a pointer to itself":               {mixed{Chain: loop}, deep},
		"a slice in itself":                 {mixed{Lists: list}, deep},
		"a map in itself":                   {mixed{Maps: table}, deep},
		"a slice of any in itself":          {mixed{Any: anys}, deep},
		"a map of any in itself":            {mixed{Any: free}, deep},
		"a struct in an interface":          {mixed{Any: box}, deep},
		"a map of another kind":             {mixed{Any: boxes}, deep},
		"claims in themselves":              {*self, deep},
		"a long chain":                      {mixed{Chain: chainOf(million)}, deep},
		"a long chain in a table":           {mixed{Table: map[string]chain{"x": {chainOf(million)}}}, deep},
		"a long chain in an interface":      {mixed{Any: chainOf(million)}, deep},
		"deep slices":                       {mixed{Lists: listsOf(100_000)}, deep},
		"deep slices of any":                {mixed{Any: anysOf(100_000)}, deep},
		"deep interfaces":                   {mixed{Any: boxesOf(100_000)}, deep},
		"a long way of pointers":            {mixed{Any: pointers}, deep},
		"deep JSON of its own":              {mixed{Raw: json.RawMessage(strings.Repeat("[", 5000) + strings.Repeat("]", 5000))}, deep},
		"JSON of its own, just too deep":    {mixed{Raw: json.RawMessage(strings.Repeat("[", 32) + strings.Repeat("]", 32))}, deep},
		"deep JSON of a method":             {mixed{Own: &writes{strings.Repeat("[", 32) + strings.Repeat("]", 32)}}, deep},
		"pairs":                             {mixed{Pair: pairsOf(30)}, large},
		"pairs in an interface":             {mixed{Any: pairsOf(30)}, large},
		"pairs in slices of any":            {mixed{Any: half}, deep},
		"the same string many times":        {mixed{Any: many}, large},
		"the same string in a slice":        {mixed{Any: strings.Split(strings.Repeat(long+" ", 2000), " ")}, large},
		"a long string":                     {mixed{Any: strings.Repeat("x", 1<<21)}, large},
		"long bytes":                        {mixed{Any: make([]byte, 1<<21)}, large},
		"long JSON of its own":              {mixed{Raw: json.RawMessage(`"` + strings.Repeat("x", 1<<21) + `"`)}, large},
		"JSON of its own with a name twice": {mixed{Raw: json.RawMessage(`{"a":1,"a":2}`)}, "duplicate name"},
		"a method's with a name twice":      {mixed{Own: &writes{`[{"a":1,"\u0061":2}]`}}, "duplicate name"},
		"JSON of its own, half a character": {mixed{Raw: json.RawMessage(`["\ud800"]`)}, "surrogate"},
	} {
		i := jwt.MustNewIssuer[mixed](jwt.IssuerConfig{Keys: keys()})
		_, err := i.Sign(c.in)
		require.ErrorContains(t, err, c.want, name)
		require.Equal(t, c.want == large, jwt.ErrTooLarge == unwrapped(err), name)
		dst, err := i.AppendSign([]byte("x"), &c.in)
		require.ErrorContains(t, err, c.want, name)
		require.Equal(t, "x", string(dst))
		_, err = jwt.MustNewIssuer[map[string]any](jwt.IssuerConfig{Keys: keys()}).Sign(map[string]any{"x": c.in})
		require.Error(t, err, name)
		_, err = i.Sign(mixed{})
		require.NoError(t, err, "what failed before is forgotten")
	}
}

func unwrapped(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = inner.Unwrap()
	}
}

// What is as deep as a Verifier takes is written, and read again: the bounds are
// the same on both sides.
func TestIssuerGoesAsDeepAsTheVerifier(t *testing.T) {
	i, v := jwt.MustNewIssuer[mixed](jwt.IssuerConfig{Keys: keys()}), jwt.MustNewVerifier[mixed](lax(keys()))
	for _, c := range []mixed{
		{Chain: chainOf(31)}, {Lists: listsOf(30)}, {Maps: maps{"a": {"b": {}, "c": nil}}}, {Pair: pairsOf(4)},
		{Any: anysOf(31)}, {Raw: json.RawMessage(strings.Repeat("[", 31) + strings.Repeat("]", 31))},
		{Own: &writes{strings.Repeat("[", 31) + strings.Repeat("]", 31)}}, {Table: map[string]chain{"x": {chainOf(29)}}},
	} {
		tok, err := i.Sign(c)
		require.NoError(t, err)
		got, err := v.Verify(t.Context(), tok)
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	_, err := i.Sign(mixed{Chain: chainOf(32)})
	require.Error(t, err)
	_, err = v.Verify(t.Context(), forge(plainHead, `{"lists":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)+`}`))
	requireCause(t, jwt.ErrPayload, err)
}

// A type that is nothing but pointers has no JSON, and is none of claims.
func TestPointersToPointersAreNoClaims(t *testing.T) {
	refusedType[struct{ R ring }](t, "points to itself")
	refusedType[struct{ F first }](t, "points to itself")
	refusedType[struct{ F []map[string]second }](t, "points to itself")
}

// MaxBytes bounds the whole token, to the byte.
func TestIssuerMaxBytesCountsTheWholeToken(t *testing.T) {
	tok, err := issuer(keys()).Sign(alice())
	require.NoError(t, err)
	for _, n := range []int{len(tok), len(tok) + 1} {
		cfg := jwt.IssuerConfig{Keys: keys(), Issuer: "https://auth", Audience: []string{"api"}, MaxBytes: n}
		again, err := jwt.MustNewIssuer[user](cfg).Sign(alice())
		require.NoError(t, err)
		require.Len(t, again, len(tok))
	}
	for _, n := range []int{1, 100, len(tok) - 1} {
		cfg := jwt.IssuerConfig{Keys: keys(), Issuer: "https://auth", Audience: []string{"api"}, MaxBytes: n}
		_, err := jwt.MustNewIssuer[user](cfg).Sign(alice())
		require.ErrorIs(t, err, jwt.ErrTooLarge, n)
	}
}

// A session that could not be refreshed does not begin.
func TestSessionsRefuseClaimsThatRefreshWould(t *testing.T) {
	s := jwt.MustNewSessions(jwt.SessionsConfig[user]{
		Keys: keys(), Store: jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), Issuer: "i", Audience: []string{"a"},
	})
	c := alice()
	c.Role = strings.Repeat("x", 8000)
	_, err := s.Start(t.Context(), c)
	require.ErrorIs(t, err, jwt.ErrTooLarge)
	c.Role = strings.Repeat("x", 5500)
	p, err := s.Start(t.Context(), c)
	require.NoError(t, err)
	_, err = s.Refresh(t.Context(), p.Refresh)
	require.NoError(t, err)
}

// never is zero in its own opinion, by a method of the value; seldom by one of
// the pointer.
type (
	never  struct{ N int }
	seldom struct{ N int }
)

func (n never) IsZero() bool   { return n.N == 7 }
func (s *seldom) IsZero() bool { return s.N == 7 }

// Options of tags mean what they mean to encoding/json.
func TestOptionsOfTags(t *testing.T) {
	type options struct {
		Time    time.Time         `json:"time,omitzero"`
		Never   never             `json:"never,omitzero"`
		Pointer *never            `json:"pointer,omitzero"`
		Seldom  seldom            `json:"seldom,omitzero"`
		Both    []string          `json:"both,omitempty,omitzero"`
		Turned  []string          `json:"turned,omitzero,omitempty"`
		Slice   []string          `json:"slice,omitzero"`
		Struct  struct{ A int }   `json:"struct,omitempty"` //nolint:modernize // that it has no effect is tested
		Array   [0]int            `json:"array,omitempty"`
		Float   float64           `json:"float,omitempty"`
		Zero    float64           `json:"zero,omitzero"`
		Map     map[string]string `json:"map,omitempty"`
		Any     any               `json:"any,omitempty"`
		Table   map[string]struct {
			S seldom `json:"s,omitzero"`
			N never  `json:"n,omitzero"`
		} `json:"table"`
	}
	n7 := &never{7}
	row := map[string]struct {
		S seldom `json:"s,omitzero"`
		N never  `json:"n,omitzero"`
	}{"a": {seldom{7}, never{7}}, "b": {}}
	i := jwt.MustNewIssuer[options](jwt.IssuerConfig{Keys: keys()})
	for _, c := range []options{
		{}, {Time: time.Time{}.In(time.FixedZone("x", 3600)), Never: never{7}, Pointer: n7, Seldom: seldom{7}, Table: row},
		{Time: time.Unix(5, 0).UTC(), Never: never{1}, Pointer: &never{1}, Seldom: seldom{1}, Both: []string{}, Turned: []string{}, Slice: []string{}},
		{Both: []string{"a"}, Turned: []string{"a"}, Float: math.Copysign(0, -1), Zero: math.Copysign(0, -1), Map: map[string]string{}, Any: 0},
	} {
		tok, err := i.Sign(c)
		require.NoError(t, err)
		require.Equal(t, tokensOf(t, mustJSON(t, c)), tokensOf(t, payloadOf(t, tok), "iat", "exp"))
	}
}

func mustJSON(t testing.TB, x any) []byte {
	t.Helper()
	b, err := json.Marshal(x)
	require.NoError(t, err)
	return b
}

// tokensOf cuts JSON into its tokens, with numbers as they are written. Left out
// are the members of the outermost object with these names.
func tokensOf(t testing.TB, text []byte, without ...string) []json.Token {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var out []json.Token
	depth, name := 0, false // name: what comes in the outermost object is one
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
			name = depth == 1
		case json.Delim('}'), json.Delim(']'):
			depth--
			name = depth == 1
		default:
			if text, ok := tok.(string); ok && name && slices.Contains(without, text) {
				_, err = d.Token()
				require.NoError(t, err)
				continue
			}
			if depth == 1 {
				name = !name
			}
		}
		out = append(out, tok)
	}
}

// FuzzEncoder compares what is written with what encoding/json writes: the same
// tokens in the same order with the same numbers, for a value of each kind, in
// fields and in interfaces. Where we fail and it does not it is for depth, or text
// that is not UTF-8, and never the other way.
func FuzzEncoder(f *testing.F) {
	f.Add([]byte(`{"text":"a\"b\\c\n<&>\u2028","texts":["","é"],"any":{"z":[1e-7,1e21,"<"],"a":null},"map":{"b":1,"a":2}}`), "", 0.0)
	f.Add([]byte(`{"f32":1e-7,"f64":1e21,"when":"2026-11-27T01:02:03.000000004+05:30","addr":"2001:db8::1","raw":{"a":[1,2]},"bytes":"AAEC"}`), "x\xff", -1e-9)
	f.Add([]byte(`{"trees":{"t":{"name":"x","kids":[null,{"name":"y"}]}},"level_map":{"k":["v"],"e":[]},"pair":[1,2],"pp":"deep","empty":"x"}`), "\x7f<", 5e-324)
	f.Add(mustJSON(f, filled()), "\u2028", math.Inf(1))
	i := jwt.MustNewIssuer[everything](jwt.IssuerConfig{Keys: keys()})
	v := jwt.MustNewVerifier[everything](lax(keys()))
	free := jwt.MustNewIssuer[map[string]any](jwt.IssuerConfig{Keys: keys()})
	f.Fuzz(func(t *testing.T, value []byte, text string, number float64) {
		var in everything
		if len(value) > 3000 || len(text) > 300 || json.Unmarshal(value, &in) != nil {
			return
		}
		in.Registered, in.Untagged, in.F32 = jwt.Registered{}, int8(len(text)), in.F32+float32(number)
		if !math.IsInf(number, 0) && !math.IsNaN(number) {
			in.F64 = number
		}
		std, stdErr := json.Marshal(in)
		tok, err := i.Sign(in)
		switch {
		case stdErr != nil:
			require.Error(t, err)
		case err != nil:
			require.True(t, strings.Contains(err.Error(), "deeper") || strings.Contains(err.Error(), "not UTF-8") ||
				strings.Contains(err.Error(), "duplicate") || strings.Contains(err.Error(), "surrogate"), err)
		default:
			// Of embedded structs the fields come last here.
			require.Equal(t, tokensOf(t, std, "team", "depth"), tokensOf(t, payloadOf(t, tok), "iat", "exp", "team", "depth"))
			_, err = v.Verify(t.Context(), tok)
			require.NoError(t, err, "what is signed is taken")
		}
		m := map[string]any{"x" + text: number, "y": in, "z": []any{text, in.Any, map[string]any{text: text}}, "w": []string{text}}
		std, stdErr = json.Marshal(m)
		tok, err = free.Sign(m)
		if stdErr != nil {
			require.Error(t, err)
			return
		}
		if err == nil {
			require.Equal(t, tokensOf(t, std), tokensOf(t, payloadOf(t, tok), "iat", "exp"))
		}
	})
}

// Values in interfaces are written to the byte as encoding/json writes them.
func TestInterfacesAreWrittenByTheByte(t *testing.T) {
	type anyOnly struct {
		X any `json:"x"`
	}
	i := jwt.MustNewIssuer[anyOnly](jwt.IssuerConfig{Keys: keys()})
	for _, x := range []any{
		nil, true, false, 0, -1, int64(math.MinInt64), int8(-5), uint64(math.MaxUint64), 0.0, math.Copysign(0, -1), 1e-6, 9.99e-7, 1e-7, 1e-10, 1e20, 1e21, 1e22, -1e300, 5e-324,
		math.MaxFloat64, float32(1e-7), float32(1e21), 0.1, float32(0.1), "", "plain", "<script>&", "\u2028\u2029", "\x00\x1f\x7f\b\f\n\r\t", `"\/`, "é😀", level("<"),
		[]string(nil), []string{}, []string{"a", "<"}, []any(nil), []any{}, []any{1, "x", nil}, map[string]any(nil), map[string]any{}, map[string]any{"b<": 1, "a": []any{}},
		map[int]string{2: "b", 10: "a"}, []byte("bytes"), json.Number("1.50"), json.RawMessage(`{"a" : 1}`), time.Unix(5, 5).UTC(), netip.MustParseAddr("::1"),
		tree{"x", []*tree{nil}}, &tree{}, (*tree)(nil), struct{ A, b int }{1, 2}, [2]bool{true, false}, jwt.Audience{"one"}, jwt.Audience{"a", "b"}, jwt.Date(5),
	} {
		tok, err := i.Sign(anyOnly{x})
		require.NoError(t, err, "%#v", x)
		payload := payloadOf(t, tok)
		at := bytes.Index(payload, []byte(`"x":`))
		require.Equal(t, string(mustJSON(t, x)), string(payload[at+4:len(payload)-1]), "%#v", x)
	}
	for _, x := range []any{
		"a\xff", []string{"\xff"}, []any{"\xff"}, map[string]any{"\xff": 1}, map[string]any{"a": "\xff"}, level("\xff"), tree{Name: "\xff"}, map[level]int{"\xff": 1},
		[]*tree{{Name: "\xff"}}, [1]string{"\xff"}, &anyBox{"\xff"},
	} {
		_, err := i.Sign(anyOnly{x})
		require.ErrorContains(t, err, "not UTF-8", "%#v", x)
	}
	for _, x := range []any{math.NaN(), math.Inf(-1), float32(math.Inf(1)), make(chan int), func() {}, 1i, map[bool]int{true: 1}, json.Number("x"), json.RawMessage("{"), failing{}} {
		_, err := i.Sign(anyOnly{x})
		require.Error(t, err, "%#v", x)
	}
}
