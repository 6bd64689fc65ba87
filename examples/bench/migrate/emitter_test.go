package migrate_test

import (
	"testing"

	eventbus "github.com/asaskevich/EventBus"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

type order struct{ ID int }

func eventsBefore(heard func(order)) (emit func(order), off func()) {
	bus := eventbus.New()
	if err := bus.Subscribe("order.created", heard); err != nil {
		panic(err)
	}
	emit = func(o order) { bus.Publish("order.created", o) }
	return emit, func() { _ = bus.Unsubscribe("order.created", heard) }
}

func eventsAfter(heard func(order)) (emit func(order), off func()) {
	var created emitter.Topic[order]
	sub := created.On(heard)
	return func(o order) { created.Emit(o) }, func() { sub.Off() }
}

func TestEventBusPair(t *testing.T) {
	run := func(make func(func(order)) (func(order), func())) (ids []int) {
		emit, off := make(func(o order) { ids = append(ids, o.ID) })
		emit(order{1})
		emit(order{2})
		off()
		emit(order{3})
		return ids
	}
	require.Equal(t, []int{1, 2}, run(eventsBefore))
	require.Equal(t, []int{1, 2}, run(eventsAfter))
}
