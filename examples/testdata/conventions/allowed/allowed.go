package allowed

import (
	"context"
	"sync"
)

type call struct {
	//bedplate:allow ctx: lives no longer than the call it belongs to
	ctx context.Context

	// A comment may explain more.
	//bedplate:allow ctx: the same
	other context.Context
}

//bedplate:allow globals:
var pool sync.Pool
