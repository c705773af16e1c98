package authority_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/authority"
)

// shown is the certificate that a server shows, after a whole handshake with a
// client that trusts the authority and expects host.
func shown(t *testing.T, a *authority.Authority, server *tls.Config, host string, now time.Time) (*x509.Certificate, error) {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(a.PEM()) {
		t.Fatalf("not PEM: %s", a.PEM())
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		far, err := ln.Accept()
		if err != nil {
			return // the client tells
		}
		defer far.Close()
		tls.Server(far, server).Handshake() // its error is the client's too
	}()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	client := tls.Client(near, &tls.Config{RootCAs: pool, ServerName: host, Time: func() time.Time { return now }})
	if err := client.Handshake(); err != nil {
		return nil, err
	}
	return client.ConnectionState().PeerCertificates[0], nil
}

func open(t *testing.T, folder string, now *time.Time) *authority.Authority {
	t.Helper()
	a, err := authority.Open(folder, "alertlab test", authority.Clock(func() time.Time { return *now }))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func serve(t *testing.T, a *authority.Authority, hosts ...string) *tls.Config {
	t.Helper()
	server, err := a.Server("kafka", hosts)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	now := time.Now()
	folder := filepath.Join(t.TempDir(), "tls")
	a := open(t, folder, &now)
	server := serve(t, a, "127.0.0.11", "127.0.0.10", "::1", "broker-0.example.org", "127.0.0.10")
	for _, host := range []string{"127.0.0.10", "127.0.0.11", "[::1]", "broker-0.example.org"} {
		if _, err := shown(t, a, server, host, now); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	var unknown x509.HostnameError
	if _, err := shown(t, a, server, "127.0.0.12", now); !errors.As(err, &unknown) {
		t.Errorf("a host that is not named: %v", err)
	}
	if _, err := a.Server("kafka", nil); err == nil {
		t.Error("a certificate for nobody")
	}
	// Another authority is not trusted.
	other := open(t, t.TempDir(), &now)
	var untrusted x509.UnknownAuthorityError
	if _, err := shown(t, other, server, "127.0.0.10", now); !errors.As(err, &untrusted) {
		t.Errorf("with another authority: %v", err)
	}

	info, err := os.Stat(folder)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	for file, mode := range map[string]os.FileMode{"ca.key": 0o600, "kafka.key": 0o600, "ca.pem": 0o644} {
		info, err := os.Stat(filepath.Join(folder, file))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if public, err := os.ReadFile(a.File()); err != nil || !bytes.Equal(public, a.PEM()) || bytes.Contains(public, []byte("PRIVATE")) {
		t.Errorf("%s: %v", public, err)
	}
}

func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	now := time.Now()
	folder := t.TempDir()
	first := open(t, folder, &now)
	before, err := shown(t, first, serve(t, first, "127.0.0.10", "a.example.org"), "127.0.0.10", now)
	if err != nil {
		t.Fatal(err)
	}
	// A crash may have come between the two files.
	if err := os.Remove(first.File()); err != nil {
		t.Fatal(err)
	}
	a := open(t, folder, &now)
	if !bytes.Equal(a.PEM(), first.PEM()) {
		t.Error("the authority is another one")
	}
	if _, err := os.Stat(a.File()); err != nil {
		t.Error(err)
	}
	same := func(hosts ...string) bool {
		cert, err := shown(t, a, serve(t, a, hosts...), hosts[0], now)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Equal(cert.Raw, before.Raw)
	}
	if !same("a.example.org", "127.0.0.10") {
		t.Error("the certificate is another one, for the same hosts")
	}
	if same("127.0.0.10", "b.example.org") {
		t.Error("the certificate is the same, for other hosts")
	}
	// What cannot be read is made anew.
	if err := os.WriteFile(filepath.Join(folder, "kafka.key"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if same("127.0.0.10", "a.example.org") {
		t.Error("a certificate from a file that was destroyed")
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Now()
	start := now
	folder := t.TempDir()
	a := open(t, folder, &now)
	server := serve(t, a, "127.0.0.10")
	look := func() *x509.Certificate {
		t.Helper()
		cert, err := shown(t, a, server, "127.0.0.10", now)
		if err != nil {
			t.Fatalf("%v after the start: %v", now.Sub(start), err)
		}
		return cert
	}
	first := look()
	for _, step := range []struct {
		at   time.Duration
		same bool
	}{{59 * day, true}, {61 * day, false}, {200 * day, false}, {-100 * day, false}} {
		now = start.Add(step.at)
		if got := bytes.Equal(look().Raw, first.Raw); got != step.same {
			t.Errorf("%v after the start the certificate is the same: %t", step.at, got)
		}
	}
	// An authority that would not outlive the next certificate is replaced.
	now = start.Add(3570 * day)
	if next := open(t, folder, &now); bytes.Equal(next.PEM(), a.PEM()) {
		t.Error("the authority is the same when it is about to expire")
	} else if _, err := shown(t, next, serve(t, next, "127.0.0.10"), "127.0.0.10", now); err != nil {
		t.Errorf("under the new authority: %v", err)
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	now := time.Now()
	folder := t.TempDir()
	open(t, folder, &now)
	path := filepath.Join(folder, "ca.key")
	if err := os.WriteFile(path, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := authority.Open(folder, "alertlab test")
	var bad *authority.FileError
	if !errors.As(err, &bad) || bad.File != path || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "not a key" {
		t.Errorf("it was replaced: %s, %v", text, err)
	}
}

// What is issued to a peer is the same until it is for others or of another authority.
func TestIssue(t *testing.T) {
	t.Parallel()
	now := time.Now()
	folder := filepath.Join(t.TempDir(), "tls")
	a := open(t, folder, &now)
	cert, key, err := a.Issue("broker-0", "broker-0.example.org", "127.0.0.10")
	if err != nil {
		t.Fatal(err)
	}
	both, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := both.Leaf
	if leaf.Subject.String() != "CN=broker-0" || leaf.NotAfter.Before(now.AddDate(9, 0, 0)) {
		t.Errorf("%s until %v", leaf.Subject, leaf.NotAfter)
	}
	if _, err := shown(t, a, &tls.Config{Certificates: []tls.Certificate{both}}, "broker-0.example.org", now.AddDate(9, 0, 0)); err != nil {
		t.Error(err)
	}
	for what, test := range map[string]struct {
		a     *authority.Authority
		hosts []string
		same  bool
	}{
		"again":          {a, []string{"127.0.0.10", "broker-0.example.org"}, true},
		"opened again":   {open(t, folder, &now), []string{"broker-0.example.org", "127.0.0.10"}, true},
		"of another one": {open(t, t.TempDir(), &now), []string{"127.0.0.10", "broker-0.example.org"}, false},
	} {
		got, _, err := test.a.Issue("broker-0", test.hosts...)
		if err != nil || bytes.Equal(got, cert) != test.same {
			t.Errorf("%s: the same %v, %v", what, !test.same, err)
		}
	}
	if got, _, err := a.Issue("broker-0", "elsewhere.example.org"); err != nil || bytes.Equal(got, cert) {
		t.Errorf("for another host: %v", err)
	}
	if info, err := os.Stat(filepath.Join(folder, "broker-0.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
