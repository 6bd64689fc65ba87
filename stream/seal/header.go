package seal

import "io"

// A message sealed with a password or to recipients has a header before the
// salt of the specification:
//
//	magic    7 bytes  0x89 "bpseal"
//	version  1        1
//	kind     1        1 password, 2 recipients
//	…                 as the kind says, see password.go and recipient.go
//
// Numbers are big-endian. The whole header is part of the context of the
// payload, so the commitment fails if a bit of it is changed.
const (
	magic   = "\x89bpseal"
	version = 1

	kindKey        = 0 // no header
	kindPassword   = 1
	kindRecipients = 2
)

// newHeader returns the beginning of a header.
func newHeader(kind byte) []byte { return append([]byte(magic), version, kind) }

// openHeader reads the beginning of a header and n bytes more, and returns all of it.
func openHeader(src io.Reader, kind byte, n int) (header []byte, err error) {
	start := len(magic) + 2
	header = make([]byte, start+n)
	if err := readHeader(src, header[:start]); err != nil {
		return nil, err
	}
	found := header[len(magic):start]
	switch {
	case string(header[:len(magic)]) != magic:
		return nil, &FormatError{Field: "magic", Want: "0x89 bpseal"}
	case found[0] != version:
		return nil, &FormatError{Field: "version", Value: int(found[0]), Want: "1"}
	case found[1] != kind:
		want := "1 (password)"
		if kind == kindRecipients {
			want = "2 (recipients)"
		}
		return nil, &FormatError{Field: "kind", Value: int(found[1]), Want: want}
	}
	if err := readHeader(src, header[start:]); err != nil {
		return nil, err
	}
	return header, nil
}
