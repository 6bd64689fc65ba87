package memwatch

import (
	"bytes"
	"math"
	"os"
	"runtime/metrics"
	"time"
)

// Sample is what a process holds at one time. Sizes are in bytes.
type Sample struct {
	// Time is when the sample was taken.
	Time time.Time `json:"time"`

	// Cycle counts the collections since the process began, and Live is what
	// the last of them found reachable. Where several ended since the sample
	// before, Live is the least that they found.
	Cycle uint64 `json:"cycle"`
	Live  uint64 `json:"live"`

	// Heap is Live with the garbage since; Goal is how large it may become
	// until the next collection; Unused is held by spans that have objects,
	// but not for objects: fragmentation.
	Heap   uint64 `json:"heap"`
	Goal   uint64 `json:"goal"`
	Unused uint64 `json:"unused"`

	// Total is what Go has from the operating system and has not given back,
	// Stacks the part of it that goroutines stand on, and Other the part that
	// is neither stacks nor heap nor free: the runtime's own.
	Total  uint64 `json:"total"`
	Stacks uint64 `json:"stacks"`
	Other  uint64 `json:"other"`

	// Resident is the anonymous memory of the process in RAM, without the
	// pages of files; OffHeap is the part of it that Go knows nothing about,
	// that of cgo and mmap. Run reads it at every sixth interval, and the
	// samples between have the last value. Both are 0 without Run, and where
	// the operating system does not say (it does on Linux).
	Resident uint64 `json:"resident"`
	OffHeap  uint64 `json:"off_heap"`

	// Goroutines counts those that live.
	Goroutines uint64 `json:"goroutines"`

	// Limit is the memory limit of the Go runtime (GOMEMLIMIT), 0 if there is
	// none.
	Limit uint64 `json:"limit"`
}

// source reads the process. It is an interface inside the package so that
// tests can lead a Watcher through weeks of memory.
type source interface {
	cycle() (cycle, live uint64) // of the last collection
	sample(*Sample)              // all but Time, Resident and OffHeap
	resident() uint64
}

// process is the source of every Watcher outside tests. It is not safe for use
// by several goroutines: the Watcher's lock guards it. No method
// allocates or stops the world.
type process struct {
	all   [len(names)]metrics.Sample
	last  []metrics.Sample // the first two of all
	statm *os.File         // nil where there is none
	page  uint64
	text  [128]byte
}

// The places of the metrics in process.all.
const (
	gcCycles = iota
	gcLive
	gcGoal
	gcLimit
	heapObjects
	heapUnused
	heapFree
	heapReleased
	heapStacks
	osStacks
	allTotal
	goroutines
)

var names = [...]string{
	gcCycles:     "/gc/cycles/total:gc-cycles",
	gcLive:       "/gc/heap/live:bytes",
	gcGoal:       "/gc/heap/goal:bytes",
	gcLimit:      "/gc/gomemlimit:bytes",
	heapObjects:  "/memory/classes/heap/objects:bytes",
	heapUnused:   "/memory/classes/heap/unused:bytes",
	heapFree:     "/memory/classes/heap/free:bytes",
	heapReleased: "/memory/classes/heap/released:bytes",
	heapStacks:   "/memory/classes/heap/stacks:bytes",
	osStacks:     "/memory/classes/os-stacks:bytes",
	allTotal:     "/memory/classes/total:bytes",
	goroutines:   "/sched/goroutines:goroutines",
}

func newProcess() *process {
	p := &process{page: uint64(os.Getpagesize())}
	for i, name := range names {
		p.all[i].Name = name
	}
	p.last = p.all[:gcLive+1]
	return p
}

// open and shut bracket the time in which many samples are taken: the file is
// held open meanwhile. Without it OffHeap and Resident are 0.
func (p *process) open() {
	if f, err := os.Open("/proc/self/statm"); err == nil {
		p.statm = f
	}
}

func (p *process) shut() {
	if p.statm != nil {
		_ = p.statm.Close() // it was only read
		p.statm = nil
	}
}

func (p *process) cycle() (cycle, live uint64) {
	metrics.Read(p.last)
	return p.value(gcCycles), p.value(gcLive)
}

func (p *process) sample(s *Sample) {
	metrics.Read(p.all[:])
	s.Cycle, s.Live = p.value(gcCycles), p.value(gcLive)
	s.Heap, s.Goal, s.Unused = p.value(heapObjects), p.value(gcGoal), p.value(heapUnused)
	s.Total = p.value(allTotal) - p.value(heapReleased)
	s.Stacks = p.value(heapStacks) + p.value(osStacks)
	s.Other = s.Total - s.Heap - s.Unused - p.value(heapFree) - s.Stacks
	s.Goroutines = p.value(goroutines)
	if s.Limit = p.value(gcLimit); s.Limit == math.MaxInt64 {
		s.Limit = 0
	}
}

// value of a metric; 0 if a future runtime does without it.
func (p *process) value(i int) uint64 {
	if p.all[i].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return p.all[i].Value.Uint64()
}

// resident costs a system call, more than all the rest of a sample. It reads
// the second and third number of statm: pages in RAM, and those of them that belong
// to files.
func (p *process) resident() uint64 {
	if p.statm == nil {
		return 0
	}
	n, _ := p.statm.ReadAt(p.text[:], 0)
	_, rest, _ := bytes.Cut(p.text[:n], []byte{' '})
	all, rest := leading(rest)
	files, _ := leading(rest)
	return (all - min(all, files)) * p.page
}

// leading parses the number that text begins with, and returns what follows
// the space behind it.
func leading(text []byte) (v uint64, rest []byte) {
	for i, c := range text {
		if c < '0' || c > '9' {
			return v, text[i+1:]
		}
		v = v*10 + uint64(c-'0')
	}
	return v, nil
}
