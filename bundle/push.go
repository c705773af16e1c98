package bundle

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Registry is a site's registry and the way into it.
type Registry struct {
	// Host is HOST or HOST:PORT.
	Host string
	// Prefix is a path in front of all repositories; it may be empty.
	Prefix string
	// Username and Password are used if Username is set, else what Keychain
	// has for the host (authn.DefaultKeychain reads Docker's configuration),
	// else nothing.
	Username, Password string
	Keychain           authn.Keychain
	// CAs replaces the system's certificate authorities; nil leaves them.
	CAs *x509.CertPool
	// PlainHTTP allows HTTP without TLS. Without it only a loopback address is
	// spoken to so, and only if it does not answer with TLS.
	PlainHTTP bool
}

// RegistryAt reads a registry's name, HOST[:PORT][/PATH]. What is wrong with it, Image and
// Chart say.
func RegistryAt(text string) Registry {
	host, prefix, _ := strings.Cut(text, "/")
	return Registry{Host: host, Prefix: strings.Trim(prefix, "/")}
}

// PushOptions says what is pushed.
type PushOptions struct {
	// Images are references in any form that Normalize takes, Charts are
	// NAME:VERSION. Both empty means everything.
	Images, Charts []string
	// Concurrency is how many blobs of an image are pushed at once; 0 means 4.
	Concurrency int
	Progress    ProgressFunc
}

// Pushed is one image or chart in the site's registry.
type Pushed struct {
	// Reference is what it is called in the bundle, Target in the registry.
	Reference, Target string
	Digest            v1.Hash
	// Skipped says that the registry had it already. Replaced is the digest
	// that the tag had before, if it was another one.
	Skipped  bool
	Replaced v1.Hash
}

// Push brings images and charts into a registry, under the names that
// Registry.Image and Registry.Chart give. What is there under its name with its
// digest is skipped; blobs that the repository has, or another repository got
// from this bundle, are not sent again. Entries go one after the other, their
// blobs side by side.
//
// It stops at the first failure of the registry, a *RegistryError, but goes on after a damaged
// entry, which is not pushed; the error then holds each *Problem. What was done
// is in the result in either case. ErrNotFound and ErrReference come before
// anything is sent.
func (b *Bundle) Push(ctx context.Context, r Registry, opts PushOptions) ([]Pushed, error) {
	jobs, err := b.pushJobs(r, opts)
	if err != nil {
		return nil, err
	}
	p, err := newPusher(ctx, r, opts)
	if err != nil {
		return nil, err
	}
	defer p.transport.CloseIdleConnections()
	for _, j := range jobs {
		p.total += publicEntry(j.entry).Size
	}
	var done []Pushed
	var errs []error
	for _, j := range jobs {
		pushed, err := p.push(ctx, b, j)
		var damaged *Problem
		switch {
		case err == nil:
			done = append(done, pushed)
		case context.Cause(ctx) != nil:
			return done, errors.Join(append(errs, context.Cause(ctx))...)
		case errors.As(err, &damaged):
			errs = append(errs, damaged)
		default:
			return done, errors.Join(append(errs, fmt.Errorf("push %s to %s: %w", j.entry.reference, j.target, ofRegistry(r.Host, j.target, err)))...)
		}
	}
	return done, errors.Join(errs...)
}

// PushImages brings images that are in no bundle into a registry, under the names that
// Registry.Image gives. What is there with its digest is skipped. It stops at the first
// failure; what was done is in the result.
func PushImages(ctx context.Context, r Registry, images []Artifact) ([]Pushed, error) {
	p, err := newPusher(ctx, r, PushOptions{})
	if err != nil {
		return nil, err
	}
	defer p.transport.CloseIdleConnections()
	var done []Pushed
	for _, a := range images {
		target, err := r.Image(a.Reference)
		if err != nil {
			return done, err
		}
		one, err := p.pushImage(ctx, a, target)
		if cause := context.Cause(ctx); cause != nil {
			return done, cause
		}
		if err != nil {
			return done, fmt.Errorf("push %s to %s: %w", a.Reference, target, ofRegistry(r.Host, target, err))
		}
		done = append(done, one)
	}
	return done, nil
}

