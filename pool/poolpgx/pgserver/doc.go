// Package pgserver runs a PostgreSQL server for as long as a test or an example
// needs one, from the programs that are installed: in a temporary folder, on a
// free port of the loopback interface, without durability. It can be restarted
// and stopped in its tracks.
//
//	s, err := pgserver.Start(ctx, pgserver.Config{MaxConnections: 20})
//	if err != nil {
//		return err // ErrNotInstalled where there is no PostgreSQL
//	}
//	defer s.Stop()
//	conn, err := pgx.Connect(ctx, s.URL())
//
// PostgreSQL refuses to run as root. Under root it is run as the user postgres,
// or else nobody.
package pgserver
