package stream

import (
	"runtime"
	"runtime/debug"
	"sync"
)

// A crew is the goroutines that one run of a stage starts. It lets none
// outlive the run, and none take the process down: what a goroutine panics
// with is raised again on the runner's, and Goexit likewise, as if the stage
// had needed no goroutine.
type crew struct {
	wg       sync.WaitGroup
	mu       sync.Mutex  // guards what follows
	first    error       // what failed first, for stages whose goroutines can fail each
	panicked *PanicError // the first panic
	exited   bool        // a goroutine has called Goexit
}

// fail takes note of err unless it is nil or something failed before.
func (c *crew) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = err
	}
}

// failure returns what failed first.
func (c *crew) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// start runs f on a goroutine. However f ends, end is called with its error
// last, which is errDied if f did not return.
func (c *crew) start(f func() error, end func(error)) {
	c.wg.Go(func() {
		err := errDied
		defer func() {
			if err == errDied {
				c.died(recover())
			}
			end(err)
		}()
		err = f()
	})
}

func (c *crew) died(value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch p, ok := value.(*PanicError); {
	case value == nil:
		c.exited = true
	case c.panicked != nil:
	case ok:
		c.panicked = p // it has the stack of where it began
	default:
		c.panicked = &PanicError{Value: value, Stack: debug.Stack()}
	}
}

// run runs the runner's part, then release, which must make all goroutines
// end, waits for them, and returns what the part returned, unless a goroutine
// died.
func (c *crew) run(part func() error, release func()) error {
	returned := false
	defer func() {
		release()
		c.wg.Wait()
		if !returned {
			return // the runner's own panic or Goexit goes on
		}
		if c.panicked != nil {
			panic(c.panicked)
		}
		if c.exited {
			runtime.Goexit()
		}
	}()
	err := part()
	returned = true
	return err
}
