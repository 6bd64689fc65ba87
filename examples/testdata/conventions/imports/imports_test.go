package imports_test

import (
	_ "net/http/httptest"

	_ "github.com/stretchr/testify/assert"
	_ "github.com/stretchr/testify/require"
	_ "go.uber.org/goleak"
	_ "host.example/house/plate/lru"
	_ "host.example/house/plate/testdata/conventions/imports"
)
