package memwatch

// Stats is one consistent snapshot of what a Watcher has done. Publish it with
// expvar.Func, or read it from a metrics collector.
type Stats struct {
	Name    string  `json:"name"`    // Config.Name
	Running bool    `json:"running"` // Run goes on
	Verdict Verdict `json:"verdict"` // of the last analysis of Run
	Level   Level   `json:"level"`   // of pressure, as Run last found it

	Samples    uint64 `json:"samples"`    // that Run took
	Analyses   uint64 `json:"analyses"`   // that Run made
	Changes    uint64 `json:"changes"`    // of Verdict or of the class of growth, as OnChange is called
	Levels     uint64 `json:"levels"`     // changes of Level, as OnPressure is called
	Unreadable uint64 `json:"unreadable"` // files about memory that were there and could not be read or understood
}

// Stats returns a snapshot. It takes the lock of a sample for the time of a
// copy.
func (w *Watcher) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.stats
	out.Name, out.Running, out.Level = w.cfg.Name, w.running, w.gauge.now.Level
	return out
}
