package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// How long things are valid. A server's certificate has the 90 days of cert-manager
// and Let's Encrypt, and is renewed when a third of them is left, as theirs are. The
// authority outlives a lab; that it is valid from a year ago on lets a machine's
// clock be set back without every client losing its trust.
const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	authorityBefore = 365 * 24 * time.Hour
	serverLife      = 90 * 24 * time.Hour
	serverBefore    = time.Hour
	renewAt         = serverLife / 3
)

// Names of the files. The private one holds the key and the certificate, so that a
// crash cannot leave one without the other; the public one is made from it.
const (
	privateFile = "ca.key"
	publicFile  = "ca.pem"
)

// FileError says which file of the folder cannot be used.
type FileError struct {
	File string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("%s: %v", e.File, e.Err) }

// Unwrap gives the reason.
func (e *FileError) Unwrap() error { return e.Err }

// Authority is a certificate authority. Its methods may be called from any
// goroutine.
type Authority struct {
	folder string
	pair   pair
	now    func() time.Time
	log    *slog.Logger

	domains  []string // that it may sign for; nil: all
	networks []*net.IPNet
}

// pair is a private key with its certificate.
type pair struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// Option changes how an Authority is opened.
type Option func(*Authority)

// Clock gives another clock than the system's.
func Clock(now func() time.Time) Option { return func(a *Authority) { a.now = now } }

// Only limits what the authority may sign for: host names that are one of domains or
// below it, and addresses of networks (RFC 5280, name constraints). Whoever trusts it
// trusts it for no others. An authority that is there and may not sign for one of
// domains is made anew.
func Only(domains []string, networks []*net.IPNet) Option {
	return func(a *Authority) { a.domains, a.networks = slices.Clone(domains), networks }
}

// Log says who is told of certificates that are made; without it nobody is.
func Log(log *slog.Logger) Option { return func(a *Authority) { a.log = log } }

// Open opens the authority in folder, and makes it, under the common name, where
// there is none or where it is about to expire. The folder gets mode 0700, the file
// with the key 0600. A file that is there and cannot be read is a *FileError: clients
// trust that authority, so it is never replaced silently.
func Open(folder, name string, options ...Option) (*Authority, error) {
	a := &Authority{folder: folder, now: time.Now, log: slog.New(slog.DiscardHandler)}
	for _, o := range options {
		o(a)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, privateFile)
	known, err := readPair(path)
	switch now := a.now(); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case a.covered(known.cert) && now.After(known.cert.NotBefore) && now.Add(serverLife).Before(known.cert.NotAfter):
		a.pair = *known
		return a, a.publish()
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"alertlab"}, CommonName: name},
		NotBefore: a.now().Add(-authorityBefore), NotAfter: a.now().Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage:            x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomains: a.domains, PermittedIPRanges: a.networks, PermittedDNSDomainsCritical: len(a.domains) > 0,
	}
	if err := a.make(template, nil, &a.pair); err != nil {
		return nil, err
	}
	a.log.Info("certificate authority made", "name", name, "until", a.pair.cert.NotAfter)
	if err := a.pair.write(path); err != nil {
		return nil, err
	}
	return a, a.publish()
}

// covered says whether an authority may sign for all that this one should.
func (a *Authority) covered(cert *x509.Certificate) bool {
	for _, domain := range a.domains {
		// A name below one that is permitted is permitted (RFC 5280, section 4.2.1.10).
		if !slices.ContainsFunc(cert.PermittedDNSDomains, func(has string) bool { return domain == has || strings.HasSuffix(domain, "."+has) }) {
			return false
		}
	}
	for _, n := range a.networks {
		if !slices.ContainsFunc(cert.PermittedIPRanges, func(has *net.IPNet) bool { return has.String() == n.String() }) {
			return false
		}
	}
	return true
}

// Pair gives the certificate and the private key as PEM, for another issuer of the
// same authority.
func (a *Authority) Pair() (cert, key []byte, err error) { return a.pair.pem() }

// publish writes the certificate that clients trust, unless it is there.
func (a *Authority) publish() error {
	if have, err := os.ReadFile(a.File()); err == nil && bytes.Equal(have, a.PEM()) {
		return nil
	}
	return write(a.File(), a.PEM(), 0o644)
}

// File is the path of the certificate that clients trust, as PEM.
func (a *Authority) File() string { return File(a.folder) }

// File is the path at which an authority in a folder keeps the certificate that clients
// trust, whether there is one or not.
func File(folder string) string { return filepath.Join(folder, publicFile) }

// PEM is the certificate that clients trust.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.pair.cert.Raw})
}

