package program_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/component/program"
	"github.com/alertlab/alertlab/lab/authority"
)

// The registry hands out every chart of this program over TLS, byte for byte, and what
// an earlier version left in its folder; it takes nothing.
func TestCharts(t *testing.T) {
	t.Parallel()
	ca, err := authority.Open(filepath.Join(t.TempDir(), "tls"), "alertlab test")
	if err != nil {
		t.Fatal(err)
	}
	conf, err := ca.Server("registry", []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := conf.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// What an earlier version left.
	old, err := charts.Load("kafka")
	if err != nil {
		t.Fatal(err)
	}
	earlier := strings.ReplaceAll(string(old.Files["Chart.yaml"]), old.Version, "0.0.9+0123456789ab")
	archive, err := (&charts.Chart{Name: "kafka", Files: map[string][]byte{"Chart.yaml": []byte(earlier)}}).Archive()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "kafka-0.0.9+0123456789ab.tgz"), archive, 0o644); err != nil {
		t.Fatal(err)
	}
	address := free(t)
	p := program.Charts{Common: common(t), Listen: address, Folder: folder,
		Certificate: file("tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})),
		Key:         file("tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	serves(t, client, "https://"+address+"/v2/")
	for _, chart := range charts.Names() {
		c, err := charts.Load(chart)
		if err != nil {
			t.Fatal(err)
		}
		want, err := c.Archive()
		if err != nil {
			t.Fatal(err)
		}
		if got := pulled(t, transport, address, chart, c.Version); got != string(want) {
			t.Errorf("chart %s: %d bytes, and not %d", chart, len(got), len(want))
		}
	}
	if got := pulled(t, transport, address, "kafka", "0.0.9+0123456789ab"); got != string(archive) {
		t.Errorf("the earlier chart has %d bytes, and not %d", len(got), len(archive))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, "https://"+address+"/v2/charts/kafka/manifests/0.0.9_0123456789ab", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %s", response.Status)
	}
	if err := (program.Charts{Common: p.Common, Folder: filepath.Join(folder, "none")}).Run(t.Context()); err == nil {
		t.Error("a folder that is not there was served")
	}
}

// serves waits until a URL answers.
func serves(t *testing.T, client *http.Client, url string) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if response, err := client.Get(url); err == nil {
			response.Body.Close()
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s never answered", url)
		}
	}
}

// pulled is the archive of a chart, as Helm asks for it.
func pulled(t *testing.T, transport http.RoundTripper, address, chart, version string) string {
	t.Helper()
	ref, err := name.NewTag(address + "/charts/" + chart + ":" + strings.ReplaceAll(version, "+", "_"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref, remote.WithTransport(transport))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	r, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}
