package jwt

import (
	"bytes"
	"strings"
)

// maxHeader bounds the encoded header, which may be long where a foreign issuer
// puts certificates into it, all ignored.
const maxHeader = 4096

// split cuts a token at its two dots. The signature of HS256 has a fixed length,
// so the second dot has a fixed place, and a token is looked at once.
func split(tok []byte) (header, payload, signature []byte, ok bool) {
	last := len(tok) - sigLen - 1
	if last < 1 || tok[last] != '.' {
		return nil, nil, nil, false
	}
	first := bytes.IndexByte(tok[:min(last, maxHeader+1)], '.')
	if first < 1 || bytes.IndexByte(tok[first+1:last], '.') >= 0 || bytes.IndexByte(tok[last+1:], '.') >= 0 {
		return nil, nil, nil, false
	}
	return tok[:first], tok[first+1 : last], tok[last+1:], true
}

// header is what counts of a header.
type header struct {
	alg, kid, typ string
}

// readHeader reads a header of any order and spelling. What it may demand
// (crit, b64) is refused; keys that come with the token (jwk, jku, x5u, x5c) are
// not looked at.
func readHeader(d *decoder, buf, encoded []byte) (h header, _ []byte, err error) {
	buf, ok := appendDecoded(buf[:0], encoded)
	if !ok {
		return h, buf, refuse(ErrHeader)
	}
	demand, err := h.read(d, buf)
	switch {
	case err != nil:
		return h, buf, &Error{Code: ErrHeader, Claim: d.claim, Err: err}
	case demand != "":
		return h, buf, refuseClaim(ErrCritical, demand)
	}
	return h, buf, nil
}

// read reads the header in b and returns the name of a demand in it.
func (h *header) read(d *decoder, b []byte) (demand string, err error) {
	if err := d.begin(b); err != nil {
		return "", err
	}
	d.space()
	if err := d.open('{'); err != nil {
		return "", err
	}
	sc := scope{base: len(d.names)}
	for first := true; ; first = false {
		ok, err := d.more('}', first)
		if err != nil {
			return "", err
		}
		if !ok {
			break
		}
		name, err := d.name()
		if err != nil {
			return "", err
		}
		d.claim = name
		if err := d.once(&sc, name); err != nil {
			return "", err
		}
		switch name {
		case "alg":
			h.alg, err = d.ifText()
		case "kid":
			h.kid, err = d.mustText()
			if err == nil && (h.kid == "" || checkKeyID(h.kid) != nil) {
				err = errMismatch
			}
		case "typ":
			h.typ, err = d.mustText()
		case "crit", "b64":
			demand = name
			err = d.skip()
		default:
			err = d.skip()
		}
		if err != nil {
			return "", err
		}
	}
	d.claim = ""
	return demand, d.finish()
}

// ifText reads a string, or skips a value that is none.
func (d *decoder) ifText() (string, error) {
	if d.peek() != '"' {
		return "", d.skip()
	}
	return d.text()
}

func (d *decoder) mustText() (string, error) {
	if d.peek() != '"' {
		return "", errMismatch
	}
	return d.text()
}

// mediaType brings a typ into the form in which types compare (RFC 7515,
// 4.1.9): without application/ where no other slash follows, in lower case.
func mediaType(typ string) string {
	const prefix = "application/"
	typ = strings.ToLower(typ)
	if rest, ok := strings.CutPrefix(typ, prefix); ok && !strings.Contains(rest, "/") {
		return rest
	}
	return typ
}

// Unverified is what a token says of itself. Nothing of it is proved.
type Unverified struct {
	Algorithm string     // alg, whatever it is
	KeyID     string     // kid
	Type      string     // typ
	Claims    Registered // the registered claims
	Payload   []byte     // all claims, in JSON
}

// PeekUnverified reads a token without any check of its signature or its times,
// for logs and for finding out where a token comes from. Whatever it returns may
// have been written by an attacker; decide nothing by it. It is as strict about
// the form as Verify, and takes tokens of any algorithm.
func PeekUnverified(tok string) (Unverified, error) {
	if len(tok) > defaultMaxBytes {
		return Unverified{}, refuse(ErrTooLarge)
	}
	parts := bytes.Split([]byte(tok), []byte{'.'})
	if len(parts) != 3 {
		return Unverified{}, refuse(ErrMalformed)
	}
	var d decoder
	h, _, err := readHeader(&d, nil, parts[0])
	if err != nil {
		return Unverified{}, err
	}
	payload, ok := appendDecoded(nil, parts[1])
	if !ok {
		return Unverified{}, refuse(ErrPayload)
	}
	p, err := compile(freeType)
	if err == nil {
		err = p.read(&d, payload, new(map[string]any))
	}
	if err != nil {
		return Unverified{}, err
	}
	return Unverified{h.alg, h.kid, h.typ, d.reg.public(), payload}, nil
}
