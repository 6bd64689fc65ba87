package cluster

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// What crosses a control socket is a sequence of frames:
//
//	version   1 byte, frameVersion
//	kind      1 byte
//	length    4 bytes, big endian
//	body      length bytes
//
// The reader trusts none of it: a length above its bound is an error before
// anything is allocated, and a body is read in pieces, so that a frame that
// claims much and sends little costs little.
const (
	frameVersion = 1
	frameHeader  = 6
	framePiece   = 64 << 10
)

type frameKind byte

const (
	frameReady   frameKind = iota + 1 // worker → master: ready to serve; new master → old one: likewise
	frameReport                       // worker → master: a report
	frameBye                          // worker → master: the work is over; the body is the error
	frameStop                         // master → worker: a stopOrder
	frameMessage                      // both ways: a Message
	frameTotals                       // old master → new one: counters of a slot
	frameCall                         // master → worker of Jobs: a call
	frameCancel                       // master → worker of Jobs: the caller has left
	frameResult                       // worker of Jobs → master: a result

	frameKinds
)

type frame struct {
	kind frameKind
	body []byte
}

// size is what a frame takes in a mailbox.
func (f frame) size() int { return frameHeader + len(f.body) }

// appendFrame appends the bytes of f to b.
func appendFrame(b []byte, f frame) []byte {
	b = append(b, frameVersion, byte(f.kind))
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.body)))
	return append(b, f.body...)
}

// readFrame reads one frame whose body has at most limit bytes. At the end of
// the stream, between frames, the error is io.EOF; anything malformed is an
// error that matches errFrame.
func readFrame(r io.Reader, limit int) (frame, error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		if err == io.ErrUnexpectedEOF {
			return frame{}, fmt.Errorf("%w: cut off in its header", errFrame)
		}
		return frame{}, err
	}
	kind, n := frameKind(h[1]), binary.BigEndian.Uint32(h[2:])
	switch {
	case h[0] != frameVersion:
		return frame{}, fmt.Errorf("%w: version %d, want %d", errFrame, h[0], frameVersion)
	case kind == 0 || kind >= frameKinds:
		return frame{}, fmt.Errorf("%w: kind %d is unknown", errFrame, kind)
	case uint64(n) > uint64(limit):
		return frame{}, fmt.Errorf("%w: %d bytes, want at most %d", errFrame, n, limit)
	}
	body, err := readBody(r, int(n))
	return frame{kind: kind, body: body}, err
}

// readBody reads n bytes and allocates at most about twice what has arrived.
func readBody(r io.Reader, n int) ([]byte, error) {
	if n <= framePiece {
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, cutOff(err)
		}
		return body, nil
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, int64(n)); err != nil {
		return nil, cutOff(err)
	}
	return body.Bytes(), nil
}

// cutOff is the error of a frame that ends before its length.
func cutOff(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: cut off in its body", errFrame)
	}
	return err
}
