//go:build race

package seal_test

func init() { raceEnabled = true }
