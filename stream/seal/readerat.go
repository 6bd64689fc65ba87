package seal

import (
	"errors"
	"io"
	"sync"
)

// ReaderAt decrypts any part of a message, and only the chunks that part lies
// in. Make one with Sealer.ReaderAt. It is safe for use by many goroutines, as
// far as its source is. io.NewSectionReader(r, 0, r.Size()) makes an io.Seeker
// of it.
type ReaderAt struct {
	src   io.ReaderAt
	msg   *message
	first int64 // offset of the first chunk in src
	size  int64 // length of the message
	pool  sync.Pool
}

// piece is a place to decrypt a chunk in. It keeps the chunk, so a goroutine
// that reads on in small steps decrypts each chunk once.
type piece struct {
	nonce [nonceSize]byte
	chunk int64 // number of the chunk in plain, -1 if none
	plain []byte
	buf   [sealedSize]byte
}

// newReaderAt checks the length of the message by its last chunk.
func newReaderAt(src io.ReaderAt, size, first int64, msg *message) (*ReaderAt, error) {
	chunks, rest := (size-first)/sealedSize, (size-first)%sealedSize
	switch {
	case chunks >= maxChunks:
		return nil, ErrTooLong
	case rest < tagSize:
		return nil, &CorruptError{Chunk: chunks, Truncated: true}
	}
	r := &ReaderAt{src: src, msg: msg, first: first, size: chunks*chunkSize + rest - tagSize}
	r.pool.New = func() any { return &piece{chunk: -1} }
	last := r.pool.Get().(*piece)
	defer r.pool.Put(last)
	return r, r.load(last, chunks)
}

// Size returns the length of the message, which is authentic.
func (r *ReaderAt) Size() int64 { return r.size }

// ReadAt decrypts len(p) bytes from offset off of the message into p. What it
// returns is authentic. If n < len(p) the error says why: io.EOF at the end of
// the message, a *CorruptError (matches ErrCorrupt), or what the source
// returned, as it is. Whole chunks are decrypted in place; of others a copy of
// the plaintext stays in memory until the ReaderAt is forgotten or memory scarce.
func (r *ReaderAt) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("seal: negative offset")
	}
	if off >= r.size {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	x := r.pool.Get().(*piece)
	defer r.pool.Put(x)
	for n < len(p) && off < r.size {
		k, skip := off/chunkSize, off%chunkSize
		size := min(r.size-k*chunkSize, chunkSize)
		var taken int
		if x.chunk != k && skip == 0 && int64(len(p)-n) >= size {
			taken, err = int(size), r.openInto(p[n:n:n+int(size)], x, k)
		} else if err = r.load(x, k); err == nil {
			taken = copy(p[n:], x.plain[skip:])
		}
		if err != nil {
			return n, err
		}
		n += taken
		off += int64(taken)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// load makes x the place of chunk k.
func (r *ReaderAt) load(x *piece, k int64) error {
	if x.chunk == k {
		return nil
	}
	x.chunk = -1
	sealed, err := r.sealed(x, k)
	if err != nil {
		return err
	}
	if x.plain, err = r.msg.open(sealed[:0], &x.nonce, uint64(k), sealed); err != nil {
		return err
	}
	x.chunk = k
	return nil
}

// openInto decrypts chunk k into dst, which is empty and has the room for it.
func (r *ReaderAt) openInto(dst []byte, x *piece, k int64) error {
	x.chunk = -1
	sealed, err := r.sealed(x, k)
	if err != nil {
		return err
	}
	_, err = r.msg.open(dst, &x.nonce, uint64(k), sealed)
	return err
}

// sealed reads chunk k into x.
func (r *ReaderAt) sealed(x *piece, k int64) ([]byte, error) {
	size := min(r.size-k*chunkSize, chunkSize) + tagSize
	n, err := r.src.ReadAt(x.buf[:size], r.first+k*sealedSize)
	switch {
	case int64(n) == size:
		return x.buf[:size], nil
	case err == io.EOF: // the source has become shorter
		return nil, &CorruptError{Chunk: k, Truncated: true}
	case err == nil:
		return nil, io.ErrNoProgress
	}
	return nil, err
}
