package ratelimit_test

import "testing"

// FuzzModel reads bytes as requests at times that go both ways, and compares
// the limiter with the model after each: a log of events for the exact sliding
// window, the bounds of one step for the stepped one, the definition for GCRA.
func FuzzModel(f *testing.F) {
	f.Add([]byte{2, 9, 0, 1, 5, 2, 6, 3, 7, 1, 10, 2})              // around the end of a window
	f.Add([]byte{8, 0x83, 8, 4, 12, 4, 13, 0xf1, 9, 1, 5, 4, 0, 4}) // far ahead and back
	f.Fuzz(func(t *testing.T, data []byte) {
		data = data[:min(len(data), 300)]
		compare(t, data)
		compareWide(t, data)
		compareGCRA(t, data)
	})
}
