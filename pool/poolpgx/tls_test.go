package poolpgx_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool/poolpgx"
)

// Over TLS a server that is told to go hangs up before pgx has taken its leave,
// which is no failure of Close.
func TestCloseOverTLSIsNoFailure(t *testing.T) {
	https := httptest.NewTLSServer(nil) // for its certificate
	defer https.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	served := make(chan error, 1)
	go func() { served <- serveOne(l, https.TLS) }()

	cfg, err := pgx.ParseConfig("postgres://user@" + l.Addr().String() + "/db?sslmode=require")
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(https.Certificate())
	cfg.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS13}
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, poolpgx.Close(c))
	require.NoError(t, <-served)
}

// serveOne is a PostgreSQL server as far as the beginning and the end of one
// connection go.
func serveOne(l net.Listener, cfg *tls.Config) error {
	raw, err := l.Accept()
	if err != nil {
		return err
	}
	defer raw.Close() // and no word before
	if _, err := pgproto3.NewBackend(raw, raw).ReceiveStartupMessage(); err != nil {
		return err
	}
	if _, err := raw.Write([]byte{'S'}); err != nil {
		return err
	}
	secure := tls.Server(raw, cfg)
	server := pgproto3.NewBackend(secure, secure)
	if _, err := server.ReceiveStartupMessage(); err != nil {
		return err
	}
	server.Send(&pgproto3.AuthenticationOk{})
	server.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	server.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := server.Flush(); err != nil {
		return err
	}
	for {
		m, err := server.Receive()
		if err != nil {
			return err
		}
		if _, ok := m.(*pgproto3.Terminate); ok {
			return nil
		}
	}
}
