package stream_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

// A model is what a pipeline does, on slices: the items that come out and the
// error after them.
type model struct {
	items []int
	err   error
}

// A pair is a pipeline with its model.
type pair struct {
	s stream.Stream[int]
	m model
}

// steps add a stage to both sides. a and b are small numbers.
var steps = []func(p pair, a, b int) pair{
	func(p pair, a, _ int) pair {
		return pair{stream.Map(p.s, func(v int) int { return v*3 + a }), p.m.each(func(v int) []int { return []int{v*3 + a} })}
	},
	func(p pair, a, _ int) pair {
		f := func(v int) bool { return v%(a+1) != 0 }
		return pair{p.s.Filter(f), p.m.each(func(v int) []int {
			if f(v) {
				return []int{v}
			}
			return nil
		})}
	},
	func(p pair, a, _ int) pair {
		f := func(v int) []int { return slices.Repeat([]int{v}, v&3) }
		return pair{stream.FlatMap(p.s, func(v int) stream.Stream[int] { return stream.Of(f(v)...) }), p.m.each(f)}
	},
	func(p pair, a, _ int) pair {
		if a >= len(p.m.items) && a > 0 {
			return pair{p.s.Take(a + 1), p.m.cut(a + 1)}
		}
		return pair{p.s.Take(a), p.m.cut(a)}
	},
	func(p pair, a, _ int) pair {
		return pair{p.s.Skip(a), model{p.m.items[min(a, len(p.m.items)):], p.m.err}}
	},
	func(p pair, a, b int) pair {
		f := func(v int) bool { return v%7 != b%7 }
		i := slices.IndexFunc(p.m.items, func(v int) bool { return !f(v) })
		if a%2 == 0 {
			if i < 0 {
				return pair{p.s.TakeWhile(f), p.m}
			}
			return pair{p.s.TakeWhile(f), model{p.m.items[:i], nil}}
		}
		if i < 0 {
			i = len(p.m.items)
		}
		return pair{p.s.SkipWhile(f), model{p.m.items[i:], p.m.err}}
	},
	func(p pair, a, _ int) pair {
		sum := 0
		return pair{stream.Scan(p.s, 0, func(s, v int) int { return (s*31 + v) % 1000 }), p.m.each(func(v int) []int {
			sum = (sum*31 + v) % 1000
			return []int{sum}
		})}
	},
	func(p pair, a, b int) pair {
		var sums []int
		for i := 0; i+a+1 <= len(p.m.items); i += b + 1 {
			sums = append(sums, total(p.m.items[i:i+a+1]))
		}
		return pair{stream.Map(stream.Window(p.s, a+1, b+1), total), model{sums, p.m.err}}
	},
	func(p pair, a, b int) pair {
		return batched(p, stream.Batch(p.s, a+1, time.Duration(b%2)*time.Hour), a+1)
	},
	func(p pair, a, b int) pair {
		var want []int
		for rest := p.m.items; len(rest) > 0; {
			n, weighs := 0, 0
			for n < len(rest) && n < a+1 && (n == 0 || weighs+rest[n]&7 <= b+1) {
				weighs += rest[n] & 7
				n++
			}
			want = append(want, total(rest[:n]))
			rest = rest[n:]
		}
		s := stream.BatchBy(p.s, a+1, b+1, func(v int) int { return v & 7 }, time.Duration(a%2)*time.Hour)
		return pair{stream.Map(s, total), model{want, p.m.err}}
	},
	func(p pair, a, b int) pair {
		f := func(_ context.Context, v int) (int, error) {
			if v%50 == 49-b {
				return 0, errTest
			}
			return v + a, nil
		}
		var want model
		for _, v := range p.m.items {
			out, err := f(nil, v)
			if err != nil {
				want.err = err
				break
			}
			want.items = append(want.items, out)
		}
		if want.err == nil {
			want.err = p.m.err
		}
		if a%2 == 0 {
			return pair{stream.MapErr(p.s, f), want}
		}
		return pair{stream.ParMap(p.s, stream.Parallel{Workers: 1 + a%3, Window: 3 + b}, f), want}
	},
	func(p pair, a, _ int) pair {
		var seen, want []int
		for _, v := range p.m.items {
			if slices.Contains(seen, v%20) {
				continue
			}
			want = append(want, v)
			if seen = append(seen, v%20); len(seen) > a+1 {
				seen = seen[1:]
			}
		}
		return pair{stream.DistinctBy(p.s, a+1, func(v int) int { return v % 20 }), model{want, p.m.err}}
	},
	grouped,
	func(p pair, a, _ int) pair { return pair{p.s.Buffer(a + 1), p.m} },
	func(p pair, a, b int) pair {
		if p.m.err != nil { // which of two errors comes first depends on who is asked first
			return p
		}
		n := min(len(p.m.items), a*b)
		zip := func(x, y int) int { return x*2 + y }
		want := make([]int, n)
		for i := range want {
			want[i] = zip(p.m.items[i], i)
		}
		return pair{stream.Zip(p.s, stream.Range(0, a*b), zip), model{want, nil}}
	},
	func(p pair, a, b int) pair {
		return pair{stream.Concat(stream.Range(0, a), p.s), model{append(upTo(a), p.m.items...), p.m.err}}
	},
	func(p pair, a, _ int) pair {
		if p.m.err == nil {
			return pair{p.s.Recover(func(error) stream.Stream[int] { return stream.Fail[int](errCause) }), p.m}
		}
		s := p.s.Recover(func(err error) stream.Stream[int] { return stream.Range(0, a) })
		return pair{s, model{append(slices.Clone(p.m.items), upTo(a)...), nil}}
	},
	func(p pair, a, b int) pair {
		s := p.s.Retry(stream.Retries{Max: 1 + a%3, Resume: true, If: func(err error) bool { return err == errTest }})
		return pair{s.Tap(func(int) {}).Metered(new(stream.Meter)).Timeout(time.Hour), p.m}
	},
}

