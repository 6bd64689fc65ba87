package lru_test

import "testing"

// FuzzModel reads bytes as operations, and compares the cache with the model
// after each.
func FuzzModel(f *testing.F) {
	f.Add(byte(0), []byte{0, 1, 2, 0, 2, 3, 5, 1, 0, 0, 3, 4})
	f.Add(byte(7), []byte{0, 1, 2, 15, 2, 200, 0, 1, 9, 13, 3, 4, 14, 0, 16})
	f.Fuzz(func(t *testing.T, shape byte, data []byte) {
		capacity := int(shape>>2)%20 + 1
		maxCost := 0
		if shape&2 != 0 {
			maxCost = 256
		}
		keys := make([]int, 2*capacity+2)
		for i := range keys {
			keys[i] = i
		}
		compare(t, capacity, maxCost, shape&1 != 0, keys, data[:min(len(data), 900)])
	})
}