// Server gives the TLS configuration of a server that is known by hosts, host names
// and IP addresses, under one certificate: that of an earlier call with the same
// name and hosts while it is good, else a new one. It is renewed at the handshake
// that finds it old, so that a server may run for as long as it likes.
func (a *Authority) Server(name string, hosts []string) (*tls.Config, error) {
	s := &server{authority: a, name: name, hosts: slices.Clone(hosts), path: filepath.Join(a.folder, name+".key")}
	slices.Sort(s.hosts)
	s.hosts = slices.Compact(s.hosts)
	if len(s.hosts) == 0 {
		return nil, errors.New("a certificate for no host")
	}
	// A certificate that cannot be read is worth nothing to anybody: a new one is as
	// good.
	if p, err := readPair(s.path); err == nil && s.covers(p.cert) {
		s.pair = *p
	}
	if _, err := s.current(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12, // Kafka's ssl.enabled.protocols: TLSv1.2, TLSv1.3
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.current() },
	}, nil
}

type server struct {
	authority *Authority
	name      string
	hosts     []string // sorted, each once
	path      string

	mu   sync.Mutex
	pair pair // without certificate until there is one
}

// covers says whether a certificate is of this authority and for exactly these
// hosts.
func (s *server) covers(cert *x509.Certificate) bool {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	slices.Sort(names)
	wanted := make([]string, len(s.hosts))
	for i, h := range s.hosts {
		wanted[i] = h
		if ip := net.ParseIP(h); ip != nil {
			wanted[i] = ip.String()
		}
	}
	slices.Sort(wanted)
	return slices.Equal(names, wanted) && cert.CheckSignatureFrom(s.authority.pair.cert) == nil
}

// current is the certificate to show, made anew when the one at hand is old.
func (s *server) current() (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.authority.now()
	if c := s.pair.cert; c == nil || now.Before(c.NotBefore) || now.Add(renewAt).After(c.NotAfter) {
		if err := s.renew(now); err != nil {
			return nil, fmt.Errorf("certificate of %s: %w", s.name, err)
		}
	}
	return &tls.Certificate{Certificate: [][]byte{s.pair.cert.Raw}, PrivateKey: s.pair.key, Leaf: s.pair.cert}, nil
}

func (s *server) renew(now time.Time) error {
	template := s.template(now.Add(-serverBefore), now.Add(serverLife), x509.ExtKeyUsageServerAuth)
	var fresh pair
	if err := s.authority.make(template, &s.authority.pair, &fresh); err != nil {
		return err
	}
	s.authority.log.Info("certificate made", "name", s.name, "hosts", s.hosts, "until", template.NotAfter)
	// A folder that cannot be written to, as on a full disk, must not keep clients
	// out: the certificate holds for as long as this process.
	if err := fresh.write(s.path); err != nil {
		s.authority.log.Error("certificate not kept", "name", s.name, "err", err)
	}
	s.pair = fresh
	return nil
}

// template is the certificate of the server before it is signed.
func (s *server) template(from, until time.Time, usages ...x509.ExtKeyUsage) *x509.Certificate {
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"alertlab"}, CommonName: s.name},
		NotBefore: from, NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: usages,
	}
	for _, h := range s.hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, h)
	}
	return template
}

// Issue gives a certificate and its private key, as PEM, for who is known by hosts, and
// who is name where it logs in as a client: that of an earlier call with the same name
// and hosts, while it is this authority's, else a new one. It is valid for as long as the
// authority, since whoever holds it is not given another one.
func (a *Authority) Issue(name string, hosts ...string) (cert, key []byte, err error) {
	s := &server{authority: a, name: name, hosts: slices.Sorted(slices.Values(hosts)), path: filepath.Join(a.folder, name+".key")}
	s.hosts = slices.Compact(s.hosts)
	issued, err := readPair(s.path)
	if err != nil || !s.covers(issued.cert) || issued.cert.Subject.CommonName != name {
		template := s.template(a.pair.cert.NotBefore, a.pair.cert.NotAfter, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
		// Kafka takes who a client is from the whole name.
		template.Subject.Organization = nil
		issued = &pair{}
		if err := a.make(template, &a.pair, issued); err != nil {
			return nil, nil, err
		}
		if err := issued.write(s.path); err != nil {
			return nil, nil, err
		}
	}
	return issued.pem()
}

// make signs a new key by parent, or by itself without one.
func (a *Authority) make(template *x509.Certificate, parent, into *pair) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	signer, issuer := key, template
	if parent != nil {
		signer, issuer = parent.key, parent.cert
	}
	// Without a number in the template Go draws a random one.
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	*into = pair{key, cert}
	return nil
}

func readPair(path string) (*pair, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	both, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, &FileError{path, err}
	}
	key, ok := both.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, &FileError{path, errors.New("the key is not of ECDSA")}
	}
	return &pair{key, both.Leaf}, nil
}

// pem gives both as PEM, the key in PKCS #8.
func (p pair) pem() (cert, key []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func (p pair) write(path string) error {
	cert, key, err := p.pem()
	if err != nil {
		return err
	}
	return write(path, append(key, cert...), 0o600)
}

// write replaces a file so that a crash leaves the old or the new one, whole.
func write(path string, text []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".write-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}