func (p *pusher) pushImage(ctx context.Context, a Artifact, target string) (Pushed, error) {
	done := Pushed{Reference: a.Reference, Target: target}
	ref, err := p.registry.parse(target)
	if err != nil {
		return done, fmt.Errorf("%w: %w", ErrReference, err)
	}
	if done.Digest, err = a.Image.Digest(); err != nil {
		return done, err
	}
	skip, err := p.there(ref, &done)
	if err != nil || skip {
		return done, err
	}
	return done, p.pusher.Push(ctx, ref, a.Image)
}

// there says whether the registry has done.Digest under a name already, and notes what
// it has instead.
func (p *pusher) there(ref name.Reference, done *Pushed) (bool, error) {
	there, err := remote.Head(ref, p.options...)
	var answer *transport.Error
	switch {
	case err == nil && there.Digest == done.Digest:
		done.Skipped = true
	case err == nil:
		done.Replaced = there.Digest
	case !errors.As(err, &answer) || answer.StatusCode != http.StatusNotFound:
		return false, err
	}
	return done.Skipped, nil
}

type pushJob struct {
	entry  *entry
	target string
}

func (b *Bundle) pushJobs(r Registry, opts PushOptions) ([]pushJob, error) {
	var chosen []*entry
	var errs []error
	everything := len(opts.Images) == 0 && len(opts.Charts) == 0
	if everything {
		chosen = b.plan.entries
	}
	if len(opts.Images) > 0 {
		images, err := b.choose(opts.Images)
		chosen, errs = append(chosen, images...), append(errs, err)
	}
	for _, ref := range opts.Charts {
		name, version, _ := strings.Cut(ref, ":")
		e, err := b.chart(name, version)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		chosen = append(chosen, e)
	}
	var jobs []pushJob
	for _, e := range chosen {
		target, err := r.Image(e.reference)
		if e.chart {
			name, version, _ := strings.Cut(e.reference, ":")
			target, err = r.Chart(name, version)
		}
		errs = append(errs, err)
		jobs = append(jobs, pushJob{e, target})
	}
	return jobs, errors.Join(errs...)
}

type pusher struct {
	registry  Registry
	transport *http.Transport
	pusher    *remote.Pusher
	options   []remote.Option
	progress  ProgressFunc
	// at is where the registry has a blob since this push.
	at map[v1.Hash]name.Reference

	// A client may go on reading a blob after its push has failed.
	mu          sync.Mutex
	done, total int64
}

// count tells of n more bytes. A blob that is sent again after a failure is not
// counted beyond the whole.
func (p *pusher) count(reference string, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle(reference, p.done+n)
}

func (p *pusher) settle(reference string, done int64) {
	p.done = min(done, p.total)
	p.progress(Progress{Step: "push", Reference: reference, Done: p.done, Total: p.total})
}

func newPusher(ctx context.Context, r Registry, opts PushOptions) (*pusher, error) {
	p := &pusher{registry: r, progress: serial(opts.Progress), at: map[v1.Hash]name.Reference{}}
	p.transport = r.transport()
	limit := opts.Concurrency
	if limit <= 0 {
		limit = 4
	}
	p.options = append(r.over(p.transport), remote.WithContext(ctx), remote.WithJobs(limit))
	var err error
	p.pusher, err = remote.NewPusher(p.options...)
	return p, err
}

func (r Registry) transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: r.CAs, MinVersion: tls.VersionTLS12}
	return t
}

// options are go-containerregistry's, for one use.
func (r Registry) options() []remote.Option { return r.over(r.transport()) }

