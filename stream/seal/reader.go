package seal

import (
	"io"
)

// Reader decrypts a message from its beginning. Make one with Sealer.Reader; it
// is for one goroutine at a time. It reads its source to the end, and ahead.
type Reader struct {
	src   io.Reader
	msg   *message
	nonce [nonceSize]byte
	next  uint64 // number of the chunk at start

	buf        []byte
	start, end int    // buf[start:end] is not yet decrypted
	plain      []byte // decrypted and not yet delivered; a part of buf[:start]
	srcErr     error  // with which the source has ended
	err        error  // with which we have, once plain is delivered
}

func newReader(src io.Reader, msg *message) *Reader {
	return &Reader{src: src, msg: msg, buf: make([]byte, sealedSize)}
}

// Read decrypts into p. What it returns is authentic: a chunk is delivered only
// after its tag was checked. It returns as much as is at hand and waits for the
// source only when nothing is.
//
// io.EOF means that the message is complete. Any other error stays, and means
// that what was read is only a beginning: a *CorruptError (matches ErrCorrupt),
// ErrTooLong, or what the source returned, as it is.
func (r *Reader) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for n < len(p) {
		switch {
		case len(r.plain) > 0:
			taken := copy(p[n:], r.plain)
			r.plain = r.plain[taken:]
			n += taken
		case r.err == nil && r.ready():
			n += r.open(p[n:])
		case n > 0:
			return n, nil
		case r.err != nil:
			r.wipe()
			return 0, r.err
		default:
			r.fill()
		}
	}
	return n, nil
}

// ready reports whether the next chunk can be decrypted without more from the
// source: it is whole, or it is the last.
func (r *Reader) ready() bool {
	return r.end-r.start >= sealedSize || r.srcErr == io.EOF
}

// open decrypts the next chunk, into p if it fits and else in place.
func (r *Reader) open(p []byte) (n int) {
	sealed := r.buf[r.start:min(r.end, r.start+sealedSize)]
	size := len(sealed) - tagSize
	direct := size > 0 && size <= len(p)
	dst := sealed[:0]
	if direct {
		dst = p[:0:size]
	}
	plain, err := r.msg.open(dst, &r.nonce, r.next, sealed)
	if err != nil {
		r.err = err
		return 0
	}
	r.start += len(sealed)
	r.next++
	if len(sealed) < sealedSize {
		r.err = io.EOF // a short chunk is the last
	}
	if direct {
		return len(plain)
	}
	r.plain = plain
	return 0
}

// fill reads until a chunk is complete or the source has ended.
func (r *Reader) fill() {
	if r.srcErr != nil {
		r.err = r.srcErr
		return
	}
	if r.next > 0 && len(r.buf) < batch*sealedSize { // the message is not small
		buf := make([]byte, batch*sealedSize)
		r.end = copy(buf, r.buf[r.start:r.end])
		clear(r.buf)
		r.buf = buf
	} else {
		r.end = copy(r.buf, r.buf[r.start:r.end])
	}
	r.start = 0
	for idle := 0; r.end < sealedSize && r.srcErr == nil; {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		r.srcErr = err
		if n > 0 {
			idle = 0
		} else if idle++; idle == maxIdle && err == nil {
			r.srcErr = io.ErrNoProgress
		}
	}
}

// wipe forgets plaintext and keys.
func (r *Reader) wipe() {
	clear(r.buf)
	r.buf, r.msg = nil, nil
	r.start, r.end = 0, 0
}
