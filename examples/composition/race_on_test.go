//go:build race

package composition_test

const raceEnabled = true
