package ctx

import "context"

type job struct {
	ctx context.Context
}

type derived struct {
	context.Context
}

func second(n int, ctx context.Context) {}

type hook func(string, context.Context)

func first(ctx context.Context, n int) {}
