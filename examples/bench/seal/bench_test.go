// Package sealbench compares bedplate's seal with its peers and with bare
// AES-GCM, on the same work in one process.
package sealbench

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"io"
	"testing"

	"filippo.io/age"
	"github.com/minio/sio"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/streamingaead"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/bedplate/bedplate/stream/seal"
)

const block = 64 << 10 // what is written and read at one time

var sizes = []struct {
	name string
	n    int
}{{"64MiB", 64 << 20}, {"4KiB", 4 << 10}}

// A peer encrypts plain to dst, and decrypts src, both in blocks through a
// stream; sink gets every block of plaintext.
type peer struct {
	encrypt func(dst io.Writer, plain []byte) error
	decrypt func(src io.Reader, sink func([]byte)) error
}

// peers have keys of 256 bits, made anew.
var peers = []struct {
	name string
	make func() (peer, error)
}{
	{"bedplate", func() (peer, error) {
		s, err := seal.New(seal.Config{Key: seal.RandomKey()})
		return peer{
			func(dst io.Writer, plain []byte) error {
				w, err := s.Writer(dst, nil)
				return feed(w, err, plain)
			},
			func(src io.Reader, sink func([]byte)) error {
				r, err := s.Reader(src, nil)
				return drain(r, err, sink)
			},
		}, err
	}},
	{"tink", func() (peer, error) { return tinkPeer(streamingaead.AES256GCMHKDF1MBKeyTemplate()) }},
	{"tink-4KB", func() (peer, error) { return tinkPeer(streamingaead.AES256GCMHKDF4KBKeyTemplate()) }},
	{"sio", func() (peer, error) {
		key := make([]byte, 32)
		_, err := rand.Read(key)
		cfg := sio.Config{Key: key, CipherSuites: []byte{sio.AES_256_GCM}}
		return peer{
			func(dst io.Writer, plain []byte) error {
				w, err := sio.EncryptWriter(dst, cfg)
				return feed(w, err, plain)
			},
			func(src io.Reader, sink func([]byte)) error {
				r, err := sio.DecryptReader(src, cfg)
				return drain(r, err, sink)
			},
		}, err
	}},
	{"age", func() (peer, error) { // with ChaCha20-Poly1305, it has no other
		id, err := age.GenerateX25519Identity()
		return peer{
			func(dst io.Writer, plain []byte) error {
				w, err := age.Encrypt(dst, id.Recipient())
				return feed(w, err, plain)
			},
			func(src io.Reader, sink func([]byte)) error {
				r, err := age.Decrypt(src, id)
				return drain(r, err, sink)
			},
		}, err
	}},
	{"floor-gcm", floor},
}

func tinkPeer(template *tinkpb.KeyTemplate) (peer, error) {
	handle, err := keyset.NewHandle(template)
	if err != nil {
		return peer{}, err
	}
	var primitive tink.StreamingAEAD
	primitive, err = streamingaead.New(handle)
	return peer{
		func(dst io.Writer, plain []byte) error {
			w, err := primitive.NewEncryptingWriter(dst, nil)
			return feed(w, err, plain)
		},
		func(src io.Reader, sink func([]byte)) error {
			r, err := primitive.NewDecryptingReader(src, nil)
			return drain(r, err, sink)
		},
	}, err
}

