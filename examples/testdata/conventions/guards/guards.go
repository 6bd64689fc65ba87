package guards

import (
	"sync"
	"sync/atomic"
)

type t struct {
	mu sync.Mutex

	// rw guards m.
	rw sync.RWMutex
	m  map[string]int

	word atomic.Uint64
	next atomic.Pointer[t] // written by push
}
