package emitter_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

// FuzzModel reads bytes as operations, and compares the topic with the model
// after each.
func FuzzModel(f *testing.F) {
	f.Add([]byte{0, 1, 0, 8, 7, 0, 5, 0, 0})                   // one panics, one emits
	f.Add([]byte{0x40, 6, 0, 0x20, 4, 0, 0x41, 5, 0, 6, 0, 0}) // added, ended, ended by another
	f.Fuzz(func(t *testing.T, data []byte) {
		compare(t, data[:min(len(data), 300)])
	})
}

// FuzzQueue compares the queue of a listener that takes an event when it is told
// to with a slice.
func FuzzQueue(f *testing.F) {
	f.Add(uint8(1), uint8(3), []byte("eeeetettte"))
	f.Add(uint8(2), uint8(2), []byte("eeeeeteeeettte"))
	f.Fuzz(func(t *testing.T, policy, queue uint8, ops []byte) {
		o := emitter.Overflow(policy % 6)
		size := int(queue%5) + 1
		switch o {
		case emitter.Block: // needs a goroutine for each emit that waits: see TestAsyncBlockIsFirstInFirstOut
			o = emitter.DropNewest
		case emitter.Latest:
			size = 1
		case emitter.Unbounded:
			size = 0
		}
		synctest.Test(t, func(t *testing.T) {
			var topic emitter.Topic[int]
			g, sub := subscribe(t, &topic, emitter.SubConfig{Queue: size, Overflow: o})
			want := []int{}
			var waiting []int
			inHand, dropped := 0, 0
			for v, op := range ops[:min(len(ops), 100)] {
				if op%3 == 0 {
					g.one()
					want = append(want, inHand)
					if len(waiting) > 0 {
						inHand, waiting = waiting[0], waiting[1:]
					} else {
						topic.Emit(v)
						synctest.Wait()
						inHand = v
					}
					continue
				}
				_ = topic.EmitContext(t.Context(), v)
				synctest.Wait()
				switch full := size > 0 && len(waiting) == size; {
				case !full:
					waiting = append(waiting, v)
				case o == emitter.DropOldest || o == emitter.Latest:
					waiting = append(waiting[1:len(waiting):len(waiting)], v)
					dropped++
				default:
					dropped++
				}
				require.Equal(t, len(waiting), sub.Stats().Queued)
				require.EqualValues(t, dropped, sub.Stats().Dropped)
			}
			g.open()
			want = append(append(want, inHand), waiting...)
			require.Equal(t, want, g.got)
			require.NoError(t, sub.Close())
		})
	})
}

// FuzzPattern compares the matching of patterns with a matcher in three lines.
func FuzzPattern(f *testing.F) {
	f.Add("order.*", "order.created")
	f.Add("order.**", "order")
	f.Add("**", "")
	f.Add("*.*", "a.")
	f.Fuzz(func(t *testing.T, pattern, event string) {
		var e emitter.Emitter
		heard := 0
		sub, err := e.OnMatch(pattern, func(string, any) { heard++ })
		if err != nil {
			require.ErrorContains(t, err, "emitter: pattern")
			require.Contains(t, pattern, "*")
			return
		}
		want := matches(strings.Split(pattern, "."), strings.Split(event, "."))
		require.Equal(t, want, e.EmitContext(context.Background(), event, 1) == nil && heard == 1)
		e.On(event, func(any) {}) // a name that has listeners remembers what matches it
		e.Emit(event, 1)
		e.Emit(event, 1)
		if want {
			require.Equal(t, 3, heard)
		} else {
			require.Zero(t, heard)
		}
		sub.Off()
		e.Emit(event, 1)
		require.LessOrEqual(t, heard, 3)
	})
}

func matches(pattern, event []string) bool {
	if len(pattern) == 0 || pattern[0] == "**" {
		return len(event) == 0 || len(pattern) > 0
	}
	return len(event) > 0 && (pattern[0] == "*" || pattern[0] == event[0]) && matches(pattern[1:], event[1:])
}
