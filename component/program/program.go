package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/front"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/alerts/simulator"
)

// Common is what all programs have.
type Common struct {
	Health string       // host:port of /health and /ready
	Log    *slog.Logger // never nil
}

// Registry is a schema registry over its topic.
type Registry struct {
	Common
	Listen        string // host:port
	Login         kafka.Login
	Topic         string
	Compatibility string
}

// Run serves until ctx ends.
func (p Registry) Run(ctx context.Context) error {
	return p.serve(ctx, func(ctx context.Context, ready *readiness) error {
		// Brokers may still be on their way: the pod is started again by Kubernetes
		// only after this bound.
		bound, cancel := context.WithTimeout(ctx, openTime)
		defer cancel()
		r, err := registry.Open(bound, registry.Config{Login: p.Login, Topic: p.Topic, Compatibility: p.Compatibility, Log: p.Log})
		if err != nil {
			return err
		}
		defer r.Close()
		return p.http(ctx, p.Listen, r.Handler(), ready)
	})
}

// openTime bounds the first contact of a program with what it needs.
const openTime = time.Minute

// Front is the read-only front of a schema registry.
type Front struct {
	Common
	Listen string // host:port
	Target *url.URL
}

// Run serves until ctx ends.
func (p Front) Run(ctx context.Context) error {
	return p.serve(ctx, func(ctx context.Context, ready *readiness) error {
		return p.http(ctx, p.Listen, front.ReadOnly(p.Target), ready)
	})
}

// Store is an S3 server over a folder. The server is a child process, which changes
// its working directory.
type Store struct {
	Common
	Config objectstore.Config
}

// Run serves until ctx ends. The error says why the server ended by itself.
func (p Store) Run(ctx context.Context) error {
	return p.serve(ctx, func(ctx context.Context, ready *readiness) error {
		cfg := p.Config
		cfg.Log = lines{p.Log}
		child, err := objectstore.StartChild(ctx, cfg)
		if err != nil {
			return err
		}
		p.Log.Info("the object store serves", "address", child.Address(), "metadata", child.Metadata())
		ready.is(func() (bool, string) { return true, "" })
		select {
		case err := <-child.Done():
			return err
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
			defer cancel()
			return child.Stop(stop)
		}
	})
}

// stopTime bounds how long requests in progress may still take.
const stopTime = 10 * time.Second

type lines struct{ log *slog.Logger }

func (l lines) Write(b []byte) (int, error) {
	l.log.Info(string(b))
	return len(b), nil
}

var _ io.Writer = lines{}

// Ingester archives the alerts of its topics.
type Ingester struct {
	Common
	Login    kafka.Login
	Group    string
	Topics   []string
	Registry string // URL
	Objects  objectstore.ClientConfig
	Buckets  archive.Buckets
	// PurgeAfter is how old alerts get before they are deleted; 0: they are not.
	PurgeAfter time.Duration
}

// Run ingests until ctx ends.
func (p Ingester) Run(ctx context.Context) error {
	return p.serve(ctx, func(ctx context.Context, ready *readiness) error {
		schemas, err := registry.NewClient(p.Registry)
		if err != nil {
			return err
		}
		objects := objectstore.NewClient(p.Objects)
		defer objects.Close()
		ingester, err := archive.NewIngester(archive.IngesterConfig{Login: p.Login, Topics: p.Topics, Group: p.Group, Objects: objects,
			Buckets: p.Buckets, Schemas: schemas, Log: p.Log})
		if err != nil {
			return err
		}
		ready.is(func() (bool, string) {
			st := ingester.Stats()
			seen := "not a member of its group yet"
			if st.LastError != nil {
				seen += "; " + st.LastError.Error()
			}
			return st.Ready, seen
		})
		if p.PurgeAfter == 0 {
			return ingester.Run(ctx)
		}
		purger := &archive.Purger{Objects: objects, Bucket: p.Buckets.Alerts, Age: p.PurgeAfter, Log: p.Log}
		purging, stop := context.WithCancel(ctx)
		var beside sync.WaitGroup
		beside.Go(func() { _ = purger.Run(purging) }) // it logs what fails, and goes on
		defer beside.Wait()
		defer stop()
		return ingester.Run(ctx)
	})
}

// Server is the alert database's HTTP API.
type Server struct {
	Common
	Listen  string // host:port
	Objects objectstore.ClientConfig
	Buckets archive.Buckets
	// Access says who may ask, where its scope is not empty.
	Access front.Access
	// BasePath, as /alertdb, is below which it answers too: for an ingress that takes
	// nothing off a path. "": nowhere else.
	BasePath string
}

// Run serves until ctx ends.
func (p Server) Run(ctx context.Context) error {
	return p.serve(ctx, func(ctx context.Context, ready *readiness) error {
		objects := objectstore.NewClient(p.Objects)
		defer objects.Close()
		handler := archive.NewServer(archive.ServerConfig{Objects: objects, Buckets: p.Buckets, Log: p.Log})
		if p.Access.Scope != "" {
			access := p.Access
			access.Open = archive.OpenPaths()
			handler = front.RequireScope(handler, access)
		}
		return p.http(ctx, p.Listen, below(p.BasePath, handler), ready)
	})
}

// below has a handler answer below a path, too.
func below(path string, handler http.Handler) http.Handler {
	if path == "" {
		return handler
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.Handle(path+"/", http.StripPrefix(path, handler))
	return mux
}

// Player plays a reservoir, visit after visit. At its health address it tells what it does
// (PathPlayer), and takes orders; see simulator.Player.Order. A pause ends with the pod.
type Player struct {
	Common
	Login    kafka.Login
	Source   string
	Topic    string
	Interval time.Duration
}

// Run plays until ctx ends.
func (p Player) Run(ctx context.Context) error {
	return p.serve(ctx, func(ctx context.Context, ready *readiness) error {
		player, err := simulator.NewPlayer(simulator.PlayConfig{Login: p.Login, Source: p.Source, Destination: p.Topic, Interval: p.Interval, Log: p.Log})
		if err != nil {
			return err
		}
		ready.is(func() (bool, string) { return player.Status().Running, "it prepares its first visit" })
		ready.play(player)
		_, err = player.Run(ctx)
		return err
	})
}

// serve runs a program beside its health address. What ends because ctx ended did
// not fail.
func (c Common) serve(ctx context.Context, run func(context.Context, *readiness) error) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Health)
	if err != nil {
		return err
	}
	ready := newReadiness()
	both, ctx2 := errgroup.WithContext(ctx)
	both.Go(func() error { return serveOn(ctx2, ln, ready, c.Log) })
	both.Go(func() error {
		err := run(ctx2, ready)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errors.New("it ended by itself")
		}
		return err
	})
	return both.Wait()
}

// http serves a program's own address.
func (c Common) http(ctx context.Context, address string, handler http.Handler, ready *readiness) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	c.Log.Info("serves", "address", ln.Addr().String())
	ready.is(func() (bool, string) { return true, "" })
	return serveOn(ctx, ln, handler, c.Log)
}

func serveOn(ctx context.Context, ln net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := server.Shutdown(bound); err != nil {
		server.Close() // whoever still reads is cut off
	}
	return nil
}
