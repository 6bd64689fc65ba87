package jwt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// good is a payload that passes, for tokens whose fault is elsewhere.
const good = `{"sub":"alice","exp":4000000000}`

// later is good with more members.
func with(members string) string { return `{"sub":"alice","exp":4000000000,` + members + `}` }

// hostile are tokens that everyone must refuse, with the reason that is to come
// out. All of those with a signature at all have a good one, made with the key
// that the Verifier has.
var hostile = []struct {
	name string
	tok  string
	want error
}{
	// The shape.
	{"empty", "", jwt.ErrMalformed},
	{"dot", ".", jwt.ErrMalformed},
	{"two dots", "..", jwt.ErrMalformed},
	{"dots alone", strings.Repeat(".", 8000), jwt.ErrMalformed},
	{"dots and a signature", strings.Repeat(".", 100) + strings.Repeat("A", 43), jwt.ErrMalformed},
	{"too long", strings.Repeat("A", 8193), jwt.ErrTooLarge},
	{"dots, too many", strings.Repeat(".", 10000), jwt.ErrTooLarge},
	{"payload too long", forge(plainHead, with(`"x":"`+strings.Repeat("x", 8192)+`"`)), jwt.ErrTooLarge},
	{"no signature", b64(plainHead) + "." + b64(good), jwt.ErrMalformed},
	{"empty signature", b64(plainHead) + "." + b64(good) + ".", jwt.ErrMalformed},
	{"signature alone", "." + "." + mac(".", secret), jwt.ErrMalformed},
	{"no header", forgeRaw("", b64(good)), jwt.ErrMalformed},
	{"extra part", forge(plainHead, good) + ".x", jwt.ErrMalformed},
	{"extra empty part", forge(plainHead, good) + ".", jwt.ErrMalformed},
	{"part before", "." + forge(plainHead, good), jwt.ErrMalformed},
	{"dot within the payload", forgeRaw(b64(plainHead), b64(good)+"."+b64(good)), jwt.ErrMalformed},
	{"five parts", strings.Repeat("AAAA.", 4) + strings.Repeat("A", 43), jwt.ErrMalformed},
	{"encrypted", forge(`{"alg":"dir","enc":"A256GCM"}`, good) + ".AAAA.AAAA", jwt.ErrMalformed},
	{"JSON serialization", `{"payload":"` + b64(good) + `","protected":"` + b64(plainHead) + `","signature":"` + mac(b64(plainHead)+"."+b64(good), secret) + `"}`, jwt.ErrMalformed},
	{"space before", " " + forge(plainHead, good), jwt.ErrHeader},
	{"space after", forge(plainHead, good) + " ", jwt.ErrMalformed},
	{"newline after", forge(plainHead, good) + "\n", jwt.ErrMalformed},
	{"NUL after", forge(plainHead, good) + "\x00", jwt.ErrMalformed},
	{"Bearer before", "Bearer " + forge(plainHead, good), jwt.ErrHeader},
	{"quotes", `"` + forge(plainHead, good) + `"`, jwt.ErrMalformed},
	{"BOM before", "\xef\xbb\xbf" + forge(plainHead, good), jwt.ErrHeader},
	{"NUL before", "\x00" + forge(plainHead, good), jwt.ErrHeader},
	{"zero-width space before", "\u200b" + forge(plainHead, good), jwt.ErrHeader},
	{"full-width dots", strings.ReplaceAll(forge(plainHead, good), ".", "．"), jwt.ErrMalformed},
	{"dots in percent encoding", strings.ReplaceAll(forge(plainHead, good), ".", "%2E"), jwt.ErrMalformed},
	{"compact JWE", b64(`{"alg":"dir","enc":"A256GCM"}`) + ".." + b64("iv of 12 byt") + "." + b64(good) + "." + b64("tag of 16 bytes."), jwt.ErrMalformed},
	{"JSON serialization, general", `{"payload":"` + b64(good) + `","signatures":[{"protected":"` + b64(plainHead) + `","signature":"` + mac(b64(plainHead)+"."+b64(good), secret) + `"}]}`, jwt.ErrMalformed},
	{"detached payload", b64(plainHead) + ".." + mac(b64(plainHead)+"."+b64(good), secret), jwt.ErrSignature},
	{"signature with padding", forge(plainHead, good) + "=", jwt.ErrMalformed},
	{"signature of 42", forge(plainHead, good)[:len(forge(plainHead, good))-1], jwt.ErrMalformed},
	{"signature of 44", forge(plainHead, good) + "A", jwt.ErrMalformed},
	{"signature of 64 bytes", b64(plainHead) + "." + b64(good) + "." + b64(strings.Repeat("x", 64)), jwt.ErrMalformed},
	{"signature in hex", b64(plainHead) + "." + b64(good) + "." + strings.Repeat("0f", 32), jwt.ErrMalformed},

	// The header.
	{"header not base64", forgeRaw("!!!!", b64(good)), jwt.ErrHeader},
	{"header with padding", forgeRaw(b64(`{"alg":"HS256"}`+" ")+"==", b64(good)), jwt.ErrHeader},
	{"header with newline", forgeRaw(b64(plainHead)[:8]+"\n"+b64(plainHead)[8:], b64(good)), jwt.ErrHeader},
	{"header with CR", forgeRaw(b64(plainHead)+"\r", b64(good)), jwt.ErrHeader},
	{"header with a space", forgeRaw(b64(plainHead)[:8]+" "+b64(plainHead)[8:], b64(good)), jwt.ErrHeader},
	{"header with loose bits", forgeRaw(b64(`{"alg":"HS256"} `)+"", b64(good))[1:], jwt.ErrHeader},
	{"header one character longer", forgeRaw(b64(`{"alg":"HS256"}`)+"A", b64(good)), jwt.ErrHeader},
	{"header not JSON", forge("HS256", good), jwt.ErrHeader},
	{"header null", forge("null", good), jwt.ErrHeader},
	{"header an array", forge(`["alg","HS256"]`, good), jwt.ErrHeader},
	{"header a string", forge(`"HS256"`, good), jwt.ErrHeader},
	{"header a number", forge(`256`, good), jwt.ErrHeader},
	{"header twice", forge(plainHead+plainHead, good), jwt.ErrHeader},
	{"header with data after", forge(plainHead+"x", good), jwt.ErrHeader},
	{"header with NUL after", forge(plainHead+"\x00", good), jwt.ErrHeader},
	{"header with a BOM", forge("\xef\xbb\xbf"+plainHead, good), jwt.ErrHeader},
	{"header with a comment", forge(`{"alg":"HS256"/**/}`, good), jwt.ErrHeader},
	{"header with a trailing comma", forge(`{"alg":"HS256",}`, good), jwt.ErrHeader},
	{"header with single quotes", forge(`{'alg':'HS256'}`, good), jwt.ErrHeader},
	{"header with a bare name", forge(`{alg:"HS256"}`, good), jwt.ErrHeader},
	{"header cut off", forge(`{"alg":"HS256"`, good), jwt.ErrHeader},
	{"header in UTF-16", forge("\xff\xfe{\x00", good), jwt.ErrHeader},
	{"header with broken UTF-8", forge(`{"alg":"HS256","x":"`+"\xc3\x28"+`"}`, good), jwt.ErrHeader},
	{"header with overlong UTF-8", forge(`{"alg":"HS256","x":"`+"\xc0\x80"+`"}`, good), jwt.ErrHeader},
	{"header with a surrogate in UTF-8", forge(`{"alg":"HS256","x":"`+"\xed\xa0\x80"+`"}`, good), jwt.ErrHeader},
	{"header with a lone surrogate", forge(`{"alg":"HS256","x":"\ud800"}`, good), jwt.ErrHeader},
	{"header deep", forge(`{"alg":"HS256","x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`, good), jwt.ErrHeader},
	{"header too long", forge(`{"alg":"HS256","x":"`+strings.Repeat("x", 4000)+`"}`, good), jwt.ErrMalformed},
	{"alg twice, good first", forge(`{"alg":"HS256","alg":"none"}`, good), jwt.ErrHeader},
	{"alg twice, good last", forge(`{"alg":"none","alg":"HS256"}`, good), jwt.ErrHeader},
	{"alg twice, the same", forge(`{"alg":"HS256","alg":"HS256"}`, good), jwt.ErrHeader},
	{"alg twice by an escape", forge(`{"alg":"HS256","\u0061lg":"none"}`, good), jwt.ErrHeader},
	{"typ twice", forge(`{"alg":"HS256","typ":"JWT","typ":"at+jwt"}`, good), jwt.ErrHeader},
	{"typ a number", forge(`{"alg":"HS256","typ":1}`, good), jwt.ErrHeader},
	{"typ null", forge(`{"alg":"HS256","typ":null}`, good), jwt.ErrHeader},
	{"typ an array", forge(`{"alg":"HS256","typ":["JWT"]}`, good), jwt.ErrHeader},
	{"kid a number", forge(`{"alg":"HS256","kid":1}`, good), jwt.ErrHeader},
	{"kid null", forge(`{"alg":"HS256","kid":null}`, good), jwt.ErrHeader},
	{"kid an object", forge(`{"alg":"HS256","kid":{"a":1}}`, good), jwt.ErrHeader},
	{"kid empty", forge(`{"alg":"HS256","kid":""}`, good), jwt.ErrHeader},
	{"kid huge", forge(`{"alg":"HS256","kid":"`+strings.Repeat("k", 2000)+`"}`, good), jwt.ErrHeader},
	{"kid with a newline", forge(`{"alg":"HS256","kid":"a\nb"}`, good), jwt.ErrHeader},
	{"kid with NUL", forge(`{"alg":"HS256","kid":"a\u0000"}`, good), jwt.ErrHeader},
	{"kid with a terminal's escape", forge(`{"alg":"HS256","kid":"\u001b[31m"}`, good), jwt.ErrHeader},
	{"kid with a quote", forge(`{"alg":"HS256","kid":"a\"b"}`, good), jwt.ErrHeader},
	{"kid with a raw control character", forge("{\"alg\":\"HS256\",\"kid\":\"a\tb\"}", good), jwt.ErrHeader},
	{"crit", forge(`{"alg":"HS256","crit":["exp"],"exp":1}`, good), jwt.ErrCritical},
	{"crit empty", forge(`{"alg":"HS256","crit":[]}`, good), jwt.ErrCritical},
	{"crit null", forge(`{"alg":"HS256","crit":null}`, good), jwt.ErrCritical},
	{"crit a string", forge(`{"alg":"HS256","crit":"b64"}`, good), jwt.ErrCritical},
	{"crit by an escape", forge(`{"alg":"HS256","\u0063rit":["x"]}`, good), jwt.ErrCritical},
	{"crit and no alg", forge(`{"crit":["x"]}`, good), jwt.ErrCritical},
	{"b64 false", forge(`{"alg":"HS256","b64":false}`, good), jwt.ErrCritical},
	{"b64 true", forge(`{"alg":"HS256","b64":true}`, good), jwt.ErrCritical},
	{"b64 false and crit", forge(`{"alg":"HS256","b64":false,"crit":["b64"]}`, good), jwt.ErrCritical},

	// The algorithm.
	{"alg none", forge(`{"alg":"none"}`, good), jwt.ErrAlgorithm},
	{"alg None", forge(`{"alg":"None"}`, good), jwt.ErrAlgorithm},
	{"alg NONE", forge(`{"alg":"NONE"}`, good), jwt.ErrAlgorithm},
	{"unsecured", b64(`{"alg":"none"}`) + "." + b64(good) + ".", jwt.ErrMalformed},
	{"unsecured with zeros", b64(`{"alg":"none"}`) + "." + b64(good) + "." + strings.Repeat("A", 43), jwt.ErrAlgorithm},
	{"alg empty", forge(`{"alg":""}`, good), jwt.ErrAlgorithm},
	{"alg missing", forge(`{}`, good), jwt.ErrAlgorithm},
	{"alg null", forge(`{"alg":null}`, good), jwt.ErrAlgorithm},
	{"alg a number", forge(`{"alg":256}`, good), jwt.ErrAlgorithm},
	{"alg true", forge(`{"alg":true}`, good), jwt.ErrAlgorithm},
	{"alg an array", forge(`{"alg":["HS256"]}`, good), jwt.ErrAlgorithm},
	{"alg an object", forge(`{"alg":{"HS256":1}}`, good), jwt.ErrAlgorithm},
	{"alg in lower case", forge(`{"alg":"hs256"}`, good), jwt.ErrAlgorithm},
	{"alg in mixed case", forge(`{"alg":"Hs256"}`, good), jwt.ErrAlgorithm},
	{"alg with a space", forge(`{"alg":"HS256 "}`, good), jwt.ErrAlgorithm},
	{"alg with NUL", forge(`{"alg":"HS256\u0000"}`, good), jwt.ErrAlgorithm},
	{"ALG", forge(`{"ALG":"HS256"}`, good), jwt.ErrAlgorithm},
	{"Alg", forge(`{"Alg":"HS256"}`, good), jwt.ErrAlgorithm},
	{"alg HS384", forge(`{"alg":"HS384"}`, good), jwt.ErrAlgorithm},
	{"alg HS512", forge(`{"alg":"HS512"}`, good), jwt.ErrAlgorithm},
	{"alg RS256", forge(`{"alg":"RS256"}`, good), jwt.ErrAlgorithm},
	{"alg ES256", forge(`{"alg":"ES256"}`, good), jwt.ErrAlgorithm},
	{"alg none by an escape", forge(`{"alg":"\u006eone"}`, good), jwt.ErrAlgorithm},
	{"alg none all by escapes", forge(`{"alg":"\u006e\u006f\u006e\u0065"}`, good), jwt.ErrAlgorithm},
	{"alg nOnE", forge(`{"alg":"nOnE"}`, good), jwt.ErrAlgorithm},
	{"alg none with a space before", forge(`{"alg":" none"}`, good), jwt.ErrAlgorithm},
	{"alg none with a newline", forge(`{"alg":"none\n"}`, good), jwt.ErrAlgorithm},
	{"alg none with NUL", forge(`{"alg":"none\u0000"}`, good), jwt.ErrAlgorithm},
	{"alg with a space before", forge(`{"alg":" HS256"}`, good), jwt.ErrAlgorithm},
	{"alg with a newline", forge(`{"alg":"HS256\n"}`, good), jwt.ErrAlgorithm},
	{"alg of full-width letters", forge(`{"alg":"ＨＳ２５６"}`, good), jwt.ErrAlgorithm},
	{"alg with a Cyrillic letter", forge(`{"alg":"НS256"}`, good), jwt.ErrAlgorithm},
	{"alg with a long s", forge(`{"alg":"Hſ256"}`, good), jwt.ErrAlgorithm},
	{"alg HS256 after an empty one", forge(`{"":"none","ALG":"HS256","alg ":"HS256"}`, good), jwt.ErrAlgorithm},
	{"alg an array of none", forge(`{"alg":["none"]}`, good), jwt.ErrAlgorithm},
	{"alg A256KW", forge(`{"alg":"A256KW","enc":"A256GCM"}`, good), jwt.ErrAlgorithm},
	{"alg HS256 with a digest", forge(`{"alg":"HMAC-SHA256"}`, good), jwt.ErrAlgorithm},
	{"alg nested", forge(`{"x":{"alg":"HS256"}}`, good), jwt.ErrAlgorithm},

	// The payload, under a good signature.
	{"payload empty", forge(plainHead, ""), jwt.ErrPayload},
	{"payload not base64", forgeRaw(b64(plainHead), "!"+b64(good)), jwt.ErrPayload},
	{"payload with padding", forgeRaw(b64(plainHead), b64(good+" ")+"="), jwt.ErrPayload},
	{"payload with newline", forgeRaw(b64(plainHead), b64(good)+"\n"), jwt.ErrPayload},
	{"payload with a space", forgeRaw(b64(plainHead), " "+b64(good)), jwt.ErrPayload},
	{"payload in the other alphabet", forgeRaw(b64(plainHead), strings.NewReplacer("-", "+", "_", "/").Replace(b64(with(`"x":"???>>>~~~"`)))), jwt.ErrPayload},
	{"payload with one loose bit", forgeRaw(b64(plainHead), loose(b64(good+"  "))), jwt.ErrPayload},
	{"payload with loose bits", forgeRaw(b64(plainHead), loose(b64(good+" "))), jwt.ErrPayload},
	{"payload null", forge(plainHead, "null"), jwt.ErrPayload},
	{"payload true", forge(plainHead, "true"), jwt.ErrPayload},
	{"payload a string", forge(plainHead, `"alice"`), jwt.ErrPayload},
	{"payload a number", forge(plainHead, "1"), jwt.ErrPayload},
	{"payload an array", forge(plainHead, "["+good+"]"), jwt.ErrPayload},
	{"payload white space", forge(plainHead, "  "), jwt.ErrPayload},
	{"payload twice", forge(plainHead, good+good), jwt.ErrPayload},
	{"payload with data after", forge(plainHead, good+"x"), jwt.ErrPayload},
	{"payload with NUL after", forge(plainHead, good+"\x00"), jwt.ErrPayload},
	{"payload with a BOM", forge(plainHead, "\xef\xbb\xbf"+good), jwt.ErrPayload},
	{"payload with a form feed", forge(plainHead, good+"\f"), jwt.ErrPayload},
	{"payload with a no-break space", forge(plainHead, good+"\u00a0"), jwt.ErrPayload},
	{"payload cut off", forge(plainHead, good[:len(good)-1]), jwt.ErrPayload},
	{"payload cut off in a string", forge(plainHead, `{"sub":"ali`), jwt.ErrPayload},
	{"payload cut off in an escape", forge(plainHead, `{"sub":"ali\`), jwt.ErrPayload},
	{"payload cut off in a code point", forge(plainHead, `{"sub":"ali\u00`), jwt.ErrPayload},
	{"payload without a colon", forge(plainHead, with(`"x" 1`)), jwt.ErrPayload},
	{"payload without a comma", forge(plainHead, `{"sub":"alice" "exp":4000000000}`), jwt.ErrPayload},
	{"payload with two commas", forge(plainHead, `{"sub":"alice",,"exp":4000000000}`), jwt.ErrPayload},
	{"payload with a leading comma", forge(plainHead, `{,"sub":"alice"}`), jwt.ErrPayload},
	{"payload with a trailing comma", forge(plainHead, `{"sub":"alice",}`), jwt.ErrPayload},
	{"payload with the wrong end", forge(plainHead, `{"sub":"alice"]`), jwt.ErrPayload},
	{"array with a trailing comma", forge(plainHead, with(`"x":[1,]`)), jwt.ErrPayload},
	{"array with the wrong end", forge(plainHead, with(`"x":[1}`)), jwt.ErrPayload},
	{"member without a value", forge(plainHead, with(`"x":`)), jwt.ErrPayload},
	{"name without quotes", forge(plainHead, with(`x:1`)), jwt.ErrPayload},
	{"name a number", forge(plainHead, with(`1:1`)), jwt.ErrPayload},
	{"comment", forge(plainHead, good+"// x"), jwt.ErrPayload},
	{"NaN", forge(plainHead, with(`"x":NaN`)), jwt.ErrPayload},
	{"Infinity", forge(plainHead, with(`"x":Infinity`)), jwt.ErrPayload},
	{"-Infinity", forge(plainHead, with(`"x":-Infinity`)), jwt.ErrPayload},
	{"True", forge(plainHead, with(`"x":True`)), jwt.ErrPayload},
	{"nul", forge(plainHead, with(`"x":nul`)), jwt.ErrPayload},
	{"nulll", forge(plainHead, with(`"x":nulll`)), jwt.ErrPayload},
	{"number with a plus", forge(plainHead, with(`"x":+1`)), jwt.ErrPayload},
	{"number with a leading zero", forge(plainHead, with(`"x":01`)), jwt.ErrPayload},
	{"negative number with a leading zero", forge(plainHead, with(`"x":-01`)), jwt.ErrPayload},
	{"number that begins with a point", forge(plainHead, with(`"x":.5`)), jwt.ErrPayload},
	{"number that ends with a point", forge(plainHead, with(`"x":5.`)), jwt.ErrPayload},
	{"number with an empty exponent", forge(plainHead, with(`"x":5e`)), jwt.ErrPayload},
	{"number with a sign for an exponent", forge(plainHead, with(`"x":5e+`)), jwt.ErrPayload},
	{"minus", forge(plainHead, with(`"x":-`)), jwt.ErrPayload},
	{"two minuses", forge(plainHead, with(`"x":--1`)), jwt.ErrPayload},
	{"number in hex", forge(plainHead, with(`"x":0x10`)), jwt.ErrPayload},
	{"number with an underscore", forge(plainHead, with(`"x":1_000`)), jwt.ErrPayload},
	{"number of other digits", forge(plainHead, with(`"x":١`)), jwt.ErrPayload},
	{"raw newline in a string", forge(plainHead, with("\"x\":\"a\nb\"")), jwt.ErrPayload},
	{"raw tab in a string", forge(plainHead, with("\"x\":\"a\tb\"")), jwt.ErrPayload},
	{"raw NUL in a string", forge(plainHead, with("\"x\":\"a\x00b\"")), jwt.ErrPayload},
	{"raw control character late in a long string", forge(plainHead, with("\"x\":\"aaaaaaaaaaaaaaaaaaaaa\x1fb\"")), jwt.ErrPayload},
	{"unknown escape", forge(plainHead, with(`"x":"\x41"`)), jwt.ErrPayload},
	{"escaped quote of another kind", forge(plainHead, with(`"x":"\'"`)), jwt.ErrPayload},
	{"escape in upper case", forge(plainHead, with(`"x":"\U0041"`)), jwt.ErrPayload},
	{"code point with a sign", forge(plainHead, with(`"x":"\u+041"`)), jwt.ErrPayload},
	{"code point too short", forge(plainHead, with(`"x":"\u041"`)), jwt.ErrPayload},
	{"lone high surrogate", forge(plainHead, with(`"x":"\ud83d"`)), jwt.ErrPayload},
	{"lone low surrogate", forge(plainHead, with(`"x":"\ude00"`)), jwt.ErrPayload},
	{"two high surrogates", forge(plainHead, with(`"x":"\ud83d\ud83d"`)), jwt.ErrPayload},
	{"surrogates in the wrong order", forge(plainHead, with(`"x":"\ude00\ud83d"`)), jwt.ErrPayload},
	{"high surrogate and a letter", forge(plainHead, with(`"x":"\ud83dabcdef"`)), jwt.ErrPayload},
	{"lone surrogate in a name", forge(plainHead, with(`"\ud800":1`)), jwt.ErrPayload},
	{"lone surrogate in what is skipped", forge(plainHead, with(`"x":[{"y":"\udfff"}]`)), jwt.ErrPayload},
	{"broken UTF-8", forge(plainHead, with("\"x\":\"\xff\"")), jwt.ErrPayload},
	{"broken UTF-8 in sub", forge(plainHead, "{\"sub\":\"ali\xffce\",\"exp\":4000000000}"), jwt.ErrPayload},
	{"overlong UTF-8", forge(plainHead, with("\"x\":\"\xc0\xaf\"")), jwt.ErrPayload},
	{"UTF-8 beyond Unicode", forge(plainHead, with("\"x\":\"\xf4\x90\x80\x80\"")), jwt.ErrPayload},
	{"UTF-8 cut off", forge(plainHead, with("\"x\":\"\xe2\x82\"")), jwt.ErrPayload},
	{"broken UTF-8 between members", forge(plainHead, good[:len(good)-1]+"\xff}"), jwt.ErrPayload},

	{"payload a JWT", forge(`{"alg":"HS256","cty":"JWT"}`, forge(plainHead, good)), jwt.ErrPayload},
	{"payload a JWT in a string", forge(`{"alg":"HS256","cty":"JWT"}`, `"`+forge(plainHead, good)+`"`), jwt.ErrPayload},
	{"payload deflated", forge(`{"alg":"HS256","zip":"DEF"}`, "\xabV*.MR\xb2RJ\xccIU\xd2QJ\xad(P\xb2\xb2\xad\x05\x00"), jwt.ErrPayload},
	{"payload in UTF-16", forge(plainHead, "\xff\xfe{\x00}\x00"), jwt.ErrPayload},
	{"payload in UTF-16 without a mark", forge(plainHead, "{\x00}\x00"), jwt.ErrPayload},
	{"payload of the whole alphabet with a slash", forgeRaw(b64(plainHead), b64(good)[:4]+"/"+b64(good)[5:]), jwt.ErrPayload},
	{"payload with padding within", forgeRaw(b64(plainHead), b64(good)[:4]+"===="+b64(good)[4:]), jwt.ErrPayload},
	{"payload of one character", forgeRaw(b64(plainHead), "A"), jwt.ErrPayload},
	{"exp NaN", forge(plainHead, `{"exp":NaN}`), jwt.ErrPayload},
	{"exp in hex", forge(plainHead, `{"exp":0xEE6B2800}`), jwt.ErrPayload},
	{"exp with a leading zero", forge(plainHead, `{"exp":04000000000}`), jwt.ErrPayload},
	{"exp with a plus", forge(plainHead, `{"exp":+4000000000}`), jwt.ErrPayload},
	{"exp with an underscore", forge(plainHead, `{"exp":4_000_000_000}`), jwt.ErrPayload},
	{"exp of Arabic digits", forge(plainHead, `{"exp":٤٠٠٠٠٠٠٠٠٠}`), jwt.ErrPayload},
	{"exp of full-width digits", forge(plainHead, `{"exp":４０００００００００}`), jwt.ErrPayload},
	{"exp Infinity", forge(plainHead, `{"exp":Infinity}`), jwt.ErrPayload},
	{"exp a minus", forge(plainHead, `{"exp":-}`), jwt.ErrPayload},

	// Names twice.
	{"exp twice by an escape", forge(plainHead, `{"exp":1,"\u0065xp":4000000000}`), jwt.ErrPayload},
	{"exp twice by an escape, turned", forge(plainHead, `{"e\u0078p":4000000000,"exp":1}`), jwt.ErrPayload},
	{"aud twice by an escape", forge(plainHead, with(`"aud":"a","\u0061ud":"b"`)), jwt.ErrPayload},
	{"twice role, once null", forge(plainHead, with(`"role":"admin","role":null`)), jwt.ErrPayload},
	{"__proto__ twice", forge(plainHead, with(`"__proto__":{},"__proto__":{}`)), jwt.ErrPayload},
	{"sub twice", forge(plainHead, `{"sub":"a","sub":"alice","exp":4000000000}`), jwt.ErrPayload},
	{"sub twice, the same", forge(plainHead, `{"sub":"a","sub":"a","exp":4000000000}`), jwt.ErrPayload},
	{"sub twice by an escape", forge(plainHead, `{"sub":"a","\u0073ub":"alice","exp":4000000000}`), jwt.ErrPayload},
	{"sub twice by another escape", forge(plainHead, `{"s\u0075b":"a","\u0073ub":"alice","exp":4000000000}`), jwt.ErrPayload},
	{"exp twice", forge(plainHead, `{"exp":1,"exp":4000000000}`), jwt.ErrPayload},
	{"exp twice, with null", forge(plainHead, `{"exp":4000000000,"exp":null}`), jwt.ErrPayload},
	{"claim of ours twice", forge(plainHead, with(`"role":"user","role":"admin"`)), jwt.ErrPayload},
	{"claim of ours twice by an escape", forge(plainHead, with(`"role":"user","rol\u0065":"admin"`)), jwt.ErrPayload},
	{"unknown claim twice", forge(plainHead, with(`"x":1,"y":2,"x":3`)), jwt.ErrPayload},
	{"empty name twice", forge(plainHead, with(`"":1,"":2`)), jwt.ErrPayload},
	{"slash twice by an escape", forge(plainHead, with(`"a/b":1,"a\/b":2`)), jwt.ErrPayload},
	{"emoji twice by an escape", forge(plainHead, with(`"😀":1,"\ud83d\ude00":2`)), jwt.ErrPayload},
	{"name twice in an object", forge(plainHead, with(`"x":{"a":1,"a":2}`)), jwt.ErrPayload},
	{"name twice far down", forge(plainHead, with(`"x":[[{"y":[{"a":1,"b":{},"a":2}]}]]`)), jwt.ErrPayload},
	{"name twice among many", forge(plainHead, with(many(40)+`,"n7":1`)), jwt.ErrPayload},
	{"name twice among many in an object", forge(plainHead, with(`"x":{`+many(40)+`,"n39":1}`)), jwt.ErrPayload},
	{"name twice, the first of many", forge(plainHead, with(`"x":{`+many(17)+`,"n0":1}`)), jwt.ErrPayload},

	// Depth.
	{"deep arrays", forge(plainHead, with(`"x":`+strings.Repeat("[", 32)+strings.Repeat("]", 32))), jwt.ErrPayload},
	{"deep objects", forge(plainHead, with(`"x":`+strings.Repeat(`{"a":`, 32)+"1"+strings.Repeat("}", 32))), jwt.ErrPayload},
	{"arrays that do not end", forge(plainHead, `{"x":`+strings.Repeat("[", 5000)), jwt.ErrPayload},
	{"objects that do not end", forge(plainHead, strings.Repeat(`{"a":`, 1000)), jwt.ErrPayload},

	// Registered claims of the wrong type. Null is no way to have none.
	{"exp a string", forge(plainHead, `{"exp":"4000000000"}`), jwt.ErrClaim},
	{"exp null", forge(plainHead, `{"exp":null}`), jwt.ErrClaim},
	{"exp true", forge(plainHead, `{"exp":true}`), jwt.ErrClaim},
	{"exp an array", forge(plainHead, `{"exp":[4000000000]}`), jwt.ErrClaim},
	{"exp an object", forge(plainHead, `{"exp":{"a":1}}`), jwt.ErrClaim},
	{"exp beyond a float64", forge(plainHead, `{"exp":1e400}`), jwt.ErrClaim},
	{"exp empty", forge(plainHead, `{"exp":""}`), jwt.ErrClaim},
	{"exp a date in words", forge(plainHead, `{"exp":"2096-10-02T07:06:40Z"}`), jwt.ErrClaim},
	{"exp a fraction as a string", forge(plainHead, `{"exp":"4e9"}`), jwt.ErrClaim},
	{"iat beyond a float64", forge(plainHead, with(`"iat":1e400`)), jwt.ErrClaim},
	{"aud with a nested object", forge(plainHead, with(`"aud":["api",{"api":1}]`)), jwt.ErrClaim},
	{"aud true", forge(plainHead, with(`"aud":true`)), jwt.ErrClaim},
	{"iss an object", forge(plainHead, with(`"iss":{"https://auth":1}`)), jwt.ErrClaim},
	{"iss false", forge(plainHead, with(`"iss":false`)), jwt.ErrClaim},
	{"sub null", forge(plainHead, `{"sub":null,"exp":4000000000}`), jwt.ErrClaim},
	{"sub an array", forge(plainHead, `{"sub":["alice"],"exp":4000000000}`), jwt.ErrClaim},
	{"jti null", forge(plainHead, with(`"jti":null`)), jwt.ErrClaim},
	{"exp beyond a float64, negative", forge(plainHead, `{"exp":-1e400}`), jwt.ErrClaim},
	{"nbf a string", forge(plainHead, with(`"nbf":"1"`)), jwt.ErrClaim},
	{"nbf null", forge(plainHead, with(`"nbf":null`)), jwt.ErrClaim},
	{"iat a string", forge(plainHead, with(`"iat":"1"`)), jwt.ErrClaim},
	{"iat null", forge(plainHead, with(`"iat":null`)), jwt.ErrClaim},
	{"iss a number", forge(plainHead, with(`"iss":1`)), jwt.ErrClaim},
	{"iss null", forge(plainHead, with(`"iss":null`)), jwt.ErrClaim},
	{"iss an array", forge(plainHead, with(`"iss":["https://auth"]`)), jwt.ErrClaim},
	{"sub a number", forge(plainHead, `{"sub":1,"exp":4000000000}`), jwt.ErrClaim},
	{"sub an object", forge(plainHead, `{"sub":{},"exp":4000000000}`), jwt.ErrClaim},
	{"aud a number", forge(plainHead, with(`"aud":1`)), jwt.ErrClaim},
	{"aud null", forge(plainHead, with(`"aud":null`)), jwt.ErrClaim},
	{"aud an object", forge(plainHead, with(`"aud":{"api":1}`)), jwt.ErrClaim},
	{"aud of mixed types", forge(plainHead, with(`"aud":["api",1]`)), jwt.ErrClaim},
	{"aud with null", forge(plainHead, with(`"aud":["api",null]`)), jwt.ErrClaim},
	{"aud nested", forge(plainHead, with(`"aud":[["api"]]`)), jwt.ErrClaim},
	{"jti a number", forge(plainHead, with(`"jti":1`)), jwt.ErrClaim},
	{"sid a number", forge(plainHead, with(`"sid":1`)), jwt.ErrClaim},
	{"auth_time a string", forge(plainHead, with(`"auth_time":"1"`)), jwt.ErrClaim},

	// Claims of T that do not fit.
	{"role a number", forge(plainHead, with(`"role":1`)), jwt.ErrPayload},
	{"id a string", forge(plainHead, with(`"id":"1"`)), jwt.ErrPayload},
	{"id a fraction", forge(plainHead, with(`"id":1.5`)), jwt.ErrPayload},
	{"id with an exponent", forge(plainHead, with(`"id":1e3`)), jwt.ErrPayload},
	{"id beyond int64", forge(plainHead, with(`"id":9223372036854775808`)), jwt.ErrPayload},
	{"id an object", forge(plainHead, with(`"id":{}`)), jwt.ErrPayload},

	// Times.
	{"exp in the past", forge(plainHead, `{"exp":1000000000}`), jwt.ErrExpired},
	{"exp zero", forge(plainHead, `{"exp":0}`), jwt.ErrExpired},
	{"exp minus zero", forge(plainHead, `{"exp":-0}`), jwt.ErrExpired},
	{"exp minus zero point zero", forge(plainHead, `{"exp":-0.0}`), jwt.ErrExpired},
	{"exp negative", forge(plainHead, `{"exp":-4000000000}`), jwt.ErrExpired},
	{"exp a past fraction", forge(plainHead, `{"exp":1000000000.9}`), jwt.ErrExpired},
	{"exp a past exponent", forge(plainHead, `{"exp":1e9}`), jwt.ErrExpired},
	{"exp tiny", forge(plainHead, `{"exp":1e-400}`), jwt.ErrExpired},
	{"exp the least int64", forge(plainHead, `{"exp":-9223372036854775808}`), jwt.ErrExpired},
	{"exp below int64", forge(plainHead, `{"exp":-9223372036854775809}`), jwt.ErrExpired},
	{"exp very negative", forge(plainHead, `{"exp":-1e300}`), jwt.ErrExpired},
	{"exp past and Exp later", forge(plainHead, `{"exp":1000000000,"Exp":4000000000}`), jwt.ErrExpired},
	{"exp past and EXP later", forge(plainHead, `{"EXP":4000000000,"exp":1000000000}`), jwt.ErrExpired},
	{"nbf later", forge(plainHead, with(`"nbf":3900000000`)), jwt.ErrNotYetValid},
	{"exp a second ago in digits without end", forge(plainHead, `{"exp":1000000000.`+strings.Repeat("9", 2000)+`}`), jwt.ErrExpired},
	{"exp past by its exponent", forge(plainHead, `{"exp":4000000000e-1}`), jwt.ErrExpired},
	{"exp minus a fraction", forge(plainHead, `{"exp":-0.5}`), jwt.ErrExpired},
	{"exp past and eXp later", forge(plainHead, `{"eXp":4000000000,"exp":1}`), jwt.ErrExpired},
	{"iat later as an exponent", forge(plainHead, with(`"iat":3.9e9`)), jwt.ErrNotYetValid},
	{"nbf later as a fraction", forge(plainHead, with(`"nbf":3900000000.5`)), jwt.ErrNotYetValid},
	{"nbf far", forge(plainHead, with(`"nbf":1e300`)), jwt.ErrClaim},
	{"nbf after exp", forge(plainHead, with(`"nbf":4000000001`)), jwt.ErrClaim},
	{"nbf at exp", forge(plainHead, with(`"nbf":4000000000`)), jwt.ErrClaim},
	{"iat later", forge(plainHead, with(`"iat":3900000000`)), jwt.ErrNotYetValid},
	{"iat far", forge(plainHead, with(`"iat":1e18`)), jwt.ErrNotYetValid},
}

// loose sets a bit that belongs to no byte.
func loose(encoded string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(encoded) - 1
	return encoded[:last] + string(alphabet[strings.IndexByte(alphabet, encoded[last])|1])
}

func many(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(`"n%d":%d`, i, i))
	}
	return strings.Join(out, ",")
}

// Each hostile token is refused for its reason, whether claims are a struct or a
// map, and nothing of it is returned. A Verifier with a cache says the same, twice.
func TestVerifierRefusesHostileTokens(t *testing.T) {
	cfg := lax(keys())
	ofStruct := jwt.MustNewVerifier[user](cfg)
	cfg.Cache = 64
	cached := jwt.MustNewVerifier[user](cfg)
	ofMap := jwt.MustNewVerifier[map[string]any](lax(keys()))
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			c, err := ofStruct.Verify(t.Context(), h.tok)
			requireCause(t, h.want, err)
			require.Zero(t, c)
			into := alice()
			requireCause(t, h.want, ofStruct.VerifyInto(t.Context(), []byte(h.tok), &into))
			require.Zero(t, into, "what was there before is gone as well")
			for range 2 {
				_, err = cached.Verify(t.Context(), h.tok)
				requireCause(t, h.want, err)
			}
			m, err := ofMap.Verify(t.Context(), h.tok)
			if strings.HasPrefix(h.name, "role ") || strings.HasPrefix(h.name, "id ") {
				require.NoError(t, err, "any type fits a map")
				return
			}
			requireCause(t, h.want, err)
			require.Nil(t, m)
		})
	}
}

