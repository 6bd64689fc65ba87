package memwatchotel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/memwatch/memwatchotel"
)

var errDown = errors.New("down")

func tracer(t *testing.T) (trace.Tracer, *tracetest.InMemoryExporter) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(context.Background())) })
	return provider.Tracer("test"), spans
}

func TestARefusalIsAnEventOnTheCallersSpan(t *testing.T) {
	tracer, spans := tracer(t)
	b := breaker.MustNew(breaker.Config{Name: "orders", ConsecutiveFailures: 1, OpenFor: time.Hour})
	get := memwatchotel.TraceRefusals("orders", breaker.Wrap(b, func(context.Context) (int, error) { return 7, errDown }))

	ctx, span := tracer.Start(t.Context(), "request")
	v, err := get(ctx)
	require.Equal(t, 7, v)
	require.Equal(t, errDown, err, "a failure is no refusal and passes through")
	_, err = get(ctx)
	require.ErrorIs(t, err, breaker.ErrOpen)
	span.End()

	ended := spans.GetSpans()
	require.Len(t, ended, 1)
	require.Len(t, ended[0].Events, 1)
	event := ended[0].Events[0]
	require.Equal(t, "bedplate.refused", event.Name)
	got := make(map[string]any)
	for _, kv := range event.Attributes {
		got[string(kv.Key)] = kv.Value.AsInterface()
	}
	require.Equal(t, "orders", got["guard"])
	require.Contains(t, got["error"], "breaker: orders: open")
	require.InDelta(t, 3600, got["retry_after"], 3600)
	require.Positive(t, got["retry_after"])
}

func TestTheRefusalIsFoundInsideOfOtherErrors(t *testing.T) {
	tracer, spans := tracer(t)
	b := breaker.MustNew(breaker.Config{})
	b.SetMode(breaker.ForceOpen)
	get := memwatchotel.TraceRefusals("orders", func(ctx context.Context) (int, error) {
		err := b.Do(ctx, func(context.Context) error { return nil })
		return 0, errors.Join(errDown, fmt.Errorf("orders: %w", err))
	})
	ctx, span := tracer.Start(t.Context(), "request")
	_, err := get(ctx)
	require.ErrorIs(t, err, breaker.ErrOpen)
	span.End()
	require.Len(t, spans.GetSpans()[0].Events, 1)
}

func TestWithoutASpanARefusalIsOnlyReturned(t *testing.T) {
	b := breaker.MustNew(breaker.Config{})
	b.SetMode(breaker.ForceOpen)
	get := memwatchotel.TraceRefusals("x", breaker.Wrap(b, func(context.Context) (int, error) { return 1, nil }))
	_, err := get(t.Context())
	require.ErrorIs(t, err, breaker.ErrOpen)
	b.SetMode(breaker.ForceClosed)
	v, err := get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, v)
}

func TestAPanicPassesThrough(t *testing.T) {
	get := memwatchotel.TraceRefusals("x", func(context.Context) (int, error) { panic("mine") })
	require.PanicsWithValue(t, "mine", func() { get(t.Context()) })
}
