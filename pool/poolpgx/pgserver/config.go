package pgserver

import "errors"

// ErrNotInstalled means that neither the path nor the usual folders have the
// programs initdb and postgres, or that this is not a Unix.
var ErrNotInstalled = errors.New("pgserver: PostgreSQL is not installed")

// Config describes a server. The zero Config is usable.
type Config struct {
	// MaxConnections is the server's max_connections. Zero means its default,
	// 100. None are reserved for superusers.
	MaxConnections int
}
