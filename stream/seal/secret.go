package seal

import (
	"crypto/rand"
	"log/slog"
	"slices"
)

const redacted = "seal.Secret(redacted)"

// Secret holds a key or a password and keeps it out of logs: printed with any
// verb of fmt, as part of a larger struct, by slog or as JSON it says that it is
// redacted. The zero Secret is empty. Copies share the bytes, and Destroy wipes
// them for all.
type Secret struct {
	// Behind a function, since fmt prints the unexported fields of a struct
	// without asking their methods, and follows a pointer if the verb is wrong
	// for it. Nil is empty.
	bytes func() *[]byte
}

func hide(b []byte) Secret { return Secret{func() *[]byte { return &b }} }

// SecretFrom returns a Secret with a copy of b, which the caller may wipe.
func SecretFrom(b []byte) Secret {
	return hide(slices.Clone(b))
}

// RandomKey returns a new random key of 32 bytes, for Config.Key.
func RandomKey() Secret {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: it ends the program if there is no randomness
	return hide(key)
}

// Bytes returns a copy of what the Secret holds, to store it where secrets are
// stored. It is empty after Destroy.
func (s Secret) Bytes() []byte {
	if s.bytes == nil {
		return nil
	}
	return slices.Clone(*s.bytes())
}

// Destroy overwrites the bytes with zeros and empties the Secret and its
// copies. A Sealer made with it goes on: it has a copy of its own. It must not be
// called while another goroutine uses the Secret.
func (s Secret) Destroy() {
	if s.bytes != nil {
		b := s.bytes()
		clear(*b)
		*b = nil
	}
}

// String says that the Secret is redacted, whatever it holds.
func (s Secret) String() string { return redacted }

// GoString is String for the verb %#v.
func (s Secret) GoString() string { return redacted }

// MarshalText is String for encoding/json and others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue is String for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

func (s Secret) len() int {
	if s.bytes == nil {
		return 0
	}
	return len(*s.bytes())
}
