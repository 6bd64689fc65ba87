package bulkhead

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// An idle bulkhead is one object of 384 bytes, beginning at a cache line: its
// slots word must not share a line with anybody else's memory.
func TestBulkheadBytes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64 bits")
	}
	require.EqualValues(t, 0, unsafe.Offsetof(Bulkhead{}.slots))
	require.Greater(t, unsafe.Sizeof(Bulkhead{}), uintptr(352), "the size class below does not begin at a line")
	require.LessOrEqual(t, unsafe.Sizeof(Bulkhead{}), uintptr(384))
	require.GreaterOrEqual(t, unsafe.Offsetof(Bulkhead{}.hint), uintptr(64), "read on each call, so away from the word")
	require.EqualValues(t, 1, testing.AllocsPerRun(10, func() { MustNew(Config{}) }))
}

// BenchmarkNew shows the bytes of an idle bulkhead as B/op.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		MustNew(Config{})
	}
}
