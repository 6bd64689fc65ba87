package cluster

import (
	"sync"
	"time"
)

// Hooks are called in the master, one at a time and in order, outside every
// lock, on a goroutine of their own: a slow hook delays the hooks behind it and
// nothing else. They may call the methods of the Cluster.
type Hooks struct {
	// OnStart is called when a process has been started for a slot.
	OnStart func(WorkerStart)

	// OnReady is called when a worker says that it is ready.
	OnReady func(WorkerStart)

	// OnUp is called once, when all workers have become ready.
	OnUp func()

	// OnExit is called when a process is gone and reaped.
	OnExit func(WorkerExit)

	// OnGiveUp is called when a slot gets no new worker, because it is in a
	// crash loop. A Reload revives it.
	OnGiveUp func(*CrashLoopError)

	// OnMessage is called with each message of a worker. Messages for which
	// there is no room while a hook takes its time are dropped and counted in
	// Stats.Dropped.
	OnMessage func(slot int, m Message)

	// OnReload is called when a reload has ended, with the error of Reload.
	OnReload func(error)

	// OnUpgrade is called when an upgrade has ended, with the error of Upgrade.
	OnUpgrade func(error)
}

// WorkerStart tells of a process.
type WorkerStart struct {
	Name  string // Config.Name
	Slot  int    // its place, from 0
	Pid   int    // the process
	Start uint64 // 1 for the first process of the slot
}

// WorkerExit tells of the end of a process.
type WorkerExit struct {
	Name   string        // Config.Name
	Slot   int           // its place
	Pid    int           // the process, 0 if it could not be started
	Reason Reason        // why it ended
	Forced bool          // it was asked to end, and did not in time
	Status string        // how it ended, in words, with the error of Work
	Lived  time.Duration // how long
	Next   time.Duration // until another one is started for the slot; negative if none is
}

// Reason says why a process ended.
type Reason string

// The reasons. Those from ReasonExit on are failures, and count for the crash
// loop.
const (
	ReasonStop   Reason = "stop"   // the cluster stops
	ReasonReload Reason = "reload" // another took its place
	ReasonMemory Reason = "memory" // it had more than Config.MaxMemory
	ReasonAge    Reason = "age"    // it was older than Config.MaxAge
	ReasonResize Reason = "resize" // there are fewer slots than before

	ReasonExit  Reason = "exit"  // it ended by itself, with status 0
	ReasonCrash Reason = "crash" // it ended by itself otherwise
	ReasonHung  Reason = "hung"  // nothing was heard of it for Config.HungAfter
	ReasonStart Reason = "start" // it was not ready within Config.StartTimeout
	ReasonFrame Reason = "frame" // it sent something that is no frame
)

// Message is what the master and its workers send each other.
type Message struct {
	Topic string // at most 255 bytes
	Data  []byte // at most Config.MaxMessage bytes
}

// A dispatcher runs functions one after the other on one goroutine.
type dispatcher struct {
	mu    sync.Mutex // guards all that follows; no function runs under it
	queue []func()
	ended bool
	wake  chan struct{} // holds a token while there may be something to run
	done  chan struct{} // closed when the goroutine has ended
}

func newDispatcher() *dispatcher {
	return &dispatcher{wake: make(chan struct{}, 1), done: make(chan struct{})}
}

func (d *dispatcher) start() { go d.run() }

func (d *dispatcher) run() {
	defer close(d.done)
	for {
		d.mu.Lock()
		queue, ended := d.queue, d.ended
		d.queue = nil
		d.mu.Unlock()
		for _, f := range queue {
			f()
		}
		if len(queue) > 0 {
			continue
		}
		if ended {
			return
		}
		<-d.wake
	}
}

func (d *dispatcher) add(f func()) {
	d.mu.Lock()
	d.queue = append(d.queue, f)
	d.mu.Unlock()
	d.poke()
}

func (d *dispatcher) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// end waits until everything has run.
func (d *dispatcher) end() {
	d.mu.Lock()
	d.ended = true
	d.mu.Unlock()
	d.poke()
	<-d.done
}
