package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/bedplate/bedplate/emitter"
)

const (
	stateEvery = 250 * time.Millisecond
	viewerMay  = 10 * time.Second // take so long to read one event
)

// showStates renders the state four times a second, once for all who watch, and
// not at all if nobody does.
func (a *API) showStates(ctx context.Context) {
	every(ctx, stateEvery, a.showState)
}

func (a *API) showState() {
	if a.states.Len() > 0 {
		a.states.Emit(event("state", a.State()))
	}
}

// event renders a server-sent event.
func event(name string, data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		text, _ = json.Marshal(failure{Error: err.Error()}) // a text always can
		name = "error"
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, text)
}

// live sends what happens to a page. Between the service and a page that reads
// slowly are queues that drop: of states all but the latest, of events the
// oldest. So nobody waits for it, and after ten seconds in which it read nothing
// it is cut off.
func (a *API) live(w http.ResponseWriter, r *http.Request) {
	permit, free := a.viewers.TryAcquire()
	if !free {
		w.Header().Set("Retry-After", "5")
		writeJSON(w, http.StatusServiceUnavailable, failure{"too many are watching", "bulkhead"})
		return
	}
	defer permit.Release()
	ctx, cancel := context.WithCancel(r.Context())
	frames := make(chan []byte)
	send := func(frame []byte) {
		select {
		case frames <- frame:
		case <-ctx.Done():
		}
	}
	subs, err := a.watch(send)
	defer func() {
		cancel() // first, for whoever is in send
		for _, s := range subs {
			_ = s.Close() // waits for it
		}
	}()
	if err != nil {
		a.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	first := []byte("retry: 500\n\n")
	for _, e := range a.recent.list() {
		first = append(first, event("audit", e)...)
	}
	first = append(first, event("state", a.State())...)
	control := http.NewResponseController(w)
	for frame := first; ; {
		_ = control.SetWriteDeadline(time.Now().Add(viewerMay))
		if _, err := w.Write(frame); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case frame = <-frames:
		case <-ctx.Done():
			return
		case <-a.leave:
			return
		}
	}
}

// watch subscribes one page to everything.
func (a *API) watch(send func([]byte)) (subs []*emitter.Sub, err error) {
	add := func(s *emitter.Sub, e error) {
		if e != nil {
			err = e
			return
		}
		subs = append(subs, s)
	}
	latest := emitter.SubConfig{Name: "page", Async: true, Overflow: emitter.Latest}
	queued := emitter.SubConfig{Name: "page", Async: true, Queue: 64, Overflow: emitter.DropOldest}
	add(a.states.Subscribe(latest, func(_ context.Context, frame []byte) error {
		send(frame)
		return nil
	}))
	add(a.events.Subscribe(queued, func(_ context.Context, e Event) error {
		send(event("audit", e))
		return nil
	}))
	add(a.progress.Subscribe(queued, func(_ context.Context, p Progress) error {
		send(event("progress", p))
		return nil
	}))
	return subs, err
}
