package stream

import (
	"bytes"
	"context"
	"fmt"
)

// DefaultMaxLen is the longest piece, in bytes, where Splitting or CSV do not
// say otherwise.
const DefaultMaxLen = 1 << 20

// Splitting says how Split cuts.
type Splitting struct {
	// Delimiter ends each piece. Empty means a newline. It may be any bytes.
	Delimiter string

	// MaxLen is the most bytes that a piece may have, its delimiter left out.
	// Zero means DefaultMaxLen. This, and not the input, bounds the memory.
	MaxLen int

	// OnLong, if set, is told of each piece that is longer, which is then left
	// out. Otherwise it ends the Stream with the same *TooLongError.
	OnLong func(*TooLongError)

	// KeepDelimiter leaves the delimiter on the piece.
	KeepDelimiter bool

	// TrimCR takes one carriage return off the end of each piece, before its
	// delimiter.
	TrimCR bool

	// SkipEmpty leaves out pieces that have no bytes beside their delimiter.
	SkipEmpty bool
}

func (c Splitting) check() error {
	if err := atLeast("Split", "Splitting.MaxLen", c.MaxLen, 0); err != nil {
		return err
	}
	if c.KeepDelimiter && c.TrimCR {
		return fmt.Errorf("stream: Split: Splitting.KeepDelimiter and TrimCR are both set, want one")
	}
	return nil
}

// Lines returns a Stream of the lines of s without their ends, "\n" or "\r\n",
// of at most DefaultMaxLen bytes each. It is Split with TrimCR.
func Lines(s Stream[[]byte]) Stream[[]byte] {
	return Split(s, Splitting{TrimCR: true})
}

// Split returns a Stream of the pieces of s, however s is chunked: each
// delimiter ends one, and what follows the last delimiter is one if it is not
// empty. So an empty input has none. Bytes are passed on as they are: nothing
// is decoded, and a rune is cut only by a delimiter that is a part of one.
//
// A piece is a part of the chunk that it came in if it came in one, and is
// copied only if it came in several.
func Split(s Stream[[]byte], c Splitting) Stream[[]byte] {
	if err := c.check(); err != nil {
		return Fail[[]byte](err)
	}
	if c.Delimiter == "" {
		c.Delimiter = "\n"
	}
	if c.MaxLen == 0 {
		c.MaxLen = DefaultMaxLen
	}
	return func(ctx context.Context, emit func([]byte) error) error {
		p := splitter{Splitting: c, delim: []byte(c.Delimiter), emit: emit}
		if err := s(ctx, func(chunk []byte) error {
			if err := ended(ctx); err != nil {
				return err
			}
			return p.write(ctx, chunk)
		}); err != nil {
			return err
		}
		return p.close()
	}
}

// A splitter cuts chunks into pieces.
type splitter struct {
	Splitting
	delim []byte
	emit  func([]byte) error

	// carry is the piece that the chunks so far left unended, and size its
	// length. There is no delimiter in it, but maybe the first part of one at
	// its end. If it is too long, carry is no more of it than such a part.
	carry []byte
	size  int64
	seam  []byte // where a delimiter is looked for that is cut by a chunk's end

	offset int64 // of the piece that is looked at, in the stream
	index  int64 // how many came before it

	mean  int // of recent lengths, to choose how to search
	marks marks
}

func (p *splitter) write(ctx context.Context, chunk []byte) error {
	if p.size > 0 {
		rest, err := p.resume(chunk)
		if err != nil || rest == nil {
			return err
		}
		chunk = rest
	}
	whole := p.whole
	if len(p.delim) == 1 {
		whole = p.wholeByByte
	}
	rest, err := whole(ctx, chunk)
	if err != nil {
		return err
	}
	return p.grow(rest)
}

// resume looks for the end of the piece in carry, and returns what follows it,
// or nil if it is not in chunk.
func (p *splitter) resume(chunk []byte) ([]byte, error) {
	used := -1 // how many bytes of chunk end the piece
	if part := len(p.delim) - 1; part > 0 {
		tail := p.carry[max(0, len(p.carry)-part):]
		p.seam = append(append(p.seam[:0], tail...), chunk[:min(part, len(chunk))]...)
		if i := bytes.Index(p.seam, p.delim); i >= 0 {
			used = i + len(p.delim) - len(tail)
		}
	}
	if used < 0 {
		i := bytes.Index(chunk, p.delim)
		if i < 0 {
			return nil, p.grow(chunk)
		}
		used = i + len(p.delim)
	}
	if p.size+int64(used-len(p.delim)) <= int64(p.MaxLen) {
		p.carry = append(p.carry, chunk[:used]...)
	}
	p.size += int64(used)
	return chunk[used:], p.end(len(p.delim))
}

