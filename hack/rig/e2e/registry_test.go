package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/google/go-containerregistry/pkg/registry"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/internal/kube"
)

// serveRegistry serves an OCI registry over TLS on every address of this machine, its
// content on the disk, under an authority of its own, until the test ends: to be called by
// the name that k3d has for this machine, or by the addresses.
func serveRegistry(t *testing.T, addresses ...net.IP) (port string, ca []byte) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "registry"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: addresses, DNSNames: []string{hostName},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(err)
	listener, err := tls.Listen("tcp", ":0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	must(err)
	quiet := log.New(io.Discard, "", 0)
	blobs := registry.NewDiskBlobHandler(t.TempDir())
	server := &http.Server{Handler: registry.New(registry.Logger(quiet), registry.WithBlobHandler(blobs)), ErrorLog: quiet, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	_, port, err = net.SplitHostPort(listener.Addr().String())
	must(err)
	return port, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// A site's registry takes a bundle, and the nodes of a cluster that is there pull all that
// a lab runs from it, over TLS and by the site's authority.
func TestLabFromRegistry(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	docker, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer docker.Close()
	made := plainCluster(t, ctx, docker, "e2e-registry")
	l, state := newLab(t, ctx, "e2epull", "ALERTLAB_PROFILE=ci", "ALERTLAB_PROVIDER=existing", "KUBECONFIG="+made.KubeconfigFile, "ALERTLAB_CONTEXT=rig-e2e-registry")
	k, err := kube.New(made.Kubeconfig)
	l.must(err)

	in, err := docker.NetworkInspect(ctx, made.Network, network.InspectOptions{})
	l.must(err)
	gateway := in.IPAM.Config[0].Gateway
	port, ca := serveRegistry(t, net.ParseIP(gateway))
	host := net.JoinHostPort(gateway, port)
	site := filepath.Join(t.TempDir(), "site-ca.pem")
	l.must(os.WriteFile(site, ca, 0o600))
	for _, n := range made.Nodes {
		// Where containerd looks for the authorities of a registry.
		var trusted bytes.Buffer
		l.must(archive(&trusted, map[string]string{"etc/containerd/certs.d/" + host + "/ca.crt": string(ca)}))
		l.must(docker.CopyToContainer(ctx, n.Name(), "/", &trusted, container.CopyToContainerOptions{}))
	}

	bundled := need(t, "ALERTLAB_RIG_BUNDLE")
	l.timed("bundle push", "bundle", "push", "--file", bundled, "--ca", site, host+"/site", "--progress", "plain")
	if again := l.run(0, "bundle", "push", "--file", bundled, "--ca", site, host+"/site", "--progress", "plain"); !strings.Contains(again, "alertlab up --provider existing --registry "+host+"/site") {
		t.Errorf("the second push:\n%s", again)
	}
	l.run(0, "doctor", "--registry", host+"/site")
	l.timed("up", "up", "--progress", "plain", "--registry", host+"/site")
	pods, err := k.Clientset.CoreV1().Pods("alert-stream-broker").List(ctx, metav1.ListOptions{})
	l.must(err)
	for _, pod := range pods.Items {
		for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
			if !strings.HasPrefix(c.Image, host+"/site/") {
				t.Errorf("%s of %s runs %s", c.Name, pod.Name, c.Image)
			}
		}
	}
	if len(pods.Items) < 6 {
		t.Errorf("there are %d pods", len(pods.Items))
	}
	l.smoke("smoke")
	l.ends(state)
}
