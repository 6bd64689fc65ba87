package emitter_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

// broker is a Publisher and Subscriber in memory: every subscriber gets every
// message, again when it fails, up to three times.
type broker struct {
	mu   sync.Mutex // guards subs and sent
	subs map[string][]chan emitter.Message
	sent []emitter.Message
	down error
}

func (b *broker) Publish(_ context.Context, subject string, m emitter.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down != nil {
		return b.down
	}
	b.sent = append(b.sent, m)
	for _, ch := range b.subs[subject] {
		ch <- m
	}
	return nil
}

func (b *broker) Subscribe(ctx context.Context, subject string, fn func(context.Context, emitter.Message) error) error {
	ch := make(chan emitter.Message, 100)
	b.mu.Lock()
	if b.subs == nil {
		b.subs = make(map[string][]chan emitter.Message)
	}
	b.subs[subject] = append(b.subs[subject], ch)
	b.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-ch:
			for range 3 {
				if fn(ctx, m) == nil {
					break
				}
			}
		}
	}
}

type order struct {
	ID    int    `json:"id"`
	Items string `json:"items"`
}

// node is a process: a topic that is exported and imported.
type node struct {
	topic *emitter.Topic[order]
	got   []order
}

func join(ctx context.Context, t *testing.T, b *broker) *node {
	n := &node{topic: new(emitter.Topic[order])}
	n.topic.On(func(o order) { n.got = append(n.got, o) })
	_, err := emitter.Export(n.topic, b, "orders", emitter.JSON[order](), emitter.SubConfig{})
	require.NoError(t, err)
	go func() { _ = emitter.Import(ctx, b, "orders", emitter.JSON[order](), n.topic) }()
	synctest.Wait()
	return n
}

// Three processes that export and import the same topic: each event reaches each
// once, and nothing goes around in circles.
func TestBridgeBothWaysHasNoEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := new(broker)
		nodes := []*node{join(ctx, t, b), join(ctx, t, b), join(ctx, t, b)}
		var want []order
		for i, n := range nodes {
			o := order{i, "a"}
			n.topic.Emit(o)
			synctest.Wait()
			want = append(want, o)
		}
		for _, n := range nodes {
			require.Equal(t, want, n.got)
		}
		require.Len(t, b.sent, 3)
		ids := make(map[string]bool)
		for _, m := range b.sent {
			require.Len(t, m.ID, 26)
			require.NotEmpty(t, m.Origin)
			require.Equal(t, time.Now(), m.Time)
			ids[m.ID], ids[m.Origin] = true, true
		}
		require.Len(t, ids, 6)
		cancel()
		for _, n := range nodes {
			require.NoError(t, n.topic.Close())
		}
	})
}

// A topic that is imported from one subject and exported to another is a bridge:
// the message goes on as it was, so that those behind it can tell where it came
// from.
func TestBridgeFromSubjectToSubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := new(broker)
		topic := new(emitter.Topic[int])
		_, err := emitter.Export(topic, b, "b", emitter.JSON[int](), emitter.SubConfig{Name: "to b"})
		require.NoError(t, err)
		go func() { _ = emitter.Import(ctx, b, "a", emitter.JSON[int](), topic) }()
		synctest.Wait()
		m := emitter.Message{ID: "id", Origin: "elsewhere", Header: map[string]string{"traceparent": "00"}, Data: []byte("7")}
		require.NoError(t, b.Publish(ctx, "a", m))
		synctest.Wait()
		require.Equal(t, []emitter.Message{m, m}, b.sent)
		require.NoError(t, topic.Close())
		cancel()
		synctest.Wait()
	})
}