func (m model) each(f func(int) []int) model {
	var out []int
	for _, v := range m.items {
		out = append(out, f(v)...)
	}
	return model{out, m.err}
}

func (m model) cut(n int) model {
	if n <= len(m.items) {
		return model{m.items[:n], nil}
	}
	return m
}

func total(items []int) int {
	sum := len(items)
	for _, v := range items {
		sum = (sum*7 + v) % 10_000
	}
	return sum
}

func upTo(n int) []int {
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	return items
}

func batched(p pair, s stream.Stream[[]int], n int) pair {
	var want []int
	for batch := range slices.Chunk(p.m.items, n) {
		want = append(want, total(batch))
	}
	return pair{stream.Map(s, total), model{want, p.m.err}}
}

func grouped(p pair, a, b int) pair {
	type group struct {
		key   int
		items []int
	}
	key := func(v int) int { return v % 5 }
	var open []group
	var want []int
	out := func(i int) {
		want = append(want, open[i].key*100+total(open[i].items))
		open = slices.Delete(open, i, i+1)
	}
	for _, v := range p.m.items {
		i := slices.IndexFunc(open, func(g group) bool { return g.key == key(v) })
		if i < 0 {
			if len(open) == b+1 {
				out(0)
			}
			i = len(open)
			open = append(open, group{key: key(v)})
		}
		if open[i].items = append(open[i].items, v); len(open[i].items) == a+1 {
			out(i)
		}
	}
	for len(open) > 0 {
		out(0)
	}
	groups := stream.GroupBy(p.s, a+1, b+1, key)
	return pair{stream.Map(groups, func(g stream.Group[int, int]) int { return g.Key*100 + total(g.Items) }), model{want, p.m.err}}
}

// play builds the pipeline that ops describes beside its model and compares
// what they give, to the end and to a sink that stops.
func play(t *testing.T, ops []byte) {
	t.Helper()
	if len(ops) < 2 {
		return
	}
	n := int(ops[0]) % 100
	p := pair{stream.Range(0, n), model{upTo(n), nil}}
	if ops[1]%2 == 1 {
		p = pair{stream.Concat(p.s, stream.Fail[int](errTest)), model{p.m.items, errTest}}
	}
	for i := 2; i+1 < len(ops) && i < 20; i += 2 {
		p = steps[int(ops[i])%len(steps)](p, int(ops[i+1]>>4), int(ops[i+1]&15))
	}
	for range 2 { // a Stream can be run again
		got, err := p.s.Collect(t.Context())
		require.Equal(t, p.m.err, err)
		require.True(t, slices.Equal(p.m.items, got), "want %v, got %v", p.m.items, got)
	}
	stop := int(ops[1]) / 2
	var got []int
	for v, err := range p.s.All(t.Context()) {
		if err != nil || len(got) == stop {
			break
		}
		got = append(got, v)
	}
	require.True(t, slices.Equal(p.m.items[:min(stop, len(p.m.items))], got))
}

