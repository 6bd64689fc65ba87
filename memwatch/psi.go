package memwatch

import "bytes"

// parseStall reads the averages over ten seconds of a pressure file:
//
//	some avg10=0.12 avg60=0.00 avg300=0.00 total=123
//	full avg10=0.00 avg60=0.00 avg300=0.00 total=45
//
// What it does not understand is no stall, and ok is false without a line of
// "some". It does not allocate.
func parseStall(text []byte) (s Stall, ok bool) {
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, newline)
		kind, rest, _ := bytes.Cut(line, space)
		value, found := bytes.CutPrefix(rest, avg10)
		if !found {
			continue
		}
		share, valid := parsePercent(value)
		switch {
		case !valid:
		case string(kind) == "some":
			s.Some, ok = share, true
		case string(kind) == "full":
			s.Full = share
		}
	}
	return s, ok
}

// Separators. They are variables as a literal in a loop may be allocated anew.
var (
	newline = []byte{'\n'}
	space   = []byte{' '}
	avg10   = []byte("avg10=")
)

// parsePercent reads a number such as 12.34 up to a space, as a share of one.
func parsePercent(text []byte) (share float64, ok bool) {
	word, _, _ := bytes.Cut(text, space)
	scale, v, digits := 0.0, 0.0, 0
	for _, c := range word {
		switch {
		case c == '.' && scale == 0:
			scale = 1
		case c >= '0' && c <= '9':
			v = v*10 + float64(c-'0')
			scale *= 10
			digits++
		default:
			return 0, false
		}
	}
	if digits == 0 || digits > 9 {
		return 0, false
	}
	return min(v/max(scale, 1)/100, 1), true
}
