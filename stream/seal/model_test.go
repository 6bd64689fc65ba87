package seal_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha512"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

// The model is the specification read aloud: whole messages in memory, HKDF
// from HMAC, nonces from big integers.

// modelKeys derives key, base nonce and commitment.
func modelKeys(key, salt, context []byte) (cipher.AEAD, *big.Int, []byte) {
	name := map[int]string{16: "AEAD_AES_128_GCM", 32: "AEAD_AES_256_GCM"}[len(key)]
	info := "c2sp.org/chunked-encryption@v1+" + name + "\x00" + string(salt) + string(context)
	var okm, block []byte
	for i := byte(1); len(okm) < len(key)+12+32; i++ {
		mac := hmac.New(sha512.New, key)
		mac.Write(block)
		mac.Write([]byte(info))
		mac.Write([]byte{i})
		block = mac.Sum(nil)
		okm = append(okm, block...)
	}
	c, _ := aes.NewCipher(okm[:len(key)])
	gcm, _ := cipher.NewGCM(c)
	return gcm, new(big.Int).SetBytes(okm[len(key) : len(key)+12]), okm[len(key)+12 : len(key)+12+32]
}

func modelNonce(base *big.Int, k int) []byte {
	return new(big.Int).Xor(base, big.NewInt(int64(k))).FillBytes(make([]byte, 12))
}

func modelSeal(key, salt, context, plain []byte) []byte {
	gcm, base, commitment := modelKeys(key, salt, context)
	out := append(bytes.Clone(salt), commitment...)
	for k := 0; ; k++ {
		n := min(len(plain), chunk)
		out = gcm.Seal(out, modelNonce(base, k), plain[:n], nil)
		plain = plain[n:]
		if n < chunk {
			return out
		}
	}
}

var errModel = errors.New("model: not a message")

// modelOpen returns the authentic beginning of a message.
func modelOpen(key, context, message []byte) (plain []byte, err error) {
	if len(message) < prelude {
		return nil, errModel
	}
	gcm, base, commitment := modelKeys(key, message[:24], context)
	if !bytes.Equal(commitment, message[24:prelude]) {
		return nil, errModel
	}
	message = message[prelude:]
	for k := 0; ; k++ {
		n := min(len(message), sealed)
		part, err := gcm.Open(nil, modelNonce(base, k), message[:n], nil)
		if err != nil {
			return plain, errModel
		}
		plain = append(plain, part...)
		message = message[n:]
		if n < sealed {
			return plain, nil
		}
	}
}

// compare takes bytes as operations: a message is written in pieces, one of
// them after the other; the model opens it. Then it is read in pieces, in a row
// and at random, and with a change made to it, and all must be as the model
// says.
func compare(t testing.TB, ops []byte) {
	next := func() int {
		if len(ops) == 0 {
			return 0
		}
		b := ops[0]
		ops = ops[1:]
		return int(b)
	}
	key, context := text(16+next()%2*16), text(next()%40)
	s := seal.MustNew(seal.Config{Key: seal.SecretFrom(key)})
	var out bytes.Buffer
	w, err := s.Writer(&out, context)
	require.NoError(t, err)
	var plain []byte
	for range next() % 8 {
		piece := text(next()*next()%(3*chunk) + next()%3*chunk)
		n, err := w.Write(piece)
		require.NoError(t, err)
		require.Equal(t, len(piece), n)
		plain = append(plain, piece...)
	}
	require.NoError(t, w.Close())
	message := out.Bytes()
	require.True(t, bytes.Equal(modelSeal(key, message[:24], context, plain), message), "there is one message for a salt")

	switch next() % 5 {
	case 1: // a bit
		i := (next()<<8 + next()) * 7 % len(message)
		message[i] ^= 1 << (next() % 8)
	case 2: // the end
		message = message[:len(message)-(next()<<8+next())%(len(message)+1)]
	case 3: // something behind it
		message = append(message, text(1+next()*next())...)
	case 4: // other associated data
		context = append(context, byte(next()))
	}
	want, wantErr := modelOpen(key, context, message)

	r, err := s.Reader(bytes.NewReader(message), context)
	var got []byte
	for err == nil {
		p := make([]byte, 1+next()*next()%(2*chunk)+len(got)%3*chunk)
		var n int
		n, err = r.Read(p)
		got = append(got, p[:n]...)
	}
	require.Equal(t, wantErr == nil, err == io.EOF, "%v and %v", wantErr, err)
	require.True(t, bytes.Equal(want, got))

	at, err := s.ReaderAt(bytes.NewReader(message), int64(len(message)), context)
	if wantErr == nil {
		require.NoError(t, err)
		require.Equal(t, int64(len(plain)), at.Size())
	}
	for range 4 {
		if err != nil {
			return
		}
		off, p := next()*next()*3, make([]byte, next()*next())
		n, err := at.ReadAt(p, int64(off))
		require.True(t, bytes.Equal(plain[min(off, len(plain)):min(off+n, len(plain))], p[:n]))
		if wantErr == nil && off < len(plain) {
			require.Equal(t, min(len(p), len(plain)-off), n)
			require.Equal(t, n < len(p), err == io.EOF)
		}
	}
}

func TestModelRandomMessages(t *testing.T) {
	rounds := 600
	if slow {
		rounds = 100
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range rounds {
		ops := make([]byte, 60)
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		compare(t, ops)
	}
}
