package seal_test

import (
	"bytes"
	"crypto/hpke"
	"io"
	"testing"

	"github.com/bedplate/bedplate/stream/seal"
)

// FuzzModel reads bytes as operations, and compares with the model.
func FuzzModel(f *testing.F) {
	f.Add([]byte{1, 3, 2, 100, 160, 1, 0, 0, 2, 1, 0, 50})         // whole chunks and more, a bit changed
	f.Add([]byte{0, 0, 3, 1, 1, 0, 200, 80, 0, 9, 9, 1, 2, 64, 1}) // small pieces, cut off
	f.Fuzz(func(t *testing.T, data []byte) { compare(t, data[:min(len(data), 100)]) })
}

// limited fails the test if more than left bytes are read: a hostile message
// cannot make us ask for more than there is of it, plus an end.
type limited struct {
	src  io.Reader
	left int
	t    *testing.T
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.src.Read(p)
	if l.left -= n; l.left < 0 {
		l.t.Error("read beyond the end")
	}
	return n, err
}

// FuzzOpen gives any bytes to every kind of Sealer, as a stream and for random
// access. Nobody can make a message without the key, so all that opens is what
// the fuzzer was given as a seed, and that has one plaintext.
func FuzzOpen(f *testing.F) {
	key, err := hpke.MLKEM768X25519().DeriveKeyPair(text(32))
	if err != nil {
		f.Fatal(err)
	}
	kinds := []*seal.Sealer{
		seal.MustNew(seal.Config{Key: seal.SecretFrom(text(16)), OldKeys: []seal.Secret{seal.SecretFrom(text(32))}}),
		passwordSealer(),
		seal.MustNew(seal.Config{Recipients: []hpke.PublicKey{key.PublicKey()}, Identities: []hpke.PrivateKey{key}}),
	}
	plain := text(100) // of more than a chunk the fuzzer would change little else
	for _, s := range kinds {
		message := sealAll(f, s, plain, nil)
		f.Add(message)
		f.Add(message[:len(message)-1])
		f.Add(message[:60])
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, s := range kinds {
			r, err := s.Reader(&limited{bytes.NewReader(message), len(message), t}, nil)
			if err != nil {
				continue
			}
			got, err := io.ReadAll(r)
			if !bytes.HasPrefix(plain, got) || err == nil && len(got) != len(plain) {
				t.Fatalf("%d bytes that were not sealed", len(got))
			}
			again, second := r.Read(make([]byte, 1))
			if again != 0 || second == nil || err != nil && second != err {
				t.Fatalf("%v, then %d, %v", err, again, second)
			}
			if at, atErr := openAt(s, message, nil); (err == nil) != (atErr == nil) || err == nil && !bytes.Equal(at, got) {
				t.Fatalf("as a stream %v, by random access %v", err, atErr)
			}
		}
	})
}
