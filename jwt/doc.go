// Package jwt signs and verifies JSON Web Tokens with HMAC-SHA-256, gives
// sessions of short access tokens and refresh tokens that work once, and rotates
// keys on a schedule. It knows HS256 and nothing else: who issues and who verifies
// share a secret. What is not exactly right is refused.
//
// # Usage
//
// Claims are a struct of yours, in which Registered is embedded:
//
//	type Claims struct {
//		jwt.Registered
//		Name string `json:"name"`
//		Role string `json:"role"`
//	}
//
// A KeySet has the keys. Issuers sign with it, Verifiers check, and each says
// what it stands for:
//
//	keys := jwt.MustNewKeySet(key)
//	issuer := jwt.MustNewIssuer[Claims](jwt.IssuerConfig{Keys: keys, Issuer: "https://auth.example", Audience: []string{"api"}})
//	verifier := jwt.MustNewVerifier[Claims](jwt.VerifierConfig{
//		Keys: keys, Issuer: jwt.Is("https://auth.example"), Audience: jwt.Is("api"), Subject: jwt.Present(), Type: jwt.Is("JWT"),
//		Leeway: 30 * time.Second,
//	})
//
//	token, err := issuer.Sign(Claims{Registered: jwt.Registered{Subject: "alice"}, Role: "admin"})
//	if err != nil {
//		fmt.Println(err)
//		return
//	}
//	claims, err := verifier.Verify(ctx, token)
//
// What a Verifier is not to check is waived by name, with Any; one that leaves it
// open is an error. A method Validate(context.Context) error of *Claims is the
// last check. Package jwthttp has the middleware, jwttest makes bad tokens for
// your tests, jwtredis keeps sessions for several processes.
//
// Sessions are for logins:
//
//	pair, err := sessions.Start(ctx, claims)             // after the password was right
//	pair, err = sessions.Refresh(ctx, pair.Refresh)      // before the access token ends
//	err = sessions.Revoke(ctx, "alice", pair.Session)    // logout
//
// Keys rotate without logging anybody out: the next one is known to all before it
// signs, and the last one verifies until its last token has ended.
//
//	err = keys.Rotate(next, jwt.Rotation{SignFrom: time.Now().Add(time.Hour)})
//
// # Guarantees
//
//   - The algorithm is HS256, whatever a header says. A header must be a strict
//     JSON object with "alg":"HS256" in it once; crit and b64 are refused, keys
//     that come with a token (jwk, jku, x5u, x5c) are never used.
//   - One key is tried, the one that kid names, or that without a name. Its
//     secret has 32 bytes at least, and shows in no log, print or JSON.
//   - Nothing of a payload is looked at before the signature holds. Signatures
//     are compared in constant time and in their encoded form, so that each token
//     has one spelling.
//   - A payload is one strict JSON object in canonical base64url: UTF-8, no name
//     twice at any depth, names matched exactly, no deeper than 32. An exp of 0,
//     "5" or null is never taken for none.
//   - The error of a refusal matches exactly one sentinel, that of the first check
//     that failed: size, shape, header, algorithm, key, signature, payload, type,
//     times, issuer, audience, subject, revocation, Validate. The claims are zero
//     then.
//   - Hostile input costs time and memory in proportion to MaxBytes, 8 KiB.
//   - An Issuer never overrides a claim in silence and makes no token without end,
//     nor one whose JSON its Verifier would refuse. Claims that refer to themselves,
//     or are longer than its MaxBytes, are an error.
//   - A refresh token works once, but for a grace in which it returns the same
//     pair again, so that two tabs do not log each other out. Used later it ends
//     the session. No refresh moves the end of a session.
//   - What fails, fails closed: a store that cannot be asked refuses the token.
//   - No goroutines and no timers. All types may be package variables and be used
//     in synctest bubbles.
//
// # Context
//
// A ctx that is done before the call is an error, and no code of yours is called.
// Verify waits for nothing but Revocation and Validate, Sessions for their store
// and Load; all get the caller's ctx. If it is done when the store or Load fails,
// the error matches both ctx.Err() and context.Cause(ctx).
//
// # When not to use it
//
// If others must verify without being able to sign, they need a public key and
// another library. A session in one service needs no token with claims: a random
// string and a table are simpler, and end at once. Claims can be read by whoever
// has the token; for secrets use encryption. And a token is not the place for what
// changes, for it is true until it ends.
//
// # How it works
//
// The header that an Issuer here would write is recognised byte by byte; any other
// is read. An HMAC with the secret mixed in is taken from a pool of the key's. A
// payload is decoded into a buffer, copied once as a string, and read in a single
// pass that checks and fills the claims at once; strings are parts of that copy,
// so a claim that is kept keeps the payload. How a type is read and written is
// compiled when the Verifier or Issuer is made, by reflection and without unsafe.
// Fields with JSON methods of their own are left to these: what they read was
// checked before, what they write is checked after. Numbers in a map[string]any
// are float64.
//
// VerifierConfig.Cache remembers tokens whose signature held. Everything else is
// checked each time, and any change of the keys empties it. DESIGN.md has the
// format of sessions, the interleavings and the roads not taken.
//
// # Performance
//
// Of a small token most of the time is the HMAC, twice two blocks of SHA-256. To
// verify costs one allocation and one for an audience that T has a field for; to
// refuse a bad signature one; to sign the token itself, and into a buffer none.
// Slices, maps, pointers and methods in T cost their own. DESIGN.md has
// measurements.
package jwt
