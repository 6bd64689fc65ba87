package globals

import (
	"sync"
	"time"
)

var timers = sync.Pool{New: func() any { return time.NewTimer(0) }}

var start = time.Now()

var wake = make(chan struct{})

var fine = func() time.Time { return time.Now() }
