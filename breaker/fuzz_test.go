package breaker_test

import "testing"

func FuzzModel(f *testing.F) {
	for first := range modelConfigs {
		f.Add([]byte{byte(first), 0, 1, 2, 7, 8, 0, 15, 0xfb, 0xfb, 0xfb, 15, 0, 4, 15})
		f.Add([]byte{byte(first), 0, 0, 0xab, 15, 0x1e, 0, 7, 0x2e, 0x4e, 0, 7, 7, 15})
	}
	f.Fuzz(runModel)
}
