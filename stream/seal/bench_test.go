package seal_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

// keySizes are the two algorithms.
var keySizes = map[string][]byte{"cobblestone=128": make([]byte, 16), "cobblestone=256": make([]byte, 32)}

// BenchmarkSealWrite seals 64 MiB in blocks of 64 KiB.
func BenchmarkSealWrite(b *testing.B) {
	const size, block = 64 << 20, 64 << 10
	for name, key := range keySizes {
		b.Run(name, func(b *testing.B) {
			s := seal.MustNew(seal.Config{Key: seal.SecretFrom(key)})
			p := text(block)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				w, err := s.Writer(io.Discard, nil)
				require.NoError(b, err)
				for range size / block {
					if _, err := w.Write(p); err != nil {
						b.Fatal(err)
					}
				}
				require.NoError(b, w.Close())
			}
		})
	}
}

// BenchmarkSealRead opens 64 MiB in blocks of 64 KiB.
func BenchmarkSealRead(b *testing.B) {
	const size, block = 64 << 20, 64 << 10
	for name, key := range keySizes {
		b.Run(name, func(b *testing.B) {
			s := seal.MustNew(seal.Config{Key: seal.SecretFrom(key)})
			message := sealAll(b, s, make([]byte, size), nil)
			p := make([]byte, block)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				r, err := s.Reader(bytes.NewReader(message), nil)
				require.NoError(b, err)
				for err == nil {
					_, err = r.Read(p)
				}
				require.Equal(b, io.EOF, err)
			}
		})
	}
}

// BenchmarkSealReadAt opens 4 KiB at random places of 4 MiB.
func BenchmarkSealReadAt(b *testing.B) {
	s := newSealer()
	message := sealAll(b, s, make([]byte, 4<<20), nil)
	r, err := s.ReaderAt(bytes.NewReader(message), int64(len(message)), nil)
	require.NoError(b, err)
	p := make([]byte, 4<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	off := int64(0)
	for b.Loop() {
		if _, err := r.ReadAt(p, off); err != nil {
			b.Fatal(err)
		}
		off = (off + 1_000_003) % (4<<20 - 4<<10)
	}
}

// BenchmarkSealSmall seals and opens 100 bytes: what a message costs by itself.
func BenchmarkSealSmall(b *testing.B) {
	s := newSealer()
	p := text(100)
	b.ReportAllocs()
	for b.Loop() {
		message := sealAll(b, s, p, nil)
		if _, err := openAll(s, message, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSealPassword is the work of one message with a password.
func BenchmarkSealPassword(b *testing.B) {
	s := seal.MustNew(seal.Config{Password: seal.SecretFrom([]byte("correct horse battery staple"))})
	for b.Loop() {
		if _, err := s.Writer(io.Discard, nil); err != nil {
			b.Fatal(err)
		}
	}
}
