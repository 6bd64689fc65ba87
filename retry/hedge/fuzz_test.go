package hedge_test

import "testing"

// FuzzModel plays any scenario and compares what happens with the reference.
func FuzzModel(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{3, 2, 0, 40, 2, 100, 3, 4})
	f.Add([]byte{1, 4, 1, 30, 4, 200, 201, 100, 50, 21})
	f.Add([]byte{2, 1, 1, 9, 4, 254, 254, 255, 255, 1})
	f.Fuzz(checkModel)
}
