package smoke

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/endpoints"
)

// ownCA gives a server's certificate for 127.0.0.1 and the file of the CA that
// clients need to trust.
func ownCA(t *testing.T) (server *tls.Config, caFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "alertlab test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, caFile
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server, caFile := ownCA(t)
	o := card()
	c, err := broker.Start(testContext(t), broker.Config{
		Nodes: []broker.Node{{ID: 3, Address: "127.0.0.1:0"}}, Bootstrap: "127.0.0.1:0",
		DataDir: t.TempDir(), Superuser: super, Password: "secret-0", TLS: server,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	o.Endpoints.Kafka = endpoints.Kafka{
		Bootstrap: c.Bootstrap(), Brokers: []endpoints.Broker{{ID: 3, Address: c.Nodes()[0].Address}},
		Security: "SASL_SSL", CAFile: caFile,
	}
	reg := httptest.NewUnstartedServer(newFakeRegistry())
	reg.TLS = server.Clone()
	reg.StartTLS()
	t.Cleanup(reg.Close)
	o = withRegistry(o, reg.URL)
	o.Endpoints.AlertDB.URL = serve(t, newFakeAlertDB())

	wantPassed(t, check(t, o, "brokers-answer"), "brokers 3")
	wantPassed(t, check(t, o, "unknown-ids"))

	// Another CA signs nothing here.
	_, o.Endpoints.Kafka.CAFile = ownCA(t)
	wantFailed(t, check(t, o, "brokers-answer"), "broker 3 at", "certificate")
	wantFailed(t, check(t, o, "unknown-ids"), "in the registry", "certificate")

	// Nor does a listener without TLS answer who speaks it.
	plain := o
	plain.Endpoints.AlertDB.URL = "https" + serve(t, http.NotFoundHandler())[len("http"):]
	wantFailed(t, check(t, plain, "unknown-ids"), "HTTP response to HTTPS client")
}
