package stream

// longMean is the mean distance from which findLong is faster than find, as
// measured.
const longMean = 300

// findBlocks writes the places of c in the whole blocks of p, of which there
// must be one, to m, and maybe four entries more. It returns how many there are.
// Every amd64 processor can run it: it needs SSE2 alone, and where TZCNT is
// not known it is executed as BSF, which does the same for all that counts.
//
//go:noescape
func findBlocks(m *marks, p []byte, c byte) int
