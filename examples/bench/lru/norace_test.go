//go:build !race

package lrubench

const raceEnabled = false
