package bundle_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	helm "helm.sh/helm/v3/pkg/registry"

	"github.com/alertlab/alertlab/bundle"
)

// site is a registry that wants a password and counts what it gets.
type site struct {
	*httptest.Server
	host string
	cas  *x509.CertPool

	mu      sync.Mutex
	uploads int // of blobs
	plain   int // requests without TLS
	leaked  int // of which had a password
}

func newSite(t *testing.T, tls bool) *site {
	t.Helper()
	s := &site{cas: x509.NewCertPool()}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if r.Method == http.MethodPatch {
			s.uploads++
		}
		user, password, ok := r.BasicAuth()
		if r.TLS == nil {
			s.plain++
			if ok {
				s.leaked++
			}
		}
		s.mu.Unlock()
		if !ok || user != "robot" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="site"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if tls {
		s.StartTLS()
		s.cas.AddCert(s.Certificate())
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	must(t, err)
	s.host = u.Host
	return s
}

func (s *site) registry() bundle.Registry {
	return bundle.Registry{Host: s.host, Prefix: "mirror", Username: "robot", Password: "secret", CAs: s.cas}
}

func (s *site) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uploads
}

func TestPush(t *testing.T) {
	t.Parallel()
	c := sample(t)
	path, _ := saved(t, c)
	b := opened(t, path)
	s := newSite(t, true)
	r := s.registry()
	var last bundle.Progress
	pushed, err := b.Push(context.Background(), r, bundle.PushOptions{Progress: func(p bundle.Progress) {
		if p.Done < last.Done {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	}})
	must(t, err)
	if len(pushed) != 5 || last.Done != last.Total || last.Total == 0 {
		t.Errorf("%+v, %+v", pushed, last)
	}
	// 3 configs and 4 layers of images, of which the shared one is mounted the
	// second time or, since this registry has one store for all, found; 2 times 2
	// of charts.
	if n := s.count(); n != 3+4+4-1+0 && n != 3+4+4 {
		t.Errorf("%d blobs uploaded", n)
	}

	// Pull it all back over TLS, and save the bundle anew from there.
	client := s.Client()
	opts := []remote.Option{remote.WithTransport(client.Transport), remote.WithAuth(&authn.Basic{Username: "robot", Password: "secret"})}
	for _, p := range pushed {
		if p.Skipped || p.Replaced != (v1.Hash{}) {
			t.Errorf("%+v", p)
		}
		ref, err := name.ParseReference(p.Target)
		must(t, err)
		img, err := remote.Image(ref, opts...)
		must(t, err)
		if got, err := img.Digest(); err != nil || got != p.Digest {
			t.Errorf("%s has the digest %s, %v", p.Target, got, err)
		}
		if !strings.Contains(p.Target, "/charts/") {
			must(t, validate.Image(img))
		}
	}
	target, err := r.Image(pause)
	must(t, err)
	again, _ := saved(t, bundle.Contents{Sources: []bundle.Source{bundle.Remote{References: []string{target}, Options: opts}}})
	if got := opened(t, again).Images(); len(got) != 1 || got[0].Reference != target {
		t.Errorf("%+v", got)
	}

	before := s.count()
	pushed, err = b.Push(context.Background(), r, bundle.PushOptions{})
	must(t, err)
	for _, p := range pushed {
		if !p.Skipped {
			t.Errorf("the second time %+v", p)
		}
	}
	if s.count() != before {
		t.Error("blobs were sent again")
	}

	// Another image under the same name replaces it, and says so.
	changed, _ := saved(t, bundle.Contents{Sources: []bundle.Source{bundle.Images{{Reference: pause, Image: image(t, "amd64", layer(9, 10))}}}})
	pushed, err = opened(t, changed).Push(context.Background(), r, bundle.PushOptions{Images: []string{pause}})
	must(t, err)
	if len(pushed) != 1 || pushed[0].Skipped || pushed[0].Replaced == (v1.Hash{}) {
		t.Errorf("%+v", pushed)
	}
}

// TestHelmPull lets Helm's own client pull a chart that was pushed.
func TestHelmPull(t *testing.T) {
	t.Parallel()
	c := sample(t)
	path, _ := saved(t, c)
	s := newSite(t, true)
	r := s.registry()
	pushed, err := opened(t, path).Push(context.Background(), r, bundle.PushOptions{Charts: []string{"argo-cd:7.0.0+a.1"}})
	must(t, err)
	if len(pushed) != 1 {
		t.Fatalf("%+v", pushed)
	}
	client, err := helm.NewClient(helm.ClientOptHTTPClient(s.Client()),
		helm.ClientOptWriter(io.Discard), helm.ClientOptCredentialsFile(t.TempDir()+"/helm.json"))
	must(t, err)
	must(t, client.Login(s.host, helm.LoginOptBasicAuth("robot", "secret")))
	got, err := client.Pull(s.host + "/mirror/charts/argo-cd:7.0.0+a.1")
	must(t, err)
	if got.Chart.Meta.Name != "argo-cd" || got.Chart.Meta.Version != "7.0.0+a.1" || got.Chart.Meta.AppVersion != "1.10" || got.Manifest.Digest != pushed[0].Digest.String() {
		t.Errorf("%+v", got.Chart.Meta)
	}
	want, err := os.ReadFile(c.Sources[1].(bundle.Charts)[1])
	must(t, err)
	if !bytes.Equal(got.Chart.Data, want) {
		t.Error("Helm pulled another archive")
	}
}

func TestPushRefused(t *testing.T) {
	t.Parallel()
	path, content := saved(t, sample(t))
	b := opened(t, path)
	tls, plain := newSite(t, true), newSite(t, false)
	ctx := context.Background()
	with := func(s *site, change func(*bundle.Registry)) bundle.Registry {
		r := s.registry()
		change(&r)
		return r
	}
	for _, c := range []struct {
		name     string
		registry bundle.Registry
		opts     bundle.PushOptions
		want     string
	}{
		{"unknown authority", with(tls, func(r *bundle.Registry) { r.CAs = nil }), bundle.PushOptions{}, "certificate"},
		{"wrong password", with(tls, func(r *bundle.Registry) { r.Password = "x" }), bundle.PushOptions{}, "401"},
		{"no password", with(tls, func(r *bundle.Registry) { r.Username = "" }), bundle.PushOptions{}, "401"},
		{"no such image", tls.registry(), bundle.PushOptions{Images: []string{"x:1"}}, "not in the bundle"},
		{"no such chart", tls.registry(), bundle.PushOptions{Charts: []string{"x:1"}}, "not in the bundle"},
		{"bad prefix", with(tls, func(r *bundle.Registry) { r.Prefix = "A" }), bundle.PushOptions{}, "prefix"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pushed, err := b.Push(ctx, c.registry, c.opts)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(pushed) != 0 {
				t.Errorf("%v, %v", pushed, err)
			}
		})
	}

	// Plain HTTP goes to loopback addresses only, unless it is asked for.
	if _, err := b.Push(ctx, plain.registry(), bundle.PushOptions{}); err != nil {
		t.Error(err)
	}

	// A damaged image is left out; the others are pushed.
	names, _ := tarEntries(t, content)
	content[bytes.Index(content, []byte(names[len(names)-8]))+513] ^= 1
	must(t, os.WriteFile(path, content, 0o600))
	var p *bundle.Problem
	pushed, err := b.Push(ctx, tls.registry(), bundle.PushOptions{})
	if !errors.As(err, &p) || len(pushed) == 0 || len(pushed)+len(p.Owners) != 5 {
		t.Errorf("%v, %v", pushed, err)
	}

	cancelled, cancel := context.WithCancelCause(ctx)
	why := errors.New("enough")
	cancel(why)
	if _, err := b.Push(cancelled, newSite(t, true).registry(), bundle.PushOptions{}); !errors.Is(err, why) {
		t.Error(err)
	}
}
