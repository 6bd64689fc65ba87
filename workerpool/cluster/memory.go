package cluster

import (
	"bytes"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
)

// memory measures this process: what it holds of the machine's memory, and the
// live objects on the Go heap. Where the system does not tell the first (only
// Linux does), it is what the Go runtime has got from the system and not given
// back.
func memory() (rss, heap uint64) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	heap = samples[0].Value.Uint64()
	if rss = residentSet(); rss == 0 {
		rss = samples[1].Value.Uint64() - samples[2].Value.Uint64()
	}
	return rss, heap
}

// residentSet is the resident set of this process, 0 where nobody knows.
func residentSet() uint64 {
	if runtime.GOOS != "linux" {
		return 0
	}
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