// TestModel plays random pipelines.
func TestModel(t *testing.T) {
	noneLeft(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1500 {
		ops := make([]byte, 2+rng.IntN(14))
		for i := range ops {
			ops[i] = byte(rng.Uint32())
		}
		play(t, ops)
	}
}

// cutAt gives text in chunks whose lengths are the bytes of cuts, cyclically.
func cutAt(text string, cuts []byte) stream.Stream[[]byte] {
	if len(cuts) == 0 {
		return inChunks(text)
	}
	var lengths []int
	for total, i := 0, 0; total < len(text) && i < 10_000; i++ {
		n := int(cuts[i%len(cuts)])
		lengths = append(lengths, n)
		total += n
	}
	return inChunks(text, lengths...)
}

// compareSplit compares Split with strings.Split, which leaves an empty last
// piece that Split does not.
func compareSplit(t *testing.T, text, delim string, cuts []byte, c stream.Splitting) {
	t.Helper()
	c.Delimiter = delim
	if delim == "" {
		delim = "\n"
	}
	var want []string
	for piece := range strings.SplitAfterSeq(text, delim) {
		bare := strings.TrimSuffix(piece, delim)
		if piece == "" || c.SkipEmpty && trim(bare, c.TrimCR) == "" {
			continue
		}
		if c.MaxLen > 0 && len(bare) > c.MaxLen {
			continue
		}
		if !c.KeepDelimiter {
			piece = trim(bare, c.TrimCR)
		}
		want = append(want, piece)
	}
	c.OnLong = func(e *stream.TooLongError) {
		rest := text[e.Offset:]
		piece, _, _ := strings.Cut(rest, delim)
		require.Greater(t, len(piece), c.MaxLen)
	}
	got := pieces(t, stream.Split(cutAt(text, cuts), c))
	require.True(t, slices.Equal(want, got), "want %q, got %q", want, got)
}

func trim(s string, cr bool) string {
	if cr {
		return strings.TrimSuffix(s, "\r")
	}
	return s
}

// compareCSV compares CSV with encoding/csv: the same records, and an error of
// the same kind after the same record.
func compareCSV(t *testing.T, text string, cuts []byte, c stream.CSVFormat) {
	t.Helper()
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = c.Fields
	r.Comment = rune(c.Comment)
	if c.Comma != 0 {
		r.Comma = rune(c.Comma)
	}
	var want [][]string
	var wantErr error
	for wantErr == nil {
		var record []string
		if record, wantErr = r.Read(); wantErr == nil {
			want = append(want, record)
		}
	}
	var kind error
	switch {
	case errors.Is(wantErr, csv.ErrQuote):
		kind = stream.ErrQuote
	case errors.Is(wantErr, csv.ErrBareQuote):
		kind = stream.ErrBareQuote
	case errors.Is(wantErr, csv.ErrFieldCount):
		kind = stream.ErrFieldCount
	default:
		require.ErrorIs(t, wantErr, io.EOF)
	}
	got, err := stream.CSV(cutAt(text, cuts), c).Collect(t.Context())
	require.ErrorIs(t, err, kind)
	require.Equal(t, want, got)
	if at, ok := errors.AsType[*stream.CSVError](err); ok {
		require.EqualValues(t, len(want)+1, at.Record)
		if line, ok := errors.AsType[*csv.ParseError](wantErr); ok {
			require.EqualValues(t, line.StartLine, at.Line)
		}
	}
	// What Records gives is what CSV parses.
	if kind != nil {
		return
	}
	for i, raw := range pieces(t, stream.Records(cutAt(text, cuts), c)) {
		one, err := stream.CSV(inChunks(raw+"\r\n"), c).Collect(t.Context())
		require.NoError(t, err)
		require.Equal(t, want[i:i+1], one)
	}
}

// TestSplitAndCSVMatchTheStandardLibrary draws texts of a few bytes, most of
// them special.
func TestSplitAndCSVMatchTheStandardLibrary(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	draw := func(alphabet string, n int) string {
		var b bytes.Buffer
		for range rng.IntN(n) {
			b.WriteByte(alphabet[rng.IntN(len(alphabet))])
		}
		return b.String()
	}
	for range 2_000 {
		cuts := []byte(draw("\x00\x01\x02\x03\x10", 5))
		compareSplit(t, draw("ab\r\n", 60), draw("ab\n", 4), cuts, stream.Splitting{
			TrimCR: rng.IntN(2) == 0, SkipEmpty: rng.IntN(2) == 0, MaxLen: rng.IntN(10),
		})
		compareSplit(t, draw("ab\r\n", 60), draw("ab\n", 4), cuts, stream.Splitting{KeepDelimiter: true, MaxLen: rng.IntN(10)})
		compareCSV(t, draw("a,\"\r\n#", 30), cuts, stream.CSVFormat{Fields: rng.IntN(3) - 1, Comment: []byte{0, '#'}[rng.IntN(2)]})
		compareCSV(t, draw(`a,"`, 30)+"\n", cuts, stream.CSVFormat{Fields: -1})
	}
}