// A listener's error asks for the message again; data that cannot be decoded is
// told and not asked for.
func TestImportFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := new(broker)
		var failures []error
		topic := quiet[int](&failures)
		var got []int
		topic.OnErr(func(_ context.Context, v int) error {
			if got = append(got, v); len(got) < 3 {
				return errBoom
			}
			return nil
		})
		var err error
		go func() { err = emitter.Import(ctx, b, "s", emitter.JSON[int](), topic) }()
		synctest.Wait()
		require.NoError(t, b.Publish(ctx, "s", emitter.Message{Data: []byte("7")}))
		synctest.Wait()
		require.Equal(t, []int{7, 7, 7}, got)
		require.Equal(t, []error{errBoom, errBoom}, failures)

		require.NoError(t, b.Publish(ctx, "s", emitter.Message{ID: "bad", Data: []byte("{")}))
		synctest.Wait()
		require.Len(t, got, 3)
		require.Len(t, failures, 3)
		require.ErrorContains(t, failures[2], `emitter: import from s: decode message "bad"`)
		var syntax *json.SyntaxError
		require.ErrorAs(t, failures[2], &syntax)
		cancel()
		synctest.Wait()
		require.Equal(t, context.Canceled, err)
	})
}

// What cannot be encoded or sent goes where failures go, and the next event is
// tried all the same. A broker that hangs holds nobody up but by the policy.
func TestExportFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failures []error
		topic := quiet[int](&failures)
		b := &broker{down: errors.New("no connection")}
		codec := emitter.Codec[int]{
			Encode: func(v int) ([]byte, error) {
				if v == 0 {
					return nil, errBoom
				}
				return json.Marshal(v)
			},
			Decode: emitter.JSON[int]().Decode,
		}
		sub, err := emitter.Export(topic, b, "s", codec, emitter.SubConfig{Queue: 10})
		require.NoError(t, err)
		for v := range 2 {
			topic.Emit(v)
			synctest.Wait()
		}
		require.ErrorIs(t, failures[0], errBoom)
		require.ErrorContains(t, failures[0], "emitter: export to s: encode")
		require.ErrorIs(t, failures[1], b.down)
		b.down = nil
		topic.Emit(2)
		require.NoError(t, sub.Drain(t.Context()))
		require.Len(t, b.sent, 1)
		require.Equal(t, "2", string(b.sent[0].Data))

		hang := emitter.PublisherFunc(func(ctx context.Context, _ string, _ emitter.Message) error {
			<-ctx.Done()
			return ctx.Err()
		})
		sub, err = emitter.Export(topic, hang, "s", codec, emitter.SubConfig{Queue: 2, Overflow: emitter.DropOldest})
		require.NoError(t, err)
		for v := range 10 {
			topic.Emit(v)
			synctest.Wait()
		}
		require.Equal(t, emitter.SubStats{Queue: 2, Queued: 2, Delivered: 2, Dropped: 6}, sub.Stats(), "the first could not be encoded")
		require.NoError(t, sub.Close(), "the ctx of Publish ends with the subscription")
	})
}

func TestBridgeBadInput(t *testing.T) {
	topic := new(emitter.Topic[int])
	b := new(broker)
	for _, codec := range []emitter.Codec[int]{{}, {Encode: emitter.JSON[int]().Encode}, {Decode: emitter.JSON[int]().Decode}} {
		_, err := emitter.Export(topic, b, "s", codec, emitter.SubConfig{})
		require.EqualError(t, err, "emitter: Codec.Encode or Codec.Decode is nil")
		require.EqualError(t, emitter.Import(t.Context(), b, "s", codec, topic), "emitter: Codec.Encode or Codec.Decode is nil")
	}
	_, err := emitter.Export(topic, b, "s", emitter.JSON[int](), emitter.SubConfig{Queue: -2})
	require.EqualError(t, err, "emitter: SubConfig.Queue is -2, want ≥ 0")
	require.Zero(t, topic.Len())
}

// Two topics of one process are no echo of each other.
func TestBridgeOfTwoTopicsInOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := new(broker)
		from, to := new(emitter.Topic[int]), new(emitter.Topic[int])
		var got []int
		to.On(func(v int) { got = append(got, v) })
		_, err := emitter.Export(from, b, "s", emitter.JSON[int](), emitter.SubConfig{})
		require.NoError(t, err)
		subscribe := emitter.SubscriberFunc(b.Subscribe)
		for _, topic := range []*emitter.Topic[int]{to, from} {
			go func() { _ = emitter.Import(ctx, subscribe, "s", emitter.JSON[int](), topic) }()
		}
		synctest.Wait()
		for v := range 3 {
			from.Emit(v)
		}
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2}, got)
		require.True(t, slices.IsSorted(got))
		cancel()
		synctest.Wait()
	})
}
