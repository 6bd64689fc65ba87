package stream

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// CSVFormat says how CSV and Records read. The zero CSVFormat is that of RFC
// 4180, as package encoding/csv reads it: a quoted field may hold commas, line
// ends and doubled quotes, empty lines are skipped, and all records must have
// as many fields as the first.
type CSVFormat struct {
	// Comma separates fields. Zero means ','. It is a byte of ASCII.
	Comma byte

	// Comment, if not zero, begins lines that are skipped.
	Comment byte

	// Fields is how many fields each record has to have. Zero means as many as
	// the first one, -1 any number.
	Fields int

	// MaxLen is the most bytes that a record may have. Zero means
	// DefaultMaxLen. A longer one ends the Stream with a *TooLongError.
	MaxLen int
}

func (c CSVFormat) check() error {
	if err := atLeast("CSV", "CSVFormat.MaxLen", c.MaxLen, 0); err != nil {
		return err
	}
	if err := atLeast("CSV", "CSVFormat.Fields", c.Fields, -1); err != nil {
		return err
	}
	special := func(b byte) bool { return b >= 0x80 || b == '"' || b == '\r' || b == '\n' }
	switch {
	case special(c.Comma):
		return fmt.Errorf("stream: CSV: CSVFormat.Comma is %q, want a byte of ASCII that is no quote or line end", c.Comma)
	case special(c.Comment):
		return fmt.Errorf("stream: CSV: CSVFormat.Comment is %q, want a byte of ASCII that is no quote or line end", c.Comment)
	case c.Comment == c.comma():
		return fmt.Errorf("stream: CSV: CSVFormat.Comma and Comment are both %q, want different ones", c.Comment)
	}
	return nil
}

func (c CSVFormat) comma() byte {
	if c.Comma == 0 {
		return ','
	}
	return c.Comma
}

// CSV returns a Stream of the records of s, however s is chunked, each as its
// fields without quotes. A record is the receiver's to keep; it costs two
// allocations. What is malformed ends the Stream with a *CSVError.
func CSV(s Stream[[]byte], c CSVFormat) Stream[[]string] {
	return records(s, c, func(r *recorder, record []byte, emit func([]string) error) error {
		fields, err := r.parse(record)
		if err == nil && r.Fields >= 0 {
			if r.Fields == 0 {
				r.Fields = len(fields)
			}
			if len(fields) != r.Fields {
				err = ErrFieldCount
			}
		}
		if err != nil {
			return r.failed(err)
		}
		return emit(fields)
	})
}

// Records is CSV with each record as the bytes it is made of, without its line
// end and not parsed; Fields is not looked at. Like all items of bytes it is
// valid until emit returns. Only a quote that is never closed is an error.
func Records(s Stream[[]byte], c CSVFormat) Stream[[]byte] {
	return records(s, c, func(_ *recorder, record []byte, emit func([]byte) error) error {
		return emit(record)
	})
}

func records[T any](s Stream[[]byte], c CSVFormat, deliver func(*recorder, []byte, func(T) error) error) Stream[T] {
	if err := c.check(); err != nil {
		return Fail[T](err)
	}
	if c.MaxLen == 0 {
		c.MaxLen = DefaultMaxLen
	}
	lines := Split(s, Splitting{MaxLen: c.MaxLen})
	return func(ctx context.Context, emit func(T) error) error {
		r := &recorder{CSVFormat: c, sep: c.comma()}
		if err := lines(ctx, func(line []byte) error {
			record, err := r.line(line)
			if err != nil || record == nil {
				return err
			}
			return deliver(r, record, emit)
		}); err != nil {
			return err
		}
		if r.open {
			// The quote that is open may be there because of one that should not
			// be: the first error is the one to tell.
			_, err := r.parse(r.carry)
			return r.failed(err)
		}
		return nil
	}
}

// A recorder puts lines together to records: one goes on while a quote is
// open.
type recorder struct {
	CSVFormat
	sep byte

	open   bool   // a quote is
	carry  []byte // the lines of the record so far, if open
	record int64  // how many records have begun
	lines  int64  // how many lines have come
	begun  int64  // the number of the line on which the record began
	offset int64  // where the next line begins
	start  int64  // where the record began

	text []byte // of the fields of one record
	ends []int  // of each of them in text
}

