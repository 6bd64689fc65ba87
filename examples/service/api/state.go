package api

import (
	"os"
	"time"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/emitter"
	"github.com/bedplate/bedplate/examples/service/upstream"
	"github.com/bedplate/bedplate/lru"
	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/stream"
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

	// Why says of each fault that cannot be had why.
	Why map[string]string `json:"why"`

	HTTP       httpState       `json:"http"`
	Breaker    breakerState    `json:"breaker"`
	Retry      retryState      `json:"retry"`
	Bulkhead   bulkheadState   `json:"bulkhead"`
	Pool       poolState       `json:"pool"`
	WorkerPool workerpoolState `json:"workerpool"`
	Cache      lru.Stats       `json:"cache"`
	RateLimit  ratelimitState  `json:"ratelimit"`
	Emitter    emitterState    `json:"emitter"`
	Stream     stream.Stats    `json:"stream"` // of imports
	Memory     memoryState     `json:"memory"`
	JWT        jwtState        `json:"jwt"`
	Viewers    bulkhead.Stats  `json:"viewers"`
}

// Worker is a row of the table of processes.
type Worker struct {
	ID       int    `json:"id"`
	Pid      int    `json:"pid"`   // 0 while there is none
	State    string `json:"state"` // as package cluster has it
	Ready    bool   `json:"ready"`
	Restarts uint64 `json:"restarts"`
	RSS      uint64 `json:"rss"`
	Requests uint64 `json:"requests"`
}

type loading struct {
	On     bool   `json:"on"`
	RPS    int    `json:"rps"`
	Sent   uint64 `json:"sent"`
	Failed uint64 `json:"failed"` // got no answer, or one of 500 and above but 503
}

type breakerState struct {
	State     string        `json:"state"`
	Threshold int           `json:"threshold"` // consecutive failures that open it
	Stats     breaker.Stats `json:"stats"`
}

type retryState struct {
	retry.Stats

	Attempts []uint64    `json:"attempts"` // calls that have ended after one, two, … of them
	Budget   budgetState `json:"budget"`
}

type budgetState struct {
	Tokens float64 `json:"tokens"` // no retries at half of Max or less
	Max    int     `json:"max"`
}

type bulkheadState struct {
	bulkhead.Stats

	Queue int `json:"queue"` // who may wait
}

type poolState struct {
	pool.Stats

	LastError string `json:"last_error"` // of the last attempt to connect, if it failed
}

type workerpoolState struct {
	workerpool.Stats

	Queue int `json:"queue"` // tasks that may wait
}

type emitterState struct {
	emitter.Stats

	Subs []emitter.SubStats `json:"subs"` // of the audit log
}

type ratelimitState struct {
	Stats  any          `json:"stats"`
	Window int64        `json:"window_ms"`
	Users  []userBudget `json:"users"`
}

// jwtState is what there is to see of tokens: what became of them, the keys that
// verify now, and the cache of sessions that are known to live.
type jwtState struct {
	Logins    uint64     `json:"logins"`
	Refreshed uint64     `json:"refreshed"`
	Reused    uint64     `json:"reused"`
	Rejected  uint64     `json:"rejected"`
	Sessions  int        `json:"sessions"` // seen lately
	Keys      []keyState `json:"keys"`
	Cache     lru.Stats  `json:"cache"`
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
		Load: loading{On: switches.Load, RPS: switches.RPS}, Faults: switches.Faults, Can: a.can(), Why: a.why(),
		HTTP:       a.requests.state(),
		Bulkhead:   bulkheadState{a.titles.Bulkhead.Stats(), upstream.MaxWaiting},
		Pool:       poolState{a.cfg.Store.Stats(), a.cfg.Store.LastError()},
		WorkerPool: workerpoolState{a.cpu.Stats(), cpuQueue},
		Cache:      a.links.Stats(),
		RateLimit:  ratelimitState{a.cfg.Limits.Stats(), UserLimit.Window.Milliseconds(), a.limits.top()},
		Emitter:    emitterState{a.events.Stats(), []emitter.SubStats{a.trail.Stats()}},
		Stream:     a.imports.Stats(),
		Memory:     memory,
		Viewers:    a.viewers.Stats(),
	}
	s.Load.Sent, s.Load.Failed = a.cfg.Sent()
	tripped, attempts := a.titles.Breaker.Stats(), a.titles.Attempts()
	s.Breaker = breakerState{tripped.State, upstream.TripsAfter, tripped}
	s.Retry = retryState{a.titles.Retry.Stats(), attempts[:], budgetState{a.titles.Tokens(), upstream.BudgetTokens}}
	s.JWT = jwtState{
		Logins: a.tokens.logins.Load(), Refreshed: a.tokens.refreshed.Load(),
		Reused: a.tokens.reused.Load(), Rejected: a.tokens.rejected.Load(), Cache: a.accounts.alive.Stats(),
	}
	s.JWT.Sessions = s.JWT.Cache.Len
	for _, k := range a.cfg.Keys.Keys() {
		s.JWT.Keys = append(s.JWT.Keys, keyState{k.Key.ID(), k.State.String()})
	}
	if rows := a.workers.Load(); rows != nil {
		s.Workers = *rows
	} else {
		s.Workers = []Worker{{ID: a.cfg.Worker, Pid: s.Pid, State: "ready", Ready: true, RSS: memory.RSS, Requests: s.HTTP.Requests}}
		if a.draining.Load() {
			s.Workers[0].State, s.Workers[0].Ready = "draining", false
		}
	}
	return s
}
