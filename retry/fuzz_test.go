package retry_test

import "testing"

// FuzzModel plays any scenario and compares what happens with the reference.
func FuzzModel(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{3, 1, 50, 0, 0, 0, 1, 7, 1, 7, 1, 0})
	f.Add([]byte{11, 0, 10, 4, 255, 80, 90, 20, 3, 7, 3, 3, 3, 2})
	f.Add([]byte{5, 0, 19, 8, 10, 255, 65, 31, 30, 5, 30, 4, 1, 1})
	f.Fuzz(checkModel)
}