// line takes one line, and returns the record that ends with it or nil.
func (r *recorder) line(line []byte) ([]byte, error) {
	at := r.offset
	r.lines++
	r.offset += int64(len(line)) + 1
	if !r.open {
		bare := trimCR(line)
		if len(bare) == 0 || r.Comment != 0 && bare[0] == r.Comment {
			return nil, nil
		}
		r.record++
		r.begun, r.start = r.lines, at
		if bytes.IndexByte(bare, '"') < 0 {
			return bare, nil
		}
		if r.open = opens(bare, false, r.sep); !r.open {
			return bare, nil
		}
		r.carry = append(r.carry[:0], line...)
		return nil, nil
	}
	if len(r.carry)+1+len(line) > r.MaxLen {
		return nil, &TooLongError{Limit: r.MaxLen, Offset: r.start, Index: r.record - 1}
	}
	r.carry = append(append(r.carry, '\n'), line...)
	if r.open = opens(line, true, r.sep); r.open {
		return nil, nil
	}
	return trimCR(r.carry), nil
}

// failed tells where the record with an error is.
func (r *recorder) failed(err error) error {
	return &CSVError{Record: r.record, Line: r.begun, Err: err}
}

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[: n-1 : n-1]
	}
	return line
}

// opens tells whether a quote is open at the end of line, if one was or was
// not at its beginning. A quote opens at the beginning of a field alone.
func opens(line []byte, open bool, sep byte) bool {
	for {
		if !open {
			if len(line) == 0 || line[0] != '"' {
				i := bytes.IndexByte(line, sep)
				if i < 0 {
					return false
				}
				line = line[i+1:]
				continue
			}
			line = line[1:]
		}
		i := bytes.IndexByte(line, '"')
		if i < 0 {
			return true
		}
		line = line[i+1:]
		if open = len(line) > 0 && line[0] == '"'; open {
			line = line[1:]
			continue
		}
		// Behind the field; whatever else stands there is parse's to judge.
		if i = bytes.IndexByte(line, sep); i < 0 {
			return false
		}
		line = line[i+1:]
	}
}

// parse returns the fields of record, all parts of one string.
func (r *recorder) parse(record []byte) ([]string, error) {
	if bytes.IndexByte(record, '"') < 0 {
		text := string(record)
		fields := make([]string, bytes.Count(record, []byte{r.sep})+1)
		for i := range fields[:len(fields)-1] {
			end := strings.IndexByte(text, r.sep)
			fields[i], text = text[:end], text[end+1:]
		}
		fields[len(fields)-1] = text
		return fields, nil
	}
	r.text, r.ends = r.text[:0], r.ends[:0]
	for more := true; more; {
		var err error
		if record, more, err = r.field(record); err != nil {
			return nil, err
		}
		r.ends = append(r.ends, len(r.text))
	}
	text := string(r.text)
	fields := make([]string, len(r.ends))
	begin := 0
	for i, end := range r.ends {
		fields[i] = text[begin:end]
		begin = end
	}
	return fields, nil
}

// field adds the first field of record to text and returns the rest, and
// whether there was a comma behind it.
func (r *recorder) field(record []byte) (rest []byte, more bool, err error) {
	if len(record) == 0 || record[0] != '"' {
		field, rest, more := bytes.Cut(record, []byte{r.sep})
		if bytes.IndexByte(field, '"') >= 0 {
			return nil, false, ErrBareQuote
		}
		r.text = append(r.text, field...)
		return rest, more, nil
	}
	record = record[1:]
	for {
		i := bytes.IndexByte(record, '"')
		if i < 0 {
			return nil, false, ErrQuote
		}
		r.quoted(record[:i])
		record = record[i+1:]
		switch {
		case len(record) == 0:
			return nil, false, nil
		case record[0] == '"':
			r.text = append(r.text, '"')
		case record[0] == r.sep:
			return record[1:], true, nil
		default:
			return nil, false, ErrQuote
		}
		record = record[1:]
	}
}

// quoted adds a part of a quoted field, with plain newlines as line ends.
func (r *recorder) quoted(part []byte) {
	for {
		i := bytes.Index(part, []byte("\r\n"))
		if i < 0 {
			r.text = append(r.text, part...)
			return
		}
		r.text = append(r.text, part[:i]...)
		part = part[i+1:]
	}
}
