//go:build race

package seal_test

func init() { raceEnabled, slow = true, true }
