package api

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/emitter"
	"github.com/bedplate/bedplate/memwatch"
)

// Event is something that happened. Its kinds are account.created, login,
// refresh.reused, link.created, link.deleted, import.done, breaker, memory,
// worker and fault.
type Event struct {
	Time int64  `json:"t"` // in milliseconds since 1970
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// Progress is how far an import has come.
type Progress struct {
	ID    string `json:"id"`
	Done  uint64 `json:"done"`  // bytes
	Total int64  `json:"total"` // bytes; -1 if nobody knows
	Rows  int64  `json:"rows"`  // links imported
}

// emit tells everybody who listens: the file, and those who watch.
func (a *API) emit(kind, format string, args ...any) {
	a.events.Emit(Event{time.Now().UnixMilli(), kind, fmt.Sprintf(format, args...)})
}

// Tell emits an event from outside.
func (a *API) Tell(kind, text string) { a.emit(kind, "%s", text) }

// listen subscribes what hears of every event.
func (a *API) listen() error {
	a.events.On(a.recent.add)
	var err error
	// The disk may be slow, so the file has a goroutine and a queue of its own;
	// when even that is full, those who emit wait, because an audit log must not
	// have gaps.
	a.trail, err = a.events.Subscribe(emitter.SubConfig{Name: "audit", Async: true, Queue: 4096}, func(_ context.Context, e Event) error {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		return a.cfg.Audit.Append(line)
	})
	return err
}

func (a *API) onBreaker(c breaker.StateChange) {
	text := c.To.String()
	if c.To == breaker.Open {
		text += fmt.Sprintf(" for %v: %v", c.OpenFor.Round(time.Millisecond), c.Rule)
	}
	a.emit("breaker", "%s", text)
	a.showState() // half-open can be over before the next one is due
}

func (a *API) onMemory(c memwatch.Change) {
	if c.Report.Verdict == c.From {
		return // it was the class that changed
	}
	text := fmt.Sprintf("verdict %v after %v", c.Report.Verdict, c.From)
	if len(c.Report.Sites) > 0 && c.Report.Verdict >= memwatch.Watch {
		text += ": " + siteName(c.Report.Sites[0])
	}
	a.emit("memory", "%s", text)
}

// recent keeps the last events for those who come later.
type recent struct {
	mu     sync.Mutex // guards events
	events []Event
}

const keepEvents = 50

func (r *recent) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) == keepEvents {
		copy(r.events, r.events[1:])
		r.events = r.events[:keepEvents-1]
	}
	r.events = append(r.events, e)
}

func (r *recent) list() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events...)
}
