//go:build !amd64

package stream

// longMean is the mean distance from which findLong is faster than find, as
// measured.
const longMean = 90

func findBlocks(m *marks, p []byte, c byte) int { return m.findWords(p, c) }