// harmless are odd tokens that must be accepted.
var harmless = []struct{ name, tok string }{
	{"plain", forge(plainHead, good)},
	{"header without typ", forge(`{"alg":"HS256"}`, good)},
	{"header in another order", forge(`{"typ":"JWT","alg":"HS256"}`, good)},
	{"header with white space", forge(" {\r\n\t\"alg\" : \"HS256\" } \n", good)},
	{"header with an unknown member", forge(`{"alg":"HS256","x":[1,{"alg":"none"}]}`, good)},
	{"header with Alg beside", forge(`{"alg":"HS256","Alg":"none"}`, good)},
	{"header with cty", forge(`{"alg":"HS256","cty":"JWT"}`, good)},
	{"header with an escape", forge(`{"\u0061lg":"\u0048S256"}`, good)},
	{"kid that names no key, where one has no name", forge(`{"alg":"HS256","kid":"other"}`, good)},
	{"payload with white space", forge(plainHead, " {\n\t\"sub\" :\r \"alice\" , \"exp\" : 4000000000 } ")},
	{"exp a fraction", forge(plainHead, `{"exp":4000000000.5}`)},
	{"exp an exponent", forge(plainHead, `{"exp":4E+9}`)},
	{"exp a fraction with an exponent", forge(plainHead, `{"exp":0.4e10}`)},
	{"exp beyond int64", forge(plainHead, `{"exp":9223372036854775808}`)},
	{"exp far beyond int64", forge(plainHead, `{"exp":1e300}`)},
	{"no exp, which is waived", forge(plainHead, `{}`)},
	{"aud empty, which is waived", forge(plainHead, with(`"aud":[]`))},
	{"nbf and iat past", forge(plainHead, with(`"nbf":1000000000,"iat":-5.5`))},
	{"null for a claim of ours", forge(plainHead, with(`"role":null,"id":null`))},
	{"unknown claims of all kinds", forge(plainHead, with(`"a":[],"b":{},"c":[[]],"d":null,"e":true,"f":false,"g":-0.1e-5,"h":"\"\\\/\b\f\n\r\t\u0000"`))},
	{"the same name at different depths", forge(plainHead, with(`"x":{"x":{"sub":1}},"y":[{"x":1},{"x":2}]`))},
	{"names that differ in case", forge(plainHead, with(`"Sub":1,"SUB":2,"eXp":null`))},
	{"many names", forge(plainHead, with(many(300)))},
	{"depth of 32", forge(plainHead, with(`"x":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)))},
	{"claims in any script", forge(plainHead, with(`"имя":"日本語 😀","x":"\ud83d\ude00"`))},
	{"surrogates next to each other", forge(plainHead, with(`"x":"\ud83d\ude00\ud83d\ude01"`))},
	{"__proto__ and constructor", forge(plainHead, with(`"__proto__":{"role":"admin"},"constructor":{"prototype":{"role":"admin"}}`))},
	{"zip, which is for JWE", forge(`{"alg":"HS256","zip":"DEF"}`, good)},
	{"kid a path, where one has no name", forge(`{"alg":"HS256","kid":"../../../../dev/null"}`, good)},
	{"escaped slashes in iss", forge(plainHead, with(`"iss":"https:\/\/auth"`))},
	{"id the least int64", forge(plainHead, with(`"id":-9223372036854775808`))},
	{"very long string", forge(plainHead, with(`"x":"`+strings.Repeat("é", 2000)+`"`))},
}

func TestVerifierAcceptsOddButValidTokens(t *testing.T) {
	cfg := lax(keys())
	cfg.Cache = 8
	ofStruct := jwt.MustNewVerifier[user](cfg)
	ofMap := jwt.MustNewVerifier[map[string]any](cfg)
	for _, h := range harmless {
		for range 2 {
			_, err := ofStruct.Verify(t.Context(), h.tok)
			require.NoError(t, err, h.name)
			m, err := ofMap.Verify(t.Context(), h.tok)
			require.NoError(t, err, h.name)
			require.NotNil(t, m)
		}
	}
}

// Keys that come with a token are never used: not looked at, whatever they are.
func TestVerifierIgnoresEmbeddedKeys(t *testing.T) {
	mine := []byte("the attacker's own key of 32 byte")
	jwk := `{"kty":"oct","k":"` + b64(string(mine)) + `"}`
	v := jwt.MustNewVerifier[user](lax(keys()))
	for _, name := range []string{"jwk", "jku", "x5u", "x5c", "x5t"} {
		head := b64(`{"alg":"HS256","` + name + `":` + jwk + `}`)
		input := head + "." + b64(good)
		_, err := v.Verify(t.Context(), input+"."+mac(input, mine))
		requireCause(t, jwt.ErrSignature, err, name)
		_, err = v.Verify(t.Context(), forgeRaw(head, b64(good)))
		require.NoError(t, err, name)
	}
}

// Every change of one byte and every truncation of a valid token is refused, and
// so is every insertion of a byte that decoders like to skip.
func TestVerifierRefusesEveryMutation(t *testing.T) {
	k := keys()
	tok, err := issuer(k).Sign(alice())
	require.NoError(t, err)
	v := jwt.MustNewVerifier[user](strict(k))
	_, err = v.Verify(t.Context(), tok)
	require.NoError(t, err)
	var c user
	bad := []byte(tok)
	for i := range bad {
		for d := 1; d < 256; d++ {
			bad[i] = tok[i] ^ byte(d)
			if v.VerifyInto(t.Context(), bad, &c) == nil {
				t.Fatalf("accepted with byte %d changed to %q", i, bad[i])
			}
		}
		bad[i] = tok[i]
	}
	for i := range tok {
		require.Error(t, v.VerifyInto(t.Context(), []byte(tok[:i]), &c))
		require.Error(t, v.VerifyInto(t.Context(), []byte(tok[i+1:]), &c))
		for _, b := range "\n\r \t\x00=.A" {
			require.Error(t, v.VerifyInto(t.Context(), []byte(tok[:i]+string(b)+tok[i:]), &c))
		}
	}
}

// A signature that is right but spelled otherwise is another signature.
func TestVerifierTakesOneSpellingOfASignature(t *testing.T) {
	v := jwt.MustNewVerifier[user](lax(keys()))
	tok := forge(plainHead, good)
	for _, bad := range []string{
		tok[:len(tok)-43] + loose(tok[len(tok)-43:]),
		tok[:len(tok)-1] + "=",
		tok[:len(tok)-43] + strings.NewReplacer("-", "+", "_", "/").Replace(tok[len(tok)-43:]) + "",
	} {
		if bad == tok {
			continue // it happens to have neither - nor _
		}
		_, err := v.Verify(t.Context(), bad)
		requireCause(t, jwt.ErrSignature, err)
	}
}

// Whoever has no key learns nothing of what a payload would have done: the
// signature comes first.
func TestVerifierChecksTheSignatureBeforeThePayload(t *testing.T) {
	v := jwt.MustNewVerifier[user](lax(keys()))
	for _, payload := range []string{b64(`{"exp":1}`), "!!!", b64(`{"a":1,"a":1}`), "", strings.Repeat("A", 5000)} {
		_, err := v.Verify(t.Context(), b64(plainHead)+"."+payload+"."+strings.Repeat("A", 43))
		requireCause(t, jwt.ErrSignature, err)
	}
}
