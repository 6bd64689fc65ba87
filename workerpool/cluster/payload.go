package cluster

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// Bounds of what a worker may say of itself.
const (
	maxCounters    = 128 // names of counters of one worker, and of one slot
	maxCounterName = 64  // bytes
	maxTopic       = 255 // bytes, as the length is one byte
	maxBye         = 8 << 10
	maxControl     = 128 << 10 // of any frame that is not a message or a call
)

// otherCounter takes what is counted under more names than there may be.
const otherCounter = "other"

// report is what a worker says of itself every Config.ReportEvery. Counters are
// absolute since its start, so a report that is lost costs nothing once the
// next one comes.
type report struct {
	Counters   map[string]uint64 `json:"c,omitempty"`
	RSS        uint64            `json:"r,omitempty"`
	Heap       uint64            `json:"h,omitempty"`
	Goroutines int               `json:"g,omitempty"`
	Dropped    uint64            `json:"d,omitempty"` // messages that found its inbox full
}

// stopOrder asks a worker to end.
type stopOrder struct {
	Reason Reason        `json:"reason"`
	Within time.Duration `json:"within"`
}

// slotTotals hands the counters of a slot to the next master.
type slotTotals struct {
	Slot     int               `json:"slot"`
	Starts   uint64            `json:"starts"`
	PeakRSS  uint64            `json:"peak_rss"`
	Counters map[string]uint64 `json:"counters"`
}

// encode is for payloads of our own types, which always have a JSON form.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("cluster: " + err.Error())
	}
	return b
}

func decode(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", errFrame, err)
	}
	return nil
}

func decodeReport(body []byte) (report, error) {
	var r report
	if err := decode(body, &r); err != nil {
		return report{}, err
	}
	return r, checkCounters(r.Counters)
}

func decodeTotals(body []byte) (slotTotals, error) {
	var t slotTotals
	if err := decode(body, &t); err != nil {
		return slotTotals{}, err
	}
	if t.Slot < 0 || t.Slot >= maxWorkers {
		return slotTotals{}, fmt.Errorf("%w: slot %d", errFrame, t.Slot)
	}
	return t, checkCounters(t.Counters)
}

func checkCounters(counters map[string]uint64) error {
	if len(counters) > maxCounters+1 { // otherCounter comes on top
		return fmt.Errorf("%w: %d counters, want at most %d", errFrame, len(counters), maxCounters+1)
	}
	for name := range counters {
		if len(name) > maxCounterName {
			return fmt.Errorf("%w: the name of a counter has %d bytes, want at most %d", errFrame, len(name), maxCounterName)
		}
	}
	return nil
}

// A message is its topic, with a byte of length before it, and its data.

func encodeMessage(m Message) []byte {
	b := make([]byte, 0, 1+len(m.Topic)+len(m.Data))
	b = append(b, byte(len(m.Topic)))
	b = append(b, m.Topic...)
	return append(b, m.Data...)
}

func decodeMessage(body []byte) (Message, error) {
	if len(body) == 0 || len(body) < 1+int(body[0]) {
		return Message{}, fmt.Errorf("%w: a message of %d bytes", errFrame, len(body))
	}
	n := 1 + int(body[0])
	return Message{Topic: string(body[1:n]), Data: body[n:]}, nil
}

// A call is its number, the time it has, the name of the function with a byte
// of length before it, and the input. A result is the number, the state and
// the output.
const (
	callHeader   = 8 + 8 + 1
	resultHeader = 8 + 1 + 8
)

type call struct {
	id     uint64
	within time.Duration // 0: as long as it takes
	name   string
	input  []byte
}

type resultState byte

const (
	resultOK resultState = iota
	resultError
	resultPanic
	resultGoexit
	resultUnknown  // there is no such function
	resultTooLarge // the output is

	resultStates
)

type result struct {
	id     uint64
	state  resultState
	rss    uint64 // of the worker, afterwards
	output []byte // or the text of the error
}

func encodeCall(c call) []byte {
	b := make([]byte, 0, callHeader+len(c.name)+len(c.input))
	b = binary.BigEndian.AppendUint64(b, c.id)
	b = binary.BigEndian.AppendUint64(b, uint64(c.within))
	b = append(b, byte(len(c.name)))
	b = append(b, c.name...)
	return append(b, c.input...)
}

func decodeCall(body []byte) (call, error) {
	if len(body) < callHeader || len(body) < callHeader+int(body[callHeader-1]) {
		return call{}, fmt.Errorf("%w: a call of %d bytes", errFrame, len(body))
	}
	n := callHeader + int(body[callHeader-1])
	return call{
		id:     binary.BigEndian.Uint64(body),
		within: time.Duration(binary.BigEndian.Uint64(body[8:])),
		name:   string(body[callHeader:n]),
		input:  body[n:],
	}, nil
}

func encodeResult(r result) []byte {
	b := make([]byte, 0, resultHeader+len(r.output))
	b = binary.BigEndian.AppendUint64(b, r.id)
	b = append(b, byte(r.state))
	b = binary.BigEndian.AppendUint64(b, r.rss)
	return append(b, r.output...)
}

func decodeResult(body []byte) (result, error) {
	if len(body) < resultHeader || resultState(body[8]) >= resultStates {
		return result{}, fmt.Errorf("%w: a result of %d bytes", errFrame, len(body))
	}
	return result{
		id:     binary.BigEndian.Uint64(body),
		state:  resultState(body[8]),
		rss:    binary.BigEndian.Uint64(body[9:]),
		output: body[resultHeader:],
	}, nil
}