// grow adds to the piece in carry what has no delimiter in it.
func (p *splitter) grow(part []byte) error {
	p.size += int64(len(part))
	if p.size < int64(p.MaxLen)+int64(len(p.delim)) {
		p.carry = append(p.carry, part...)
		return nil
	}
	if p.OnLong == nil {
		return p.long()
	}
	tail := len(p.delim) - 1
	if len(part) >= tail {
		p.carry = append(p.carry[:0], part[len(part)-tail:]...)
		return nil
	}
	p.carry = append(p.carry, part...)
	p.carry = append(p.carry[:0], p.carry[max(0, len(p.carry)-tail):]...)
	return nil
}

// end ends the piece in carry, which has a delimiter of d bytes.
func (p *splitter) end(d int) error {
	var err error
	if p.size-int64(d) > int64(p.MaxLen) {
		err = p.tooLong()
	} else {
		err = p.deliver(p.carry, d)
	}
	p.offset += p.size
	p.index++
	p.size, p.carry = 0, p.carry[:0]
	return err
}

// close ends a last piece without a delimiter.
func (p *splitter) close() error {
	if p.size == 0 {
		return nil
	}
	return p.end(0)
}

// whole delivers the pieces that end in chunk and returns the rest.
func (p *splitter) whole(ctx context.Context, chunk []byte) ([]byte, error) {
	for {
		i := bytes.Index(chunk, p.delim)
		if i < 0 {
			return chunk, nil
		}
		n := i + len(p.delim)
		if err := p.next(ctx, chunk[:n:n]); err != nil {
			return nil, err
		}
		chunk = chunk[n:]
	}
}

// wholeByByte is whole for a delimiter of one byte. Pieces that are short are
// found many at a time, long ones one by one.
func (p *splitter) wholeByByte(ctx context.Context, chunk []byte) ([]byte, error) {
	c := p.delim[0]
	begin := 0 // of the piece; there is no delimiter between it and at
	for at := 0; at < len(chunk); {
		window := chunk[at:min(at+marksWindow, len(chunk))]
		var n int
		if p.mean <= longMean {
			n = p.marks.find(window, c)
		} else {
			window, n = p.marks.findLong(chunk[at:], c)
		}
		next, err := p.window(ctx, chunk, begin, at, p.marks[:n])
		if err != nil {
			return nil, err
		}
		begin = next
		p.mean += (len(window)/(n+1) - p.mean) / 4
		at += len(window)
	}
	return chunk[begin:], nil
}

// window delivers the pieces of chunk that end at marks, which count from at;
// the first begins at begin. It is next and deliver for the usual case, without
// a call for each piece but that of emit.
func (p *splitter) window(ctx context.Context, chunk []byte, begin, at int, marks []uint16) (int, error) {
	emit, most, trim := p.emit, p.MaxLen, p.TrimCR
	usual := !p.KeepDelimiter && !p.SkipEmpty
	first := begin
	for i, mark := range marks {
		end := at + int(mark)
		n := end - begin
		if !usual || n > most || i&ctxEvery == ctxEvery {
			p.offset += int64(begin - first)
			first = end + 1
			if err := p.next(ctx, chunk[begin:first:first]); err != nil {
				return 0, err
			}
			begin = first
			continue
		}
		stop := end
		if trim && n > 0 && chunk[end-1] == '\r' {
			stop--
		}
		if err := emit(chunk[begin:stop:stop]); err != nil {
			return 0, err
		}
		p.index++
		begin = end + 1
	}
	p.offset += int64(begin - first)
	return begin, nil
}

// ctxEvery is how many short pieces of a chunk pass between two looks at ctx.
// It is a mask.
const ctxEvery = 15

// next delivers a piece that lies in a chunk with its delimiter.
func (p *splitter) next(ctx context.Context, piece []byte) error {
	if err := ended(ctx); err != nil {
		return err
	}
	var err error
	if len(piece)-len(p.delim) > p.MaxLen {
		err = p.tooLong()
	} else {
		err = p.deliver(piece, len(p.delim))
	}
	p.offset += int64(len(piece))
	p.index++
	return err
}

// deliver emits a piece with a delimiter of d bytes as it is wanted.
func (p *splitter) deliver(piece []byte, d int) error {
	n := len(piece) - d
	if p.TrimCR && n > 0 && piece[n-1] == '\r' {
		n--
	}
	if n == 0 && p.SkipEmpty {
		return nil
	}
	if p.KeepDelimiter {
		return p.emit(piece)
	}
	return p.emit(piece[:n:n])
}

// tooLong reports the piece at offset: to OnLong, or as an error.
func (p *splitter) tooLong() error {
	err := p.long()
	if p.OnLong == nil {
		return err
	}
	p.OnLong(err)
	return nil
}

func (p *splitter) long() *TooLongError {
	return &TooLongError{Limit: p.MaxLen, Offset: p.offset, Index: p.index}
}
