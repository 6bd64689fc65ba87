package pool_test

import "testing"

// FuzzModel reads bytes as operations, and compares the pool with the model
// after each.
func FuzzModel(f *testing.F) {
	f.Add([]byte{0x00, 0x00, 0x00, 0x00, 0x10, 0x05, 0x07, 0x16})       // more callers than resources, one leaves
	f.Add([]byte{0x1a, 0x00, 0x00, 0x0b, 0x00, 0x3a, 0x0b, 0x00})       // down, refused, and up again
	f.Add([]byte{0x00, 0x05, 0x0d, 0x0b, 0x00, 0x0c, 0x2e, 0x00, 0x0f}) // broken while idle, reset, resized, closed
	f.Fuzz(func(t *testing.T, data []byte) {
		compare(t, data[:min(len(data), 200)])
	})
}
