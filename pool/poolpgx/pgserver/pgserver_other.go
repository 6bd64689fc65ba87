//go:build !unix

package pgserver

import "context"

// Server is a server that runs. There is none here.
type Server struct{}

// Start returns ErrNotInstalled.
func Start(context.Context, Config) (*Server, error) { return nil, ErrNotInstalled }

// URL is where the server can be reached.
func (s *Server) URL() string { return "" }

// Restart returns ErrNotInstalled, as do the others.
func (s *Server) Restart(context.Context) error { return ErrNotInstalled }

// Halt stops the server until Restart.
func (s *Server) Halt() error { return ErrNotInstalled }

// Pause stops the server in its tracks.
func (s *Server) Pause() error { return ErrNotInstalled }

// Resume ends Pause.
func (s *Server) Resume() error { return ErrNotInstalled }

// Stop ends the server and removes its files.
func (s *Server) Stop() error { return ErrNotInstalled }
