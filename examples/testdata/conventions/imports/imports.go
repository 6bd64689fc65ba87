package imports

import (
	_ "context"
	_ "host.example/house/plate/lru"
	_ "host.example/other/thing"
	_ "log"
	_ "net/http"
	_ "testing"
	_ "unsafe"
)
