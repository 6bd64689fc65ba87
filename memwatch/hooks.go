package memwatch

// Hooks are called by Run, outside every lock, one after the other. While a
// hook runs, no interval is sampled.
type Hooks struct {
	// OnChange is called when the verdict or the class of growth is another
	// one than at the analysis before. The first analysis is compared with
	// Insufficient.
	OnChange func(Change)

	// OnPressure is called when the level of pressure is another one than at
	// the interval before. The first is compared with Normal.
	OnPressure func(PressureChange)
}

// Change is a verdict that is another one than before.
type Change struct {
	From   Verdict // the verdict before
	Report Report  // what is found now; Report.Verdict is the new verdict
}

// PressureChange is a level of pressure that is another one than before.
type PressureChange struct {
	From     Level    // the level before
	Pressure Pressure // what is found now; Pressure.Level is the new level
}
