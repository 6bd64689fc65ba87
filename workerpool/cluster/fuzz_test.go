//go:build unix

package cluster

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzModel reads bytes as what happens to a master, and lets the model watch
// what the machine does.
func FuzzModel(f *testing.F) {
	f.Add([]byte{0x00, 0x10, 0x20, 0x0a, 0x30, 0x05, 0x03})       // a reload
	f.Add([]byte{0x00, 0xf7, 0x30, 0x05, 0x04, 0x0c, 0x4c, 0x0e}) // recycled, resized, stopped
	f.Add([]byte{0x05, 0x03, 0x05, 0x03, 0x05, 0x03, 0x05, 0x03}) // a crash loop
	f.Fuzz(func(t *testing.T, data []byte) {
		compare(t, data[:min(len(data), 300)])
	})
}

// FuzzReadFrame reads bytes as a stream: it ends in an error that is known, and
// what was understood says the same when it is written again.
func FuzzReadFrame(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, frame{frameReady, nil}), frame{frameMessage, []byte("\x01thello")}))
	f.Add([]byte{1, 5, 0xff, 0xff, 0xff, 0xff, 0})
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1000
		r := bytes.NewReader(data)
		var again []byte
		for {
			got, err := readFrame(r, limit)
			if err != nil {
				require.True(t, err == io.EOF || errors.Is(err, errFrame), "%v", err)
				break
			}
			require.LessOrEqual(t, len(got.body), limit)
			again = appendFrame(again, got)
		}
		require.True(t, bytes.HasPrefix(data, again))
	})
}

// FuzzPayloads gives the same bytes to every decoder: none may panic, and what
// it takes comes back when it is encoded again.
func FuzzPayloads(f *testing.F) {
	f.Add(encodeMessage(Message{Topic: "t", Data: []byte("d")}))
	f.Add(encodeCall(call{id: 1, within: 2, name: "f", input: []byte("i")}))
	f.Add(encodeResult(result{id: 1, output: []byte("o")}))
	f.Add(encode(report{Counters: map[string]uint64{"a": 1}}))
	f.Add(encode(slotTotals{Slot: 1, Counters: map[string]uint64{"a": 1}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		if m, err := decodeMessage(body); err == nil {
			require.True(t, bytes.Equal(body, encodeMessage(m)))
		}
		if c, err := decodeCall(body); err == nil {
			require.True(t, bytes.Equal(body, encodeCall(c)))
		}
		if r, err := decodeResult(body); err == nil {
			require.True(t, bytes.Equal(body, encodeResult(r)))
		}
		if r, err := decodeReport(body); err == nil {
			again, err := decodeReport(encode(r))
			require.NoError(t, err)
			require.Len(t, again.Counters, len(r.Counters))
		}
		if _, err := decodeTotals(body); err != nil {
			require.ErrorIs(t, err, errFrame)
		}
	})
}

// FuzzHostileWorker lets a worker send any bytes: the master survives, starts
// it again or gives it up, and stops when it is told to.
func FuzzHostileWorker(f *testing.F) {
	f.Add(appendFrame(nil, frame{frameReady, nil}))
	f.Add(appendFrame(nil, frame{frameReport, []byte(`{"c":{"a":1}}`)}))
	f.Add(appendFrame(nil, frame{frameStop, nil}))
	f.Add([]byte{1, 2, 0, 0, 0, 1, '{'})
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(p *fakeProcess) {
				go func() { _, _ = io.Copy(io.Discard, p.conn) }()
				_ = p.conn.SetWriteDeadline(time.Now().Add(time.Minute))
				_, _ = p.conn.Write(data)
				<-p.dead
			})
			c := w.cluster(Config{Workers: 1, Degrade: true, Hooks: Hooks{OnMessage: func(int, Message) {}}})
			run := w.run(c)
			time.Sleep(time.Second)
			synctest.Wait()
			require.NoError(t, c.Close())
			<-run.done
			require.Contains(t, []error{ErrClosed, nil}, run.err)
		})
	})
}
