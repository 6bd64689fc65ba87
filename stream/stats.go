package stream

import "time"

// Stats is a snapshot of a Meter. Publish it with expvar.Func, or read it from
// a metrics collector.
type Stats struct {
	Name    string        `json:"name"`       // Meter.Name
	Running int           `json:"running"`    // runs under way
	Runs    uint64        `json:"runs"`       // begun so far
	Failed  uint64        `json:"failed"`     // ended with an error, which may be that of what comes behind
	Items   uint64        `json:"items"`      // passed so far
	Bytes   uint64        `json:"bytes"`      // of them, if they are of type []byte or string
	Elapsed time.Duration `json:"elapsed_ns"` // of the runs that have ended, together
}

// Stats returns a snapshot. Each number is exact; while streams run they may
// be a few items apart.
func (m *Meter) Stats() Stats {
	ended := m.ended.Load() // before started: never less than none run
	started := m.started.Load()
	return Stats{
		Name:    m.Name,
		Running: int(started - ended),
		Runs:    started,
		Failed:  m.failed.Load(),
		Items:   m.items.Load(),
		Bytes:   m.bytes.Load(),
		Elapsed: time.Duration(m.nanos.Load()),
	}
}
