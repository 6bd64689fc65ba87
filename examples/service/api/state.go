package api

import (
	"os"
	"time"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/emitter"
	"github.com/bedplate/bedplate/lru"
	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/workerpool"
)

// State is everything that there is to see of a process at one time. What the
// packages know of themselves is in it as they give it.
type State struct {
	Time    int64    `json:"t"`      // in milliseconds since 1970
	Uptime  float64  `json:"uptime"` // in seconds
	Pid     int      `json:"pid"`
	Worker  int      `json:"worker"`
	Workers []Worker `json:"workers"`
	DB      string   `json:"db"`
	Limiter string   `json:"limiter"`
	Load    loading  `json:"load"`
	Faults  Faults   `json:"faults"`
	Can     Faults   `json:"can"`

	HTTP       httpState        `json:"http"`
	Breaker    breakerState     `json:"breaker"`
	Retry      retry.Stats      `json:"retry"`
	Bulkhead   bulkhead.Stats   `json:"bulkhead"`
	Pool       pool.Stats       `json:"pool"`
	WorkerPool workerpool.Stats `json:"workerpool"`
	Cache      lru.Stats        `json:"cache"`
	RateLimit  ratelimitState   `json:"ratelimit"`
	Emitter    emitter.Stats    `json:"emitter"`
	Memory     memoryState      `json:"memory"`
	JWT        jwtState         `json:"jwt"`
	Viewers    bulkhead.Stats   `json:"viewers"`
}

// Worker is a row of the table of processes.
type Worker struct {
	ID       int    `json:"id"`
	Pid      int    `json:"pid"` // 0 while there is none
	Restarts uint64 `json:"restarts"`
	RSS      uint64 `json:"rss"`
	Ready    bool   `json:"ready"`
}

type loading struct {
	On  bool `json:"on"`
	RPS int  `json:"rps"`
}

type breakerState struct {
	State string        `json:"state"`
	Stats breaker.Stats `json:"stats"`
}

type ratelimitState struct {
	Stats any          `json:"stats"`
	Users []userBudget `json:"users"`
}

// jwtState is what there is to see of tokens: the keys that verify now, and the
// cache of sessions that are known to live.
type jwtState struct {
	Keys     []keyState `json:"keys"`
	Sessions lru.Stats  `json:"sessions"`
}

type keyState struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

// SetWorkers says how the processes of the cluster are.
func (a *API) SetWorkers(rows []Worker) { a.workers.Store(&rows) }

// State returns what there is to see now.
func (a *API) State() State {
	now, switches, memory := time.Now(), a.switches.Load(), a.memoryState()
	s := State{
		Time: now.UnixMilli(), Uptime: now.Sub(a.started).Seconds(), Pid: os.Getpid(), Worker: a.cfg.Worker,
		DB: a.cfg.Store.Kind(), Limiter: a.cfg.Limits.Kind,
		Load: loading{switches.Load, switches.RPS}, Faults: switches.Faults, Can: a.can(),
		HTTP:       a.requests.state(),
		Retry:      a.titles.Retry.Stats(),
		Bulkhead:   a.titles.Bulkhead.Stats(),
		Pool:       a.cfg.Store.Stats(),
		WorkerPool: a.cpu.Stats(),
		Cache:      a.links.Stats(),
		RateLimit:  ratelimitState{a.cfg.Limits.Stats(), a.limits.top()},
		Emitter:    a.events.Stats(),
		Memory:     memory,
		JWT:        jwtState{Sessions: a.accounts.alive.Stats()},
		Viewers:    a.viewers.Stats(),
	}
	s.Breaker.Stats = a.titles.Breaker.Stats()
	s.Breaker.State = s.Breaker.Stats.State
	for _, k := range a.cfg.Keys.Keys() {
		s.JWT.Keys = append(s.JWT.Keys, keyState{k.Key.ID(), k.State.String()})
	}
	if rows := a.workers.Load(); rows != nil {
		s.Workers = *rows
	} else {
		s.Workers = []Worker{{ID: a.cfg.Worker, Pid: s.Pid, RSS: memory.RSS, Ready: !a.draining.Load()}}
	}
	return s
}
