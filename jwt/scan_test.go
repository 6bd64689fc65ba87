package jwt

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// read runs f on a decoder for text, and requires that it is used up.
func read[T any](text string, f func(*decoder) (T, error)) (T, error) {
	var d decoder
	var zero T
	if err := d.begin([]byte(text)); err != nil {
		return zero, err
	}
	v, err := f(&d)
	if err == nil {
		err = d.finish()
	}
	if err != nil {
		return zero, err
	}
	return v, nil
}

// Every special byte is found at every place of a string and of the words of
// eight bytes in which it is read.
func TestStringsAreReadAtEveryAlignment(t *testing.T) {
	for before := range 3 {
		for length := range 28 {
			for place := range length + 1 {
				plain := strings.Repeat("x", length)
				for _, c := range []struct {
					insert, value string
					err           error
				}{
					{"", "", nil},
					{`\"`, `"`, nil},
					{`\\`, `\`, nil},
					{`\u0041`, "A", nil},
					{"é", "é", nil},
					{"\x7f", "\x7f", nil},
					{" ", " ", nil},
					{"!", "!", nil},
					{"[", "[", nil},
					{"]", "]", nil},
					{"\u0080", "\u0080", nil},
					{"\x1f", "", errControl},
					{"\n", "", errControl},
					{"\x00", "", errControl},
					{`\q`, "", errSyntax},
					{`\ud800`, "", errUTF8},
				} {
					text := strings.Repeat(" ", before) + `"` + plain[:place] + c.insert + plain[place:] + `"`
					got, err := read(text, func(d *decoder) (string, error) { d.space(); return d.text() })
					if err != c.err {
						t.Fatalf("%q: %v, want %v", text, err, c.err)
					}
					if want := plain[:place] + c.value + plain[place:]; err == nil && got != want {
						t.Fatalf("%q: %q, want %q", text, got, want)
					}
				}
			}
		}
	}
}

// special marks the lowest special byte of a word, and no lower one.
func TestSpecialMarksTheLowestByte(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200_000 {
		var word uint64
		first := 8
		for i := range 8 {
			b := byte(rng.Uint32())
			if rng.IntN(3) > 0 {
				b |= 0x40
			}
			word |= uint64(b) << (8 * i)
			if first == 8 && (b < 0x20 || b == '"' || b == '\\') {
				first = i
			}
		}
		m := special(word)
		if first == 8 {
			require.Zero(t, m, "%x", word)
			continue
		}
		low := uint64(1)<<(8*first+7) - 1
		require.Zero(t, m&low, "%x", word)
		require.NotZero(t, m&(low+1), "%x", word)
	}
}

func TestNumbersFollowTheGrammar(t *testing.T) {
	for text, valid := range map[string]bool{
		"0":                    true,
		"-0":                   true,
		"7":                    true,
		"10":                   true,
		"-123456789":           true,
		"0.0":                  true,
		"0.10":                 true,
		"-0.5":                 true,
		"1e5":                  true,
		"1E5":                  true,
		"1e+5":                 true,
		"1e-5":                 true,
		"0e0":                  true,
		"-0.0e-00":             true,
		"1.5e300":              true,
		"1e400":                true,
		"9223372036854775808":  true,
		"18446744073709551616": true,
		"":                     false,
		"-":                    false,
		"+1":                   false,
		"00":                   false,
		"01":                   false,
		"-01":                  false,
		".5":                   false,
		"5.":                   false,
		"-.5":                  false,
		"1.e5":                 false,
		"1e":                   false,
		"1e+":                  false,
		"1e-":                  false,
		"1e5.5":                false,
		"1.2.3":                false,
		"1-":                   false,
		"1+1":                  false,
		"1_000":                false,
		"1,000":                false,
		"0x1F":                 false,
		"0b1":                  false,
		"0o7":                  false,
		"1f":                   false,
		"Infinity":             false,
		"NaN":                  false,
		"inf":                  false,
		"--1":                  false,
		"- 1":                  false,
		"١":                    false,
	} {
		got, err := read(text, (*decoder).number)
		require.Equal(t, valid, err == nil, text)
		require.Equal(t, valid, json.Valid([]byte(text)), "the test is wrong about %q", text)
		if valid {
			require.Equal(t, text, got)
		}
	}
}

// Random texts of few characters: what we take for JSON encoding/json takes too,
// and what it takes we refuse for reasons that are ours alone.
func TestSkipAgreesWithEncodingJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	alphabet := []string{"{", "}", "[", "]", ",", ":", `"a"`, `"b"`, `"\u0061"`, `""`, `{"a":1,`, `"\u0061":2}`, "1", "-2.5e3", "true", "null", " ", "\n", "x", `"`, `\`, "0"}
	agreed, stricter := 0, 0
	for range 300_000 {
		var b strings.Builder
		for range 1 + rng.IntN(9) {
			b.WriteString(alphabet[rng.IntN(len(alphabet))])
		}
		text := b.String()
		_, err := read(text, func(d *decoder) (struct{}, error) { d.space(); return struct{}{}, d.skip() })
		valid := json.Valid([]byte(text))
		switch {
		case err == nil:
			require.True(t, valid, text)
			agreed++
		case valid:
			require.Equal(t, errDuplicate, err, text)
			stricter++
		}
	}
	require.Greater(t, agreed, 5000)
	require.Greater(t, stricter, 5)
}

// nested builds random JSON of every kind of value.
func nested(rng *rand.Rand, depth int) any {
	kinds := 8
	if depth == 0 {
		kinds = 6
	}
	switch rng.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return rng.IntN(2) == 0
	case 2:
		return float64(rng.IntN(2000) - 1000)
	case 3:
		return rng.NormFloat64() * math.Pow(10, float64(rng.IntN(40)-20))
	case 4:
		return strings.Repeat(string(rune(rng.IntN(0xd7ff))), rng.IntN(20))
	case 5:
		return fmt.Sprint(rng.Uint64())
	case 6:
		list := make([]any, rng.IntN(5))
		for i := range list {
			list[i] = nested(rng, depth-1)
		}
		return list
	default:
		m := make(map[string]any)
		for range rng.IntN(25) {
			m[fmt.Sprint(rng.IntN(1000))] = nested(rng, depth-1)
		}
		return m
	}
}

func TestAnyReadsWhatEncodingJSONReads(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		want := nested(rng, 4)
		text, err := json.MarshalIndent(want, " ", "\t")
		require.NoError(t, err)
		got, err := read(string(text), (*decoder).any)
		require.NoError(t, err, string(text))
		require.Equal(t, want, got)
		_, err = read(string(text), func(d *decoder) (struct{}, error) { return struct{}{}, d.skip() })
		require.NoError(t, err)
		for range 3 {
			cut := text[:rng.IntN(len(text))]
			_, err = read(string(cut), (*decoder).any)
			if err == nil {
				require.True(t, json.Valid(cut), string(cut))
			}
		}
	}
}

// Names are compared by what they mean, among few and among many, and each object
// has its own.
func TestOnceKnowsEveryName(t *testing.T) {
	for n := 1; n < 60; n++ {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf(`"n%d":{"n%d":0}`, i, i))
		}
		all := strings.Join(members, ",")
		skip := func(d *decoder) (struct{}, error) { return struct{}{}, d.skip() }
		_, err := read("{"+all+"}", skip)
		require.NoError(t, err)
		_, err = read("[{"+all+"},{"+all+"}]", skip)
		require.NoError(t, err)
		for i := range n {
			_, err = read(fmt.Sprintf(`{%s,"\u006e%d":1}`, all, i), skip)
			require.Equal(t, errDuplicate, err)
		}
	}
}

func TestDepthIsCountedAcrossKinds(t *testing.T) {
	skip := func(d *decoder) (struct{}, error) { return struct{}{}, d.skip() }
	for n := 1; n < 40; n++ {
		text := "1"
		for i := range n {
			if i%2 == 0 {
				text = "[" + text + "]"
			} else {
				text = `{"a":` + text + "}"
			}
		}
		_, err := read(text, skip)
		if n <= maxDepth {
			require.NoError(t, err)
		} else {
			require.Equal(t, errDepth, err)
		}
	}
}

// A pooled decoder keeps no text alive, nor anything of the last token.
func TestEndForgetsEverything(t *testing.T) {
	p, err := compile(freeType)
	require.NoError(t, err)
	var d decoder
	var m map[string]any
	require.NoError(t, p.read(&d, []byte(`{"sub":"a","aud":["b","c"],"exp":5,"x":{"y":1,"z":2}}`), &m))
	require.NotEmpty(t, d.s)
	d.end()
	names, auds := d.names[:cap(d.names)], d.reg.auds[:cap(d.reg.auds)]
	require.NotEmpty(t, names)
	require.NotEmpty(t, auds)
	for _, s := range append(names, auds...) {
		require.Empty(t, s)
	}
	d.names, d.reg.auds = nil, nil
	require.Equal(t, decoder{}, d)
}

func TestDatesSaturateAndNeverWrap(t *testing.T) {
	end := time.Unix(farthest, 0)
	for text, want := range map[string]time.Time{
		"0":                    time.Unix(0, 0),
		"-0":                   time.Unix(0, 0),
		"1":                    time.Unix(1, 0),
		"-1":                   time.Unix(-1, 0),
		"1.5":                  time.Unix(1, 5e8),
		"-1.5":                 time.Unix(-2, 5e8),
		"1e3":                  time.Unix(1000, 0),
		"12e-1":                time.Unix(1, 2e8),
		"1e-400":               time.Unix(0, 0),
		"9007199254740992":     end,
		"9007199254740993":     end,
		"9223372036854775807":  end,
		"9223372036854775808":  end,
		"18446744073709551615": end,
		"1e19":                 end,
		"1e300":                end,
		"-9007199254740993":    time.Unix(-farthest, 0),
		"-9223372036854775808": time.Unix(-farthest, 0),
		"-9223372036854775809": time.Unix(-farthest, 0),
		"-1e300":               time.Unix(-farthest, 0),
	} {
		got, err := read(text, func(d *decoder) (time.Time, error) {
			err := d.readDate(claimExp)
			return d.reg.dates[claimExp], err
		})
		require.NoError(t, err, text)
		require.WithinDuration(t, want, got, time.Microsecond, text)
	}
	for _, text := range []string{"1e400", "-1e400", `"1"`, "null", "true", "[1]", "{}", ""} {
		_, err := read(text, func(d *decoder) (struct{}, error) { return struct{}{}, d.readDate(claimExp) })
		require.Equal(t, errMismatch, err, text)
	}
}

// Our base64url is the strict one of the standard library without its laxity
// about line breaks: compared on all texts of up to three characters, and on
// random ones.
func TestBase64IsCanonical(t *testing.T) {
	same := func(src string) {
		t.Helper()
		want, err := base64.RawURLEncoding.Strict().DecodeString(src)
		valid := err == nil && !strings.ContainsAny(src, "\r\n")
		got, ok := appendDecoded([]byte("before"), []byte(src))
		if ok != valid {
			t.Fatalf("%q: %v, want %v", src, ok, valid)
		}
		if ok && string(got) != "before"+string(want) {
			t.Fatalf("%q: %q, want %q", src, got, want)
		}
		if ok && string(appendEncoded(nil, want)) != src {
			t.Fatalf("%q has another spelling", src)
		}
	}
	same("")
	for a := range 256 {
		same(string([]byte{byte(a)}))
		for b := range 256 {
			same(string([]byte{byte(a), byte(b)}))
			same(string([]byte{'A', byte(a), byte(b)}))
			same(string([]byte{byte(a), 'z', byte(b), '_'}))
		}
	}
	rng := rand.New(rand.NewPCG(9, 10))
	for n := range 5000 {
		b := make([]byte, n%200)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		text := []byte(base64.RawURLEncoding.EncodeToString(b))
		same(string(text))
		if len(text) > 0 {
			text[rng.IntN(len(text))] = "=+/ \n\r.A\x00\x80\xff"[rng.IntN(11)]
			same(string(text))
		}
	}
}

func TestSplitFindsTheTwoDots(t *testing.T) {
	sig := strings.Repeat("s", sigLen)
	for tok, want := range map[string]bool{
		"h.p." + sig:           true,
		"h.." + sig:            true,
		"hh.pp." + sig:         true,
		".p." + sig:            false,
		"hp." + sig:            false,
		"." + sig:              false,
		sig:                    false,
		"":                     false,
		"h.p." + sig + "s":     false,
		"h.p." + sig[1:]:       false,
		"h.p.p." + sig:         false,
		"h.p." + sig[1:] + ".": false,
		"h.p" + sig:            false,
		strings.Repeat("h", maxHeader) + ".p." + sig:   true,
		strings.Repeat("h", maxHeader+1) + ".p." + sig: false,
	} {
		h, p, s, ok := split([]byte(tok))
		require.Equal(t, want, ok, tok)
		if ok {
			require.Equal(t, tok, string(h)+"."+string(p)+"."+string(s))
			require.Equal(t, sig, string(s))
		}
	}
}

func TestMediaTypesCompareAsRFC7515Says(t *testing.T) {
	for typ, want := range map[string]string{
		"JWT":                 "jwt",
		"jwt":                 "jwt",
		"at+jwt":              "at+jwt",
		"application/at+jwt":  "at+jwt",
		"APPLICATION/AT+JWT":  "at+jwt",
		"application/a/b":     "application/a/b",
		"text/jwt":            "text/jwt",
		"application/":        "",
		"":                    "",
		"application":         "application",
		"application/jwt;v=1": "jwt;v=1",
	} {
		require.Equal(t, want, mediaType(typ), typ)
	}
}

func TestEncodingIsThatOfEncodingBase64(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for n := range 600 {
		src := make([]byte, n%300)
		for i := range src {
			src[i] = byte(rng.Uint32())
		}
		want := base64.RawURLEncoding.AppendEncode([]byte("before"), src)
		require.Equal(t, string(want), string(appendEncoded([]byte("before"), src)))
		room := append(make([]byte, 0, 1000), "before"...)
		out := appendEncoded(room, src)
		require.Equal(t, string(want), string(out))
		require.Equal(t, &room[0], &out[0], "there was room")
		back, ok := appendDecoded(nil, out[len("before"):])
		require.True(t, ok)
		require.Equal(t, string(src), string(back))
	}
}

// What an Issuer keeps of claims between two tokens is nothing.
func TestReleaseForgetsTheClaims(t *testing.T) {
	type claims struct {
		Registered
		Map map[string]string `json:"map"`
		Raw json.RawMessage   `json:"raw"`
	}
	i := MustNewIssuer[claims](IssuerConfig{Keys: MustNewKeySet(MustNewKey("", make([]byte, 32)))})
	s := new(sheet[claims])
	s.claims = claims{Registered{Subject: "alice"}, map[string]string{"a": "b"}, json.RawMessage(`{"a":[1]}`)}
	tok, err := i.signOwn(nil, s, &s.claims)
	require.NoError(t, err)
	require.NotEmpty(t, tok)
	i.release(s)
	require.Zero(t, s.claims)
	require.Zero(t, s.stamp)
	require.Empty(t, s.decoder.s)
	require.Nil(t, s.decoder.b)
	for _, name := range s.names[:cap(s.names)] {
		require.Empty(t, name)
	}
}

func TestTextIsWrittenAsEncodingJSONReadsIt(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for n := range 3000 {
		var b strings.Builder
		for range n % 40 {
			switch rng.IntN(4) {
			case 0:
				b.WriteByte(byte(rng.IntN(0x30)))
			case 1:
				b.WriteString([]string{`"`, `\`, "\u2028", "\x7f", "😀"}[rng.IntN(5)])
			default:
				b.WriteRune(rune(rng.IntN(0xd7ff)))
			}
		}
		text, err := appendText(nil, b.String())
		require.NoError(t, err)
		var std string
		require.NoError(t, json.Unmarshal(text, &std))
		require.Equal(t, b.String(), std)
		own, err := read(string(text), (*decoder).text)
		require.NoError(t, err)
		require.Equal(t, b.String(), own)
	}
}

func TestReferringTypesAreKnown(t *testing.T) {
	for x, want := range map[any]bool{
		1: false, "": false, true: false, 1.5: false, [2]int{}: false, struct{ A string }{}: false,
		[1]*int{}: true, struct{ A [1]struct{ B *string } }{}: true, new(int): true, time.Time{}: true,
	} {
		require.Equal(t, want, refers(reflect.TypeOf(x)), "%T", x)
	}
	require.True(t, refers(reflect.TypeFor[[]string]()))
	require.True(t, refers(reflect.TypeFor[map[string]int]()))
	require.True(t, refers(reflect.TypeFor[any]()))
}

// Each byte is judged alike wherever in a text it stands, and what is not UTF-8 is
// an error that leaves what was there.
func TestScanTextJudgesEveryByteEverywhere(t *testing.T) {
	for length := range 40 {
		for place := range length {
			for c := range 256 {
				text := []byte(strings.Repeat("x", length))
				text[place] = byte(c)
				plain, ascii := scanText(string(text))
				if want := c >= 0x20 && c != '"' && c != '\\'; plain != want {
					t.Fatalf("%q: plain is %v", text, plain)
				}
				if want := c < 0x80; ascii != want {
					t.Fatalf("%q: ascii is %v", text, ascii)
				}
				out, err := appendText([]byte("before"), string(text))
				if c >= 0x80 {
					require.Equal(t, errNotUTF8, err)
					require.Equal(t, "before", string(out))
					continue
				}
				require.NoError(t, err)
				var back string
				require.NoError(t, json.Unmarshal(out[len("before"):], &back))
				if back != string(text) {
					t.Fatalf("%q was written as %q", text, out)
				}
			}
		}
	}
	plain, ascii := scanText("")
	require.True(t, plain)
	require.True(t, ascii)
}
