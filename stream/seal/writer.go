package seal

import (
	"io"
)

// Writer encrypts what is written to it. Make one with Sealer.Writer; it is for
// one goroutine at a time. Its message is complete only after Close.
type Writer struct {
	dst   io.Writer
	msg   *message
	nonce [nonceSize]byte
	next  uint64 // number of the chunk being filled

	// buf[:off] is the prelude or sealed chunks, ready to be written, and
	// buf[off:off+n] the plaintext of the next chunk, n < chunkSize. Between
	// calls there are no sealed chunks, and there is room for one behind off.
	buf    []byte
	off, n int
	sealed bool // buf[:off] has a chunk in it

	err    error // the first failure, which ends the message
	closed bool
}

func newWriter(dst io.Writer, msg *message, prelude []byte) *Writer {
	buf := make([]byte, len(prelude)+sealedSize)
	return &Writer{dst: dst, msg: msg, buf: buf, off: copy(buf, prelude)}
}

// Write encrypts p. Each chunk of 16 KiB that is complete when it returns has
// been written to the destination, together with the header; the rest is kept
// until there is more, or Close. p is neither changed nor kept.
//
// On failure n is how much of p was taken; the message then has no end, and all
// further calls return the same error. After Close it is ErrClosed.
func (w *Writer) Write(p []byte) (n int, err error) {
	if err := w.usable(); err != nil {
		return 0, err
	}
	if len(p) >= 2*chunkSize {
		w.grow()
	}
	for len(p) > 0 {
		if w.n == 0 {
			if err := w.room(len(p) < chunkSize); err != nil {
				return n, err
			}
			if len(p) >= chunkSize {
				if err := w.seal(p[:chunkSize]); err != nil {
					return n, err
				}
				n += chunkSize
				p = p[chunkSize:]
				continue
			}
		}
		taken := copy(w.buf[w.off+w.n:w.off+chunkSize], p)
		w.n += taken
		n += taken
		p = p[taken:]
		if w.n == chunkSize {
			if err := w.seal(w.buf[w.off : w.off+chunkSize]); err != nil {
				return n, err
			}
		}
	}
	if w.sealed {
		return n, w.flush()
	}
	return n, nil
}

// Close encrypts the rest, which marks the end of the message, and writes it. It
// does not close the destination. It returns nil if the message is complete,
// also when called again. After a failure it returns that failure, and after
// Abort ErrAborted: the message then has no end, and nobody can open it whole.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	if w.err != nil {
		return w.err
	}
	if err := w.seal(w.buf[w.off : w.off+w.n]); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	w.closed = true
	w.wipe()
	return nil
}

// Abort ends the message without its last chunk, so that a reader takes it for
// cut off rather than for complete. After Close it does nothing, so it can be
// deferred. It writes nothing.
func (w *Writer) Abort() {
	if !w.closed && w.err == nil {
		_ = w.fail(ErrAborted)
	}
}

// usable returns why nothing can be written, if so.
func (w *Writer) usable() error {
	if w.closed {
		return ErrClosed
	}
	return w.err
}

// room makes room behind off for a chunk, by writing what is ready if there is
// too little, or if now is set and there is a sealed chunk.
func (w *Writer) room(now bool) error {
	if len(w.buf)-w.off < sealedSize || now && w.sealed {
		return w.flush()
	}
	return nil
}

// grow makes room for a batch. It is called between chunks or within one.
func (w *Writer) grow() {
	if len(w.buf) < batch*sealedSize {
		buf := make([]byte, w.off+batch*sealedSize)
		copy(buf, w.buf[:w.off+w.n])
		clear(w.buf)
		w.buf = buf
	}
}

// seal appends plain as the next chunk to buf[:off], where there is room. plain
// may be what stands there.
func (w *Writer) seal(plain []byte) error {
	if w.next >= maxChunks {
		return w.fail(ErrTooLong)
	}
	w.msg.setNonce(&w.nonce, w.next)
	w.msg.aead.Seal(w.buf[w.off:w.off], w.nonce[:], plain, nil)
	w.next++
	w.off += len(plain) + tagSize
	w.n = 0
	w.sealed = true
	return nil
}

// flush writes buf[:off]. There is no plaintext behind it.
func (w *Writer) flush() error {
	n, err := w.dst.Write(w.buf[:w.off])
	if err == nil && n != w.off {
		err = io.ErrShortWrite
	}
	if err != nil {
		return w.fail(err)
	}
	w.off = 0
	w.sealed = false
	return nil
}

func (w *Writer) fail(err error) error {
	w.err = err
	w.wipe()
	return err
}

// wipe forgets plaintext and keys.
func (w *Writer) wipe() {
	clear(w.buf)
	w.buf, w.msg = nil, nil
}
