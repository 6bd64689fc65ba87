//go:build unix

package cluster

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMessagesComeBackAsTheyWere(t *testing.T) {
	for _, m := range []Message{
		{Data: []byte{}},
		{Topic: "t", Data: []byte{}},
		{Topic: strings.Repeat("t", maxTopic), Data: []byte{0, 1, 2}},
		{Topic: "", Data: []byte("only data")},
	} {
		got, err := decodeMessage(encodeMessage(m))
		require.NoError(t, err)
		require.Equal(t, m, got)
	}
	for _, body := range [][]byte{nil, {1}, {5, 'a', 'b'}, {255}} {
		_, err := decodeMessage(body)
		require.ErrorIs(t, err, errFrame)
	}
}

func TestCallsComeBackAsTheyWere(t *testing.T) {
	for _, c := range []call{
		{name: "f", input: []byte{}},
		{id: 1 << 60, within: time.Hour, name: strings.Repeat("n", 255), input: []byte("input")},
	} {
		got, err := decodeCall(encodeCall(c))
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	for n := range callHeader {
		_, err := decodeCall(make([]byte, n))
		require.ErrorIs(t, err, errFrame, "%d bytes", n)
	}
	cut := encodeCall(call{name: "function"})
	_, err := decodeCall(cut[:len(cut)-1])
	require.ErrorIs(t, err, errFrame)
}

func TestResultsComeBackAsTheyWere(t *testing.T) {
	for state := range resultStates {
		r := result{id: 77, state: state, rss: 1 << 40, output: []byte("output")}
		got, err := decodeResult(encodeResult(r))
		require.NoError(t, err)
		require.Equal(t, r, got)
	}
	for n := range resultHeader {
		_, err := decodeResult(make([]byte, n))
		require.ErrorIs(t, err, errFrame, "%d bytes", n)
	}
	_, err := decodeResult(encodeResult(result{state: resultStates}))
	require.ErrorIs(t, err, errFrame)
}

func TestReportsAreBounded(t *testing.T) {
	full := make(map[string]uint64)
	for i := range maxCounters {
		full[fmt.Sprint(i)] = uint64(i)
	}
	full[otherCounter] = 1
	r := report{Counters: full, RSS: 1, Heap: 2, Goroutines: 3, Dropped: 4}
	got, err := decodeReport(encode(r))
	require.NoError(t, err)
	require.Equal(t, r, got)

	full["one more"] = 1
	_, err = decodeReport(encode(report{Counters: full}))
	require.ErrorContains(t, err, "130 counters, want at most 129")
	_, err = decodeReport(encode(report{Counters: map[string]uint64{strings.Repeat("n", maxCounterName+1): 1}}))
	require.ErrorContains(t, err, "has 65 bytes, want at most 64")
	for _, body := range []string{"", "null2", `{"c":`, `{"c":{"a":-1}}`, `{"c":{"a":1e99}}`, `[]`, strings.Repeat("[", 10_000)} {
		_, err = decodeReport([]byte(body))
		require.ErrorIs(t, err, errFrame, body[:min(len(body), 20)])
	}
}

func TestTheLargestReportFitsItsFrame(t *testing.T) {
	counters := make(map[string]uint64)
	for i := range maxCounters {
		// Control characters take six bytes each in JSON.
		name := strings.Repeat("\x01", maxCounterName-3) + fmt.Sprintf("%03d", i)
		counters[name] = 1<<64 - 1
	}
	counters[otherCounter] = 1<<64 - 1
	body := encode(report{Counters: counters, RSS: 1<<64 - 1, Heap: 1<<64 - 1, Goroutines: math.MaxInt, Dropped: 1<<64 - 1})
	require.Less(t, len(body), maxControl)
	require.Less(t, len(encode(slotTotals{Slot: math.MaxInt, Starts: 1<<64 - 1, Counters: counters})), maxControl)
}

func TestTotalsOfImpossibleSlotsAreRefused(t *testing.T) {
	good := slotTotals{Slot: 3, Starts: 4, PeakRSS: 5, Counters: map[string]uint64{"a": 6}}
	got, err := decodeTotals(encode(good))
	require.NoError(t, err)
	require.Equal(t, good, got)
	for _, slot := range []int{-1, maxWorkers} {
		_, err := decodeTotals(encode(slotTotals{Slot: slot}))
		require.ErrorIs(t, err, errFrame)
	}
	_, err = decodeTotals([]byte("{"))
	require.ErrorIs(t, err, errFrame)
}
