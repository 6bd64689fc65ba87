package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// Sizes of c2sp.org/chunked-encryption with AES-GCM.
const (
	chunkSize      = 16 << 10
	tagSize        = 16
	sealedSize     = chunkSize + tagSize // of every chunk but the last
	nonceSize      = 12
	saltSize       = 24
	commitmentSize = 32
	preludeSize    = saltSize + commitmentSize
	maxChunks      = 1 << 38

	// batch is how many chunks are read or written at one time where that many
	// are at hand.
	batch = 4
)

// MaxSize is the length of the longest message, one byte below 4 PiB.
const MaxSize = maxChunks*chunkSize - 1

// message is what the chunks of one message have in common. It is not changed
// after derive has made it, so goroutines may share it.
type message struct {
	aead cipher.AEAD
	base [nonceSize]byte
}

// derive makes the message for an input key and the commitment to it: the key
// schedule of the specification. context is header and associated data.
func derive(key, salt, context []byte) (*message, []byte, error) {
	name := "AEAD_AES_128_GCM"
	if len(key) == 32 {
		name = "AEAD_AES_256_GCM"
	}
	info := "c2sp.org/chunked-encryption@v1+" + name + "\x00" + string(salt) + string(context)
	derived, err := hkdf.Expand(sha512.New, key, info, len(key)+nonceSize+commitmentSize)
	if err != nil {
		return nil, nil, fmt.Errorf("seal: HKDF: %w", err)
	}
	defer clear(derived[:len(key)+nonceSize])
	block, err := aes.NewCipher(derived[:len(key)])
	if err != nil {
		return nil, nil, fmt.Errorf("seal: AES: %w", err)
	}
	m := new(message)
	copy(m.base[:], derived[len(key):])
	if m.aead, err = cipher.NewGCM(block); err != nil {
		return nil, nil, fmt.Errorf("seal: AES-GCM: %w", err) // with GODEBUG=fips140=only
	}
	return m, derived[len(key)+nonceSize:], nil
}

// openPrelude reads salt and commitment from src and finds the key that is
// committed to.
func openPrelude(src io.Reader, keys [][]byte, context []byte) (*message, error) {
	var prelude [preludeSize]byte
	if err := readHeader(src, prelude[:]); err != nil {
		return nil, err
	}
	for _, key := range keys {
		m, commitment, err := derive(key, prelude[:saltSize], context)
		if err != nil {
			return nil, err
		}
		if subtle.ConstantTimeCompare(commitment, prelude[saltSize:]) == 1 {
			return m, nil
		}
	}
	return nil, ErrKey
}

// readHeader fills p with what stands before the chunks.
func readHeader(src io.Reader, p []byte) error {
	for n, idle := 0, 0; n < len(p); {
		m, err := src.Read(p[n:])
		n += m
		switch {
		case n == len(p):
		case err == io.EOF:
			return &CorruptError{Chunk: -1, Truncated: true}
		case err != nil:
			return err
		case m > 0:
			idle = 0
		default:
			if idle++; idle == maxIdle {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}

// maxIdle is how often a source may return nothing and no error.
const maxIdle = 100

// setNonce makes the nonce of chunk k: the base with the number as a
// big-endian integer XORed in.
func (m *message) setNonce(nonce *[nonceSize]byte, k uint64) {
	*nonce = m.base
	low := nonce[nonceSize-8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^k)
}

// open decrypts chunk k to the end of dst, which has the room for it. If the
// chunk is not authentic nothing of it is left there.
func (m *message) open(dst []byte, nonce *[nonceSize]byte, k uint64, sealed []byte) ([]byte, error) {
	if k >= maxChunks {
		return nil, ErrTooLong
	}
	if len(sealed) < tagSize {
		return nil, &CorruptError{Chunk: int64(k), Truncated: true}
	}
	m.setNonce(nonce, k)
	plain, err := m.aead.Open(dst, nonce[:], sealed, nil)
	if err != nil {
		n := len(dst)
		clear(dst[n : n+len(sealed)-tagSize])
		return nil, &CorruptError{Chunk: int64(k)}
	}
	return plain, nil
}

// join returns header and associated data as the context of the payload. The
// header tells its own length, so different pairs give different contexts.
func join(header, context []byte) []byte { return slices.Concat(header, context) }
