package jwt

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// jwk is what counts of a JSON Web Key (RFC 7517). Other members are ignored.
type jwk struct {
	KeyType    string   `json:"kty"`
	Use        string   `json:"use"`
	Operations []string `json:"key_ops"`
	Algorithm  string   `json:"alg"`
	ID         string   `json:"kid"`
	Secret     string   `json:"k"`
	Keys       []jwk    `json:"keys"`
}

// ParseJWK returns the key in a JSON Web Key of type oct. It is as strict as
// everything here, and refuses a key that is meant for another algorithm, use or
// operation.
func ParseJWK(data []byte) (Key, error) {
	j, err := parseJWK(data)
	if err != nil {
		return Key{}, err
	}
	return j.key()
}

// ParseJWKSet returns the keys of a JWK Set. One key that ParseJWK would refuse
// refuses them all: a set with keys of other algorithms is no set for HS256, and
// which key a token was meant for would be a guess.
func ParseJWKSet(data []byte) ([]Key, error) {
	set, err := parseJWK(data)
	if err != nil {
		return nil, err
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("jwt: JWK Set has no keys")
	}
	var out ring
	keys := make([]Key, 0, len(set.Keys))
	for i := range set.Keys {
		k, err := set.Keys[i].key()
		if err == nil {
			err = out.check(k)
		}
		if err != nil {
			return nil, fmt.Errorf("%w, in key %d of the JWK Set", err, i)
		}
		out.keys = append(out.keys, placed{key: k})
		keys = append(keys, k)
	}
	return keys, nil
}

func parseJWK(data []byte) (*jwk, error) {
	const most = 1 << 20
	if len(data) > most {
		return nil, fmt.Errorf("jwt: JWK has %d bytes, want ≤ %d", len(data), most)
	}
	p, err := makeCompiler().structOf(reflect.TypeFor[jwk]())
	if err != nil {
		return nil, err
	}
	var d decoder
	j := new(jwk)
	if err = d.begin(data); err == nil {
		d.space()
		if d.peek() != '{' {
			err = errMismatch
		} else if err = p.read(&d, reflect.ValueOf(j).Elem()); err == nil {
			err = d.finish()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("jwt: JWK cannot be read: %w", err)
	}
	return j, nil
}

func (j *jwk) key() (Key, error) {
	switch {
	case j.KeyType != "oct":
		return Key{}, fmt.Errorf("jwt: JWK has the kty %q, want oct", j.KeyType)
	case j.Algorithm != "" && j.Algorithm != "HS256":
		return Key{}, fmt.Errorf("jwt: JWK has the alg %q, want HS256", j.Algorithm)
	case j.Use != "" && j.Use != "sig":
		return Key{}, fmt.Errorf("jwt: JWK has the use %q, want sig", j.Use)
	case j.Operations != nil && (!slices.Contains(j.Operations, "sign") || !slices.Contains(j.Operations, "verify")):
		return Key{}, fmt.Errorf("jwt: JWK has the key_ops %q, want sign and verify", j.Operations)
	}
	secret, ok := appendDecoded(nil, []byte(j.Secret))
	if !ok {
		return Key{}, errors.New("jwt: k of a JWK is not canonical base64url")
	}
	return NewKey(j.ID, secret)
}

// JWK returns the key as a JSON Web Key, secret included: what it returns belongs
// where secrets are stored, and nowhere else. It is nil for the zero Key.
func (k Key) JWK() []byte {
	if k.open == nil {
		return nil
	}
	out := []byte(`{"kty":"oct","use":"sig","alg":"HS256"`)
	if k.id != "" {
		out = append(append(append(out, `,"kid":"`...), k.id...), '"')
	}
	out = append(out, `,"k":"`...)
	return append(base64.RawURLEncoding.AppendEncode(out, k.open().secret), `"}`...)
}