func (r Registry) over(t *http.Transport) []remote.Option {
	options := []remote.Option{remote.WithTransport(&tlsOnly{t, r})}
	switch {
	case r.Username != "":
		options = append(options, remote.WithAuth(&authn.Basic{Username: r.Username, Password: r.Password}))
	case r.Keychain != nil:
		options = append(options, remote.WithAuthFromKeychain(r.Keychain))
	}
	return options
}

// parse reads a target as go-containerregistry has it.
func (r Registry) parse(target string) (name.Reference, error) {
	var opts []name.Option
	if r.PlainHTTP {
		opts = append(opts, name.Insecure)
	}
	return name.ParseReference(target, opts...)
}

func (p *pusher) push(ctx context.Context, b *Bundle, j pushJob) (Pushed, error) {
	done := Pushed{Reference: j.entry.reference, Target: j.target, Digest: j.entry.desc.Digest}
	p.mu.Lock()
	before := p.done
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.settle(j.entry.reference, before+publicEntry(j.entry).Size)
	}()
	ref, err := p.registry.parse(j.target)
	if err != nil {
		return done, fmt.Errorf("%w: %w", ErrReference, err)
	}
	if skip, err := p.there(ref, &done); err != nil {
		return done, err
	} else if skip {
		p.remember(j.entry, ref)
		return done, nil
	}
	img, err := b.artifact(j.entry)
	if err != nil {
		return done, err
	}
	watch := &watched{Image: img, pusher: p, reference: j.entry.reference}
	if err := p.pusher.Push(ctx, ref, watch); err != nil {
		if damage := watch.damage(); damage != nil {
			return done, damage
		}
		return done, err
	}
	p.remember(j.entry, ref)
	return done, nil
}

func (p *pusher) remember(e *entry, ref name.Reference) {
	for _, d := range e.blobs() {
		if p.at[d.Digest] == nil {
			p.at[d.Digest] = ref
		}
	}
}

// watched is an image that is being pushed: it counts what is read, keeps the
// first damage that a reader meets (a client's own error may hide it), and
// offers blobs that the registry has in another repository.
type watched struct {
	v1.Image
	pusher    *pusher
	reference string

	mu      sync.Mutex
	problem *Problem
}

// Layers is what go-containerregistry pushes, besides config and manifest.
func (w *watched) Layers() ([]v1.Layer, error) {
	layers, err := w.Image.Layers()
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			return nil, err
		}
		layers[i] = &watchedLayer{l, w}
		if from := w.pusher.at[digest]; from != nil {
			layers[i] = &remote.MountableLayer{Layer: layers[i], Reference: from}
		}
	}
	return layers, nil
}

// saw notes what reading a blob gave.
func (w *watched) saw(n int, err error) {
	w.pusher.count(w.reference, int64(n))
	w.mu.Lock()
	defer w.mu.Unlock()
	var p *Problem
	if w.problem == nil && errors.As(err, &p) {
		w.problem = p
	}
}

func (w *watched) damage() *Problem {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problem
}

type watchedLayer struct {
	v1.Layer
	image *watched
}

func (l *watchedLayer) Compressed() (io.ReadCloser, error) {
	rc, err := l.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	return &watchedReader{rc, l.image}, nil
}

type watchedReader struct {
	io.ReadCloser
	image *watched
}

func (r *watchedReader) Read(buf []byte) (int, error) {
	n, err := r.ReadCloser.Read(buf)
	r.image.saw(n, err)
	return n, err
}

// tlsOnly refuses to send anything without TLS that was not allowed to go so.
// go-containerregistry falls back to plain HTTP for private addresses and names
// under .local, with the password.
type tlsOnly struct {
	base     http.RoundTripper
	registry Registry
}

func (t *tlsOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !isLoopback(req.URL.Hostname()) &&
		(!t.registry.PlainHTTP || !strings.EqualFold(req.URL.Host, t.registry.Host)) {
		return nil, fmt.Errorf("%w: %s does not answer with TLS that can be trusted", ErrPlainHTTP, req.URL.Host)
	}
	return t.base.RoundTrip(req)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
