package seal

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func testSealer() *Sealer { return MustNew(Config{Key: RandomKey()}) }

// A Writer seals chunk 2³⁸ − 1, which is the last there can be, and none beyond.
func TestWriterEndsAtTheLimit(t *testing.T) {
	var out bytes.Buffer
	w, err := testSealer().Writer(&out, nil)
	require.NoError(t, err)
	w.next = maxChunks - 1
	_, err = w.Write(make([]byte, chunkSize-1))
	require.NoError(t, err)
	require.NoError(t, w.Close(), "MaxSize bytes are allowed")

	w, err = testSealer().Writer(io.Discard, nil)
	require.NoError(t, err)
	w.next = maxChunks - 1
	_, err = w.Write(make([]byte, chunkSize))
	require.NoError(t, err)
	require.Equal(t, ErrTooLong, w.Close(), "but not one more")
	_, err = w.Write(make([]byte, 1))
	require.Equal(t, ErrTooLong, err)
}

func TestWriterSealsNothingBeyondTheLimit(t *testing.T) {
	for _, sizes := range [][]int{{chunkSize}, {3 * chunkSize}, {1, chunkSize}} {
		var out bytes.Buffer
		w, err := testSealer().Writer(&out, nil)
		require.NoError(t, err)
		w.next = maxChunks
		for _, size := range sizes {
			_, err = w.Write(make([]byte, size))
		}
		require.Equal(t, ErrTooLong, err)
		require.Equal(t, ErrTooLong, w.Close())
		require.Zero(t, out.Len())
	}
}

// A Reader opens what that Writer sealed, and refuses a chunk beyond the limit
// even if it is authentic.
func TestReaderEndsAtTheLimit(t *testing.T) {
	s := testSealer()
	var out bytes.Buffer
	w, err := s.Writer(&out, nil)
	require.NoError(t, err)
	msg := w.msg
	w.next = maxChunks - 1
	_, err = w.Write([]byte("last"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	r, err := s.Reader(bytes.NewReader(out.Bytes()), nil)
	require.NoError(t, err)
	r.next = maxChunks - 1
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "last", string(got))

	var nonce [nonceSize]byte
	msg.setNonce(&nonce, maxChunks)
	beyond := msg.aead.Seal(nil, nonce[:], []byte("beyond"), nil)
	r = newReader(bytes.NewReader(beyond), msg)
	r.next = maxChunks
	got, err = io.ReadAll(r)
	require.Equal(t, ErrTooLong, err)
	require.Empty(t, got)
}

func TestMaxSizeIsThatOfTheSpecification(t *testing.T) {
	require.Equal(t, int64(1)<<52-1, int64(MaxSize))
}

// The nonce is the base XOR the number as a big-endian integer as wide as the
// base.
func TestNonceIsBaseXorNumber(t *testing.T) {
	m := new(message)
	for i := range m.base {
		m.base[i] = byte(0xa0 + i)
	}
	for _, k := range []uint64{0, 1, 255, 256, 65535, 1<<32 - 1, 1 << 32, maxChunks - 1} {
		var nonce [nonceSize]byte
		m.setNonce(&nonce, k)
		want := new(big.Int).Xor(new(big.Int).SetBytes(m.base[:]), new(big.Int).SetUint64(k))
		require.Equal(t, want.FillBytes(make([]byte, nonceSize)), nonce[:])
	}
}

// Plaintext and keys are gone from a Writer after Close, after Abort and after
// a failure, and from a Reader at the end.
func TestBuffersAreWiped(t *testing.T) {
	s := testSealer()
	secret := bytes.Repeat([]byte("secret!!"), 100)
	message := func() []byte {
		var out bytes.Buffer
		w, err := s.Writer(&out, nil)
		require.NoError(t, err)
		_, err = w.Write(secret)
		require.NoError(t, err)
		buf := w.buf
		require.Contains(t, string(buf), "secret!!")
		require.NoError(t, w.Close())
		require.NotContains(t, string(buf), "secret!!")
		require.Nil(t, w.msg)
		return out.Bytes()
	}()

	w, err := s.Writer(io.Discard, nil)
	require.NoError(t, err)
	_, err = w.Write(secret)
	require.NoError(t, err)
	buf := w.buf
	w.Abort()
	require.NotContains(t, string(buf), "secret!!")
	require.Nil(t, w.msg)

	r, err := s.Reader(bytes.NewReader(message), nil)
	require.NoError(t, err)
	_, err = r.Read(make([]byte, 3))
	require.NoError(t, err)
	buf = r.buf
	require.Contains(t, string(buf), "secret!!")
	_, err = io.Copy(io.Discard, r)
	require.NoError(t, err)
	require.NotContains(t, string(buf), "secret!!")
	require.Nil(t, r.msg)

	key := *s.secrets[0].bytes()
	require.NoError(t, s.Close())
	require.Equal(t, make([]byte, 32), key)
}

// The header of a password is what password.go says, byte for byte: a change
// here needs a new version.
func TestPasswordHeaderIsPinned(t *testing.T) {
	k := KDF{Cost: 1234}.withDefaults()
	header, key, err := k.begin([]byte("pw"))
	require.NoError(t, err)
	require.Len(t, key, 32)
	require.Len(t, header, 46)
	require.Equal(t, []byte("\x89bpseal\x01\x01\x01"), header[:10])
	require.Equal(t, uint32(1234), binary.BigEndian.Uint32(header[10:]))
	again, sameKey, err := k.open(bytes.NewReader(append(header, "more"...)), []byte("pw"))
	require.NoError(t, err)
	require.Equal(t, header, again)
	require.Equal(t, key, sameKey)
}
