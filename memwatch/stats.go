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

	// Files and FileBytes are those in Config.Files.Dir, as the last action that
	// wrote one left them; FilesRemoved are what Config.Files bounds.
	Files        int    `json:"files"`
	FileBytes    int64  `json:"file_bytes"`
	FilesRemoved uint64 `json:"files_removed"`

	// Actions has one for each of Config.Actions, in that order.
	Actions []ActionStats `json:"actions,omitempty"`
}

// ActionStats is what became of an action. Started is the sum of Succeeded,
// Failed and Spared, and one more while Busy.
type ActionStats struct {
	Name string `json:"name"` // Action.Name
	Busy bool   `json:"busy"` // it is being done

	Episodes  uint64 `json:"episodes"` // that called for it
	Started   uint64 `json:"started"`
	Succeeded uint64 `json:"succeeded"`
	Failed    uint64 `json:"failed"`
	Spared    uint64 `json:"spared"`   // files not written, as enough worse ones are kept
	Deferred  uint64 `json:"deferred"` // times that it was due and had to wait, for the cool-down, its number in a day, or itself

	LastError string `json:"last_error,omitzero"` // of the last one that failed
	LastFile  string `json:"last_file,omitzero"`  // name of the last file in Config.Files.Dir; it may be removed by now
}

// Stats returns a snapshot. It takes the lock of a sample for the time of a
// copy.
func (w *Watcher) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.stats
	out.Name, out.Running, out.Level = w.cfg.Name, w.running, w.gauge.now.Level
	for i := range w.actors {
		a := w.actors[i].stats
		a.Name, a.Busy = w.actors[i].Name, w.actors[i].busy
		out.Actions = append(out.Actions, a)
	}
	return out
}
