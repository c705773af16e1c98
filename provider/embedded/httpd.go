package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/alertlab/alertlab/lab/event"
)

// HTTPServer is a Process that serves one handler at one address.
type HTTPServer struct {
	// Check says whether a gate is open; nil counts as open, since the server
	// listens once it is started.
	Check func(ctx context.Context, gate string) (open bool, seen string, err error)
	// About gives the facts; may be nil.
	About func() []event.Fact
	// OnStop runs after the server has stopped; may be nil.
	OnStop func(context.Context) error

	server *http.Server
	ended  chan error
}

// Serve begins to serve handler at address (host:port) and returns once it
// listens.
func (s *HTTPServer) Serve(ctx context.Context, address string, handler http.Handler, log *slog.Logger) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	s.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	s.ended = make(chan error, 1)
	go func() {
		if err := s.server.Serve(ln); err != http.ErrServerClosed {
			s.ended <- fmt.Errorf("serving %s: %w", address, err)
			close(s.ended)
		}
	}()
	return nil
}

// Probe implements Process.
func (s *HTTPServer) Probe(ctx context.Context, gate string) (bool, string, error) {
	if s.Check == nil {
		return true, "", nil
	}
	return s.Check(ctx, gate)
}

// Facts implements Process.
func (s *HTTPServer) Facts() []event.Fact {
	if s.About == nil {
		return nil
	}
	return s.About()
}

// Ended implements Process.
func (s *HTTPServer) Ended() <-chan error { return s.ended }

// Stop implements Process: requests under way are finished, with a bound.
func (s *HTTPServer) Stop(ctx context.Context) error {
	bound, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := s.server.Shutdown(bound); err != nil {
		s.server.Close() // whoever still reads is cut off
	}
	if s.OnStop == nil {
		return nil
	}
	return s.OnStop(ctx)
}
