package bulkhead_test

import "testing"

// FuzzModel reads bytes as operations, and compares the bulkhead with the
// model after each.
func FuzzModel(f *testing.F) {
	f.Add([]byte{0x40, 0x40, 0x10, 0x07, 0x0b, 0x17})       // heavy ones wait, one is cancelled
	f.Add([]byte{0x10, 0x40, 0x20, 0x1d, 0x07, 0x5e, 0x0f}) // resized both ways, then closed
	f.Fuzz(func(t *testing.T, data []byte) {
		compare(t, data[:min(len(data), 200)])
	})
}