// floor is AES-GCM over chunks of 16 KiB with a counter for a nonce, one buffer
// and one key for all of its messages: no format, no end, and no safety.
func floor() (peer, error) {
	const chunk = 16 << 10
	c, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return peer{}, err
	}
	gcm, err := cipher.NewGCM(c)
	buf, nonce := make([]byte, chunk+16), make([]byte, 12)
	return peer{
		func(dst io.Writer, plain []byte) error {
			for k := uint64(0); len(plain) > 0; k++ {
				n := min(len(plain), chunk)
				binary.BigEndian.PutUint64(nonce[4:], k)
				if _, err := dst.Write(gcm.Seal(buf[:0], nonce, plain[:n], nil)); err != nil {
					return err
				}
				plain = plain[n:]
			}
			return nil
		},
		func(src io.Reader, sink func([]byte)) error {
			for k := uint64(0); ; k++ {
				n, err := io.ReadFull(src, buf)
				if err == io.EOF {
					return nil
				}
				if err != nil && err != io.ErrUnexpectedEOF {
					return err
				}
				binary.BigEndian.PutUint64(nonce[4:], k)
				plain, err := gcm.Open(buf[:0], nonce, buf[:n], nil)
				if err != nil {
					return err
				}
				sink(plain)
			}
		},
	}, err
}

// feed writes plain to w in blocks and closes it.
func feed(w io.WriteCloser, err error, plain []byte) error {
	for err == nil && len(plain) > 0 {
		n := min(len(plain), block)
		_, err = w.Write(plain[:n])
		plain = plain[n:]
	}
	if err != nil {
		return err
	}
	return w.Close()
}

// drain reads r to its end in blocks.
func drain(r io.Reader, err error, sink func([]byte)) error {
	if err != nil {
		return err
	}
	p := make([]byte, block)
	for {
		n, err := r.Read(p)
		sink(p[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// discard is an io.Writer that is nothing but that.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkSealEncrypt encrypts a message that is in memory.
func BenchmarkSealEncrypt(b *testing.B) {
	for _, size := range sizes {
		plain := text(size.n)
		for _, p := range peers {
			b.Run("size="+size.name+"/peer="+p.name, func(b *testing.B) {
				peer, err := p.make()
				require.NoError(b, err)
				b.SetBytes(int64(size.n))
				b.ReportAllocs()
				for b.Loop() {
					if err := peer.encrypt(discard{}, plain); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSealDecrypt decrypts a message that is in memory.
func BenchmarkSealDecrypt(b *testing.B) {
	for _, size := range sizes {
		plain := text(size.n)
		for _, p := range peers {
			b.Run("size="+size.name+"/peer="+p.name, func(b *testing.B) {
				peer, err := p.make()
				require.NoError(b, err)
				var sealed bytes.Buffer
				sealed.Grow(size.n + size.n/64 + 4096)
				require.NoError(b, peer.encrypt(&sealed, plain))
				b.SetBytes(int64(size.n))
				b.ReportAllocs()
				total := 0
				for b.Loop() {
					total = 0
					src := struct{ io.Reader }{bytes.NewReader(sealed.Bytes())}
					if err := peer.decrypt(src, func(p []byte) { total += len(p) }); err != nil {
						b.Fatal(err)
					}
				}
				require.Equal(b, size.n, total)
			})
		}
	}
}

func text(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>14)
	}
	return p
}

// TestRowsDoTheSameWork wants every row to give back what it was given, to hide
// it, and to notice a changed bit in the middle.
func TestRowsDoTheSameWork(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			peer, err := p.make()
			require.NoError(t, err)
			for _, n := range []int{1, 4 << 10, 16 << 10, 3<<20 + 5} {
				plain := text(n)
				var sealed, opened bytes.Buffer
				require.NoError(t, peer.encrypt(&sealed, plain))
				require.True(t, bytes.Equal(plain, text(n)), "the plaintext is left alone")
				require.GreaterOrEqual(t, sealed.Len(), n+16)
				if n > 1 {
					require.False(t, bytes.Contains(sealed.Bytes(), plain[:64]))
				}
				sink := func(p []byte) { opened.Write(p) }
				require.NoError(t, peer.decrypt(bytes.NewReader(sealed.Bytes()), sink))
				require.True(t, bytes.Equal(plain, opened.Bytes()))
				changed := bytes.Clone(sealed.Bytes())
				changed[len(changed)/2] ^= 1
				require.Error(t, peer.decrypt(bytes.NewReader(changed), sink))
			}
		})
	}
}
