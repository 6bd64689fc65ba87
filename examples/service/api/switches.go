package api

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Switches are what can be switched on and off. In a cluster all processes have
// the same.
type Switches struct {
	Faults

	Load bool `json:"load"` // usual traffic
	RPS  int  `json:"rps"`  // how much of it
}

// Faults are the Switches that break something.
type Faults struct {
	Fail     bool `json:"fail"`     // the upstream answers with errors
	Hang     bool `json:"hang"`     // the upstream does not answer
	Flood    bool `json:"flood"`    // one user sends far too much
	Leak     bool `json:"leak"`     // a map keeps a megabyte a second
	Database bool `json:"database"` // the database refuses
	Kill     bool `json:"kill"`     // never on: a worker is killed once
}

// Command is one change of the Switches, or the wish to kill a worker.
type Command struct {
	What string `json:"what"` // a fault, or load
	On   bool   `json:"on"`
	RPS  int    `json:"rps"` // with load
}

// Kill is the What of a Command that kills a worker.
const Kill = "kill"

// MaxRPS bounds the load that can be asked for.
const MaxRPS = 5000

// Set does as c says. It fails, and changes nothing, if there is no such switch.
func (s *Switches) Set(c Command) error {
	switch c.What {
	case "fail":
		s.Fail = c.On
	case "hang":
		s.Hang = c.On
	case "flood":
		s.Flood = c.On
	case "leak":
		s.Leak = c.On
	case "database":
		s.Database = c.On
	case "load":
		s.Load, s.RPS = c.On, c.RPS
	default:
		return fmt.Errorf("there is no fault %q", c.What)
	}
	return nil
}

// Apply makes this process what s says. Traffic is not its business.
func (a *API) Apply(s Switches) {
	a.applying.Lock()
	defer a.applying.Unlock()
	old := a.switches.Swap(&s)
	a.remote.Set(s.Fail, s.Hang)
	a.cfg.Store.Break(s.Database)
	a.leak.on.Store(s.Leak)
	for _, change := range []struct {
		name    string
		was, is bool
	}{
		{"fail", old.Fail, s.Fail}, {"hang", old.Hang, s.Hang}, {"flood", old.Flood, s.Flood},
		{"leak", old.Leak, s.Leak}, {"database", old.Database, s.Database}, {"load", old.Load, s.Load},
	} {
		if change.was != change.is {
			a.emit("fault", "%s is %s", change.name, map[bool]string{true: "on", false: "off"}[change.is])
		}
	}
}

// can tells which faults can be had, and why the others cannot.
func (a *API) can() Faults {
	b := a.cfg.Breakable
	return Faults{Fail: b, Hang: b, Flood: b, Leak: b, Database: b, Kill: b && a.cfg.Workers > 1}
}

func (a *API) why() map[string]string {
	why := map[string]string{}
	if a.cfg.Workers < 2 {
		why[Kill] = "one process only: start with -workers 2 or more"
	}
	if !a.cfg.Breakable {
		for _, fault := range []string{"fail", "hang", "flood", "leak", "database", Kill} {
			why[fault] = "other machines can reach this service: start with -breakable"
		}
	}
	return why
}

// breakIt switches a fault.
func (a *API) breakIt(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		On bool `json:"on"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	c := Command{What: r.PathValue("fault"), On: body.On}
	if c.What != Kill && (c.What == "load" || new(Switches).Set(c) != nil) {
		return refuse(http.StatusNotFound, "there is no such fault")
	}
	if why := a.why(); why[c.What] != "" {
		return refuse(http.StatusConflict, why[c.What])
	}
	if err := a.cfg.Command(r.Context(), c); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// setLoad switches the built-in traffic.
func (a *API) setLoad(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		On  bool `json:"on"`
		RPS int  `json:"rps"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	switch {
	case !a.cfg.Breakable:
		return refuse(http.StatusConflict, "this service listens to others than this machine; it makes no load without -breakable")
	case body.On && (body.RPS < 1 || body.RPS > MaxRPS):
		return refuse(http.StatusBadRequest, fmt.Sprintf("rps is %d, want 1 to %d", body.RPS, MaxRPS))
	}
	if err := a.cfg.Command(r.Context(), Command{What: "load", On: body.On, RPS: body.RPS}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// every calls fn until ctx is done.
func every(ctx context.Context, d time.Duration, fn func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			fn()
		case <-ctx.Done():
			return
		}
	}
}
