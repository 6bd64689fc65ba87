package emitter

import (
	"log/slog"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// zero is the Config of a Topic that was not made by New. It is never written.
var zero Config

// logger is where warnings go, and failures that nobody else takes.
func (c *Config) logger() *slog.Logger {
	if c.Logger != nil {
		return c.Logger
	}
	//bedplate:allow quiet: a failure that nobody takes must not be silent, and a zero Topic has no Config
	return slog.Default()
}

// maxDepth is how many failures may be on their way within one another. One
// that happens deeper is logged and not told: a handler that emits what fails,
// and hears of that, would else never end.
const maxDepth = 8

// failures counts failures and tells them to whoever takes them.
type failures struct {
	count atomic.Uint64 // failures so far; written by whoever tells one
	depth atomic.Int32  // failures on their way, over all goroutines; written by tell
}

// A failure is an error with where it comes from.
type failure struct {
	err      error
	topic    string
	who      func() string // the listener
	returned bool          // the caller of the emit gets it
}

// tell gives a failure to the hook, and to event if that is not nil: it reports
// whether there was a listener, and what went wrong there. What goes wrong in
// a handler is logged once, and returned. So is the failure itself if nobody
// was there to take it.
func (f *failures) tell(cfg *Config, x failure, event func(error) (bool, error)) error {
	f.count.Add(1)
	defer f.depth.Add(-1)
	if f.depth.Add(1) > maxDepth && onStack(maxDepth, isTell) {
		x.log(cfg, "emitter: failure inside the handling of failures")
		return nil
	}
	heard := false
	var again []error
	if hook := cfg.Hooks.OnError; hook != nil {
		heard = true
		if err := guard(hook, x); err != nil {
			again = append(again, err)
		}
	}
	if event != nil {
		ok, err := event(x.err)
		heard = heard || ok
		if err != nil {
			again = append(again, err)
		}
	}
	for _, err := range again {
		failure{err: err, topic: x.topic, who: x.who}.log(cfg, "emitter: failure inside the handling of a failure")
	}
	if !heard && !x.returned {
		x.log(cfg, "emitter: listener failed")
	}
	return join(again)
}

// guard calls hook and makes its panic an error.
func guard(hook func(error), x failure) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Topic: x.topic, Listener: "Hooks.OnError", Value: r, Stack: debug.Stack()}
		}
	}()
	hook(x.err)
	return nil
}

func (x failure) log(cfg *Config, msg string) {
	attrs := []any{"topic", x.topic, "error", x.err}
	if p, ok := x.err.(*PanicError); ok {
		attrs = append(attrs, "stack", string(p.Stack))
	} else if x.who != nil {
		attrs = append(attrs, "listener", x.who())
	}
	cfg.logger().Error(msg, attrs...)
}

// self is how the names of the functions of this package begin.
var self = sync.OnceValue(func() string {
	pc, _, _, _ := runtime.Caller(0)
	name := runtime.FuncForPC(pc).Name()
	slash := strings.LastIndexByte(name, '/') + 1
	pkg, _, _ := strings.Cut(name[slash:], ".")
	return name[:slash] + pkg + "."
})

// frames calls yield with the functions on the stack of this goroutine, the
// innermost first, until it returns false.
func frames(yield func(runtime.Frame) bool) {
	var pcs [64]uintptr
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		if n == 0 {
			return
		}
		walk := runtime.CallersFrames(pcs[:n])
		for {
			frame, more := walk.Next()
			if !yield(frame) {
				return
			}
			if !more {
				break
			}
		}
		if n < len(pcs) {
			return
		}
	}
}

// onStack reports whether at least n functions on the stack of this goroutine
// are such that is holds of their name, which is given without the package.
func onStack(n int, is func(name string) bool) bool {
	for frame := range frames {
		if name, ok := strings.CutPrefix(frame.Function, self()); ok && is(name) {
			if n--; n == 0 {
				return true
			}
		}
	}
	return false
}

func isTell(name string) bool { return name == "(*failures).tell" }

// insideListener reports whether this goroutine is in a call of some listener:
// whether one of the functions that call listeners is on its stack. It takes
// microseconds.
func insideListener() bool {
	return onStack(1, func(name string) bool {
		return strings.HasPrefix(name, "(*Topic[") && (strings.HasSuffix(name, ").Emit") || strings.HasSuffix(name, ").span")) ||
			strings.HasPrefix(name, "(*mailbox[") && strings.HasSuffix(name, ").span")
	})
}

// callSite is where this package was called, as file:line.
func callSite() string {
	for frame := range frames {
		if !strings.HasPrefix(frame.Function, self()) {
			return frame.File + ":" + strconv.Itoa(frame.Line)
		}
	}
	return "unknown"
}

// place is the name of a function and where it begins, as name (file:line).
func place(pc uintptr) string {
	fn := runtime.FuncForPC(pc)
	if fn == nil {
		return "unknown"
	}
	file, line := fn.FileLine(pc)
	return fn.Name() + " (" + file + ":" + strconv.Itoa(line) + ")"
}

// goroutine is the number of this goroutine, which the runtime tells in the
// first line of a stack alone. It takes a microsecond.
func goroutine() uint64 {
	var buf [40]byte
	text := strings.TrimPrefix(string(buf[:runtime.Stack(buf[:], false)]), "goroutine ")
	digits, _, _ := strings.Cut(text, " ")
	id, _ := strconv.ParseUint(digits, 10, 64) // 0, which no goroutine has, should the text ever change
	return id
}
