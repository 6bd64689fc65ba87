package stream

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// naive is what find and its parts are compared with.
func naive(p []byte, c byte) []uint16 {
	var at []uint16
	for i, b := range p {
		if b == c {
			at = append(at, uint16(i))
		}
	}
	return at
}

// TestFindMarksEachByteOfEachValue puts each value at random beside its
// neighbours, which are those that an inexact test takes for it.
func TestFindMarksEachByteOfEachValue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for c := range 256 {
		for _, density := range []int{1, 3, 40, 400} {
			p := make([]byte, rng.IntN(marksWindow+1))
			for i := range p {
				p[i] = byte(c + rng.IntN(3) - 1)
				if rng.IntN(density) > 0 {
					p[i] = byte(c) ^ byte(1<<rng.IntN(8))
				}
			}
			requireFinds(t, p, byte(c))
		}
	}
}

// TestFindMarksAWindowFullOfDelimiters needs all the room there is.
func TestFindMarksAWindowFullOfDelimiters(t *testing.T) {
	for n := range marksWindow + 1 {
		requireFinds(t, bytes.Repeat([]byte{'\n'}, n), '\n')
	}
}

func requireFinds(t *testing.T, p []byte, c byte) {
	t.Helper()
	want := naive(p, c)
	var m marks
	n := m.find(p, c)
	require.True(t, slices.Equal(want, m[:n]))
	blocks := len(p) / marksBlock * marksBlock
	want = naive(p[:blocks], c)
	m = marks{}
	n = m.findWords(p[:blocks], c)
	require.True(t, slices.Equal(want, m[:n]), "in Go")
	var long []uint16
	for rest := p; len(rest) > 0; {
		searched, n := m.findLong(rest, c)
		for _, at := range m[:n] {
			long = append(long, at+uint16(len(p)-len(rest)))
		}
		rest = rest[len(searched):]
	}
	require.True(t, slices.Equal(naive(p, c), long), "one by one")
}

func FuzzFind(f *testing.F) {
	f.Add([]byte("a\nb\n\n"), byte('\n'))
	f.Add(bytes.Repeat([]byte("\n\x0b\x8a"), 100), byte('\n'))
	f.Fuzz(func(t *testing.T, p []byte, c byte) {
		requireFinds(t, p[:min(len(p), marksWindow)], c)
	})
}
