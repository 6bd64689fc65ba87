package stream

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// marksWindow is how many bytes are searched at once: a multiple of a block.
const (
	marksWindow = 2048
	marksBlock  = 64
)

// marks are the places of one byte in a window, ascending. There is room for
// four more than there can be, which findBlocks may write in vain.
type marks [marksWindow + 4]uint16

// find writes the places of c in p and returns how many there are. To call
// bytes.IndexByte for each costs a mispredicted branch for each, as no
// processor can foresee how long a line is. This takes the same way through
// the code wherever they are, unless more than four are in one block.
func (m *marks) find(p []byte, c byte) int {
	n := 0
	if len(p) >= marksBlock {
		n = findBlocks(m, p, c)
	}
	for i := len(p) / marksBlock * marksBlock; i < len(p); i++ {
		if p[i] == c {
			m[n] = uint16(i)
			n++
		}
	}
	return n
}

// findLong is find for places that are far from each other. It returns how much
// of p it has searched.
func (m *marks) findLong(p []byte, c byte) (searched []byte, n int) {
	p = p[:min(len(p), longWindow)]
	at := 0
	for n < marksWindow {
		i := bytes.IndexByte(p[at:], c)
		if i < 0 {
			return p, n
		}
		m[n] = uint16(at + i)
		n++
		at += i + 1
	}
	return p[:at], n
}

// longWindow is the most that findLong searches: places are 16 bits.
const longWindow = 32 << 10

// findWords is findBlocks in Go, for processors without it of their own, on eight words of eight bytes at a time.
func (m *marks) findWords(p []byte, c byte) int {
	pattern := lows * uint64(c)
	n := 0
	for i := 0; i+marksBlock <= len(p); i += marksBlock {
		b := (*[marksBlock]byte)(p[i:])
		others := nonzero(binary.LittleEndian.Uint64(b[0:]) ^ pattern)
		others |= nonzero(binary.LittleEndian.Uint64(b[8:])^pattern) << 8
		others |= nonzero(binary.LittleEndian.Uint64(b[16:])^pattern) << 16
		others |= nonzero(binary.LittleEndian.Uint64(b[24:])^pattern) << 24
		others |= nonzero(binary.LittleEndian.Uint64(b[32:])^pattern) << 32
		others |= nonzero(binary.LittleEndian.Uint64(b[40:])^pattern) << 40
		others |= nonzero(binary.LittleEndian.Uint64(b[48:])^pattern) << 48
		others |= nonzero(binary.LittleEndian.Uint64(b[56:])^pattern) << 56
		set := ^others
		count := bits.OnesCount64(set)
		// Four are written whether they are there or not, so that seldom a
		// branch depends on how many there are.
		out := (*[4]uint16)(m[n:])
		for j := range out {
			out[j] = uint16(i + bits.TrailingZeros64(set))
			set &= set - 1
		}
		for j := n + 4; set != 0; j++ {
			m[j] = uint16(i + bits.TrailingZeros64(set))
			set &= set - 1
		}
		n += count
	}
	return n
}

const (
	lows  = 0x0101010101010101 // the lowest bit of each byte of a word
	highs = lows << 7          // the highest
)

// nonzero returns a byte whose bit i tells whether byte i of x is not 0.
func nonzero(x uint64) uint64 {
	// Adding 0x7f to the low seven bits of a byte sets its top bit unless they
	// are all 0, and carries into no other byte, so the test is exact.
	x = (x&^highs + ^uint64(highs) | x) & highs
	// The product has the top bit of byte i at 56+i, and nothing that carries
	// into those.
	return x * 0x0002040810204081 >> 56
}
