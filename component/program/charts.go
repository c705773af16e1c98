package program

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/renameio/v2"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/charts"
)

// Charts is a read-only OCI registry of Helm charts over TLS: those of this program,
// and those that earlier versions of it left in the same folder.
type Charts struct {
	Common
	Listen           string // host:port
	Folder           string // of the archives, NAME-VERSION.tgz each
	Certificate, Key string // PEM files; read at each handshake, because they are renewed
}

// repository is the folder of the registry in which the charts are.
const repository = "charts"

// Run serves until ctx ends.
func (p Charts) Run(ctx context.Context) error {
	return p.serve(ctx, func(ctx context.Context, ready *readiness) error {
		handler, held, err := chartRegistry(ctx, p.Folder)
		if err != nil {
			return err
		}
		p.Log.Info("holds charts", "charts", strings.Join(held, " "))
		conf := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
			return &pair, err
		}}
		if _, err := conf.GetCertificate(nil); err != nil {
			return err
		}
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.Listen)
		if err != nil {
			return err
		}
		p.Log.Info("serves", "address", ln.Addr().String())
		ready.is(func() (bool, string) { return true, "" })
		return serveOn(ctx, tls.NewListener(ln, conf), handler, p.Log)
	})
}

// chartRegistry puts this program's charts into a folder, and gives a registry of all
// that are there, with their names.
func chartRegistry(ctx context.Context, folder string) (http.Handler, []string, error) {
	for _, chart := range charts.Names() {
		c, err := charts.Load(chart)
		if err != nil {
			return nil, nil, err
		}
		archive, err := c.Archive()
		if err != nil {
			return nil, nil, err
		}
		if err := renameio.WriteFile(filepath.Join(folder, c.Name+"-"+c.Version+".tgz"), archive, 0o644); err != nil {
			return nil, nil, err
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil {
		return nil, nil, err
	}
	artifacts, err := bundle.Charts(files).Artifacts(ctx, v1.Platform{})
	if err != nil {
		return nil, nil, err
	}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	// The handler takes what it shall hold as a registry does: over HTTP, which nobody
	// else can reach.
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	inside := &http.Server{Handler: handler}
	go inside.Serve(ln)
	defer inside.Close()
	var held []string
	for _, a := range artifacts {
		m, err := a.Image.Manifest()
		if err != nil {
			return nil, nil, err
		}
		chart, version := m.Annotations["org.opencontainers.image.title"], m.Annotations["org.opencontainers.image.version"]
		// A tag holds no plus sign; Helm has an underscore stand for it.
		ref, err := name.NewTag(fmt.Sprintf("%s/%s/%s:%s", ln.Addr(), repository, chart, strings.ReplaceAll(version, "+", "_")), name.Insecure)
		if err != nil {
			return nil, nil, err
		}
		if err := remote.Write(ref, a.Image, remote.WithContext(ctx)); err != nil {
			return nil, nil, fmt.Errorf("chart %s %s: %w", chart, version, err)
		}
		held = append(held, chart+":"+version)
	}
	slices.Sort(held)
	return readOnly(handler), held, nil
}

// readOnly refuses whatever would change the registry.
func readOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "this registry only hands out", http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}
