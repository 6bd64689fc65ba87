package memwatchotel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// TraceRefusals returns next with an event on the caller's span, bedplate.refused,
// for each call that a guard has refused: one whose error says when to come again
// by a method RetryAfter, as those of breaker, bulkhead and ratelimit do. Its
// attributes are guard, error and retry_after in seconds.
//
// It stands around what may refuse, as all else that guards a call does:
//
//	get := memwatchotel.TraceRefusals("orders", breaker.Wrap(b, fetch))
//
// A success costs nothing but the call, and so does every error where there is no
// span that records. What next returns is returned unchanged.
func TraceRefusals[T any](guard string, next func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		v, err := next(ctx)
		if err != nil {
			refused(ctx, guard, err)
		}
		return v, err
	}
}

func refused(ctx context.Context, guard string, err error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	var refusal interface {
		error
		RetryAfter() time.Duration
	}
	if !errors.As(err, &refusal) {
		return
	}
	span.AddEvent("bedplate.refused", trace.WithAttributes(
		attribute.String("guard", guard),
		attribute.String("error", err.Error()),
		attribute.Float64("retry_after", refusal.RetryAfter().Seconds()),
	))
}
