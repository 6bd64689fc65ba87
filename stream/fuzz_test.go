package stream_test

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

func FuzzModel(f *testing.F) {
	f.Add([]byte{10, 1, 0, 0x23, 8, 0x31, 10, 0x52})
	f.Add([]byte{99, 200, 10, 0x11, 12, 0x22, 13, 0x33, 14, 0xff})
	f.Fuzz(play)
}

func FuzzSplit(f *testing.F) {
	f.Add("a\nb\r\n\n", "\n", []byte{1, 2}, byte(1), byte(3))
	f.Add("aENDENb", "END", []byte{0, 1}, byte(2), byte(1))
	f.Fuzz(func(t *testing.T, text, delim string, cuts []byte, flags, most byte) {
		keep := flags&1 != 0
		compareSplit(t, text, delim, cuts, stream.Splitting{
			KeepDelimiter: keep, TrimCR: !keep && flags&2 != 0, SkipEmpty: flags&4 != 0, MaxLen: int(most),
		})
	})
}

// FuzzLines compares Lines with bufio.Scanner.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n\r\r\n"), []byte{1, 2})
	f.Add(bytes.Repeat([]byte("0123456789\n"), 20), []byte{200, 3})
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		want := bufio.NewScanner(bytes.NewReader(text))
		want.Buffer(nil, stream.DefaultMaxLen)
		got := pieces(t, stream.Lines(cutAt(string(text), cuts)))
		for i, line := range got {
			require.True(t, want.Scan())
			require.Equal(t, want.Text(), line, "line %d", i)
		}
		require.False(t, want.Scan())
	})
}

func FuzzCSV(f *testing.F) {
	f.Add("a,b\n\"c\nd\",\"\"\"\"\n", []byte{1}, byte(0), byte(','))
	f.Add("a;b\r\n#x\r\n;\r", []byte{2, 3}, byte('#'), byte(';'))
	f.Fuzz(func(t *testing.T, text string, cuts []byte, comment, comma byte) {
		c := stream.CSVFormat{Comma: comma, Comment: comment, Fields: -1}
		if _, err := stream.CSV(inChunks(""), c).Count(t.Context()); err != nil {
			return // not a format
		}
		compareCSV(t, text, cuts, c)
	})
}
