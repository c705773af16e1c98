package node

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/alertlab/alertlab/hack/rig/node/k3s"
	"github.com/alertlab/alertlab/hack/rig/node/kubeadm"
)

func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := NewLog(&out)
	log.Info(saysServer, "level", "mine")
	log.Warn("w")
	log.Log(t.Context(), levelFatal, "kubeadm init failed")
	for _, want := range []string{`level=info msg="k3s is up and running" level=mine`, "level=warn msg=w", `level=fatal msg="kubeadm init failed"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestKubeadmFlags(t *testing.T) {
	got := kubeadmFlags("# x\nKUBELET_KUBEADM_ARGS=\"--node-ip=172.18.0.2 --node-labels=a=b,c=d\"\n")
	if !slices.Equal(got, []string{"--node-ip=172.18.0.2", "--node-labels=a=b,c=d"}) {
		t.Errorf("%q", got)
	}
	if got := kubeadmFlags("OTHER=1"); got != nil {
		t.Errorf("%q", got)
	}
}

func TestKubeletArgs(t *testing.T) {
	o, err := k3s.Parse([]string{"server", "-t", "x", "--node-label", "a=b", "--node-label=c=", "--kubelet-arg=max-pods=50", "--kubelet-arg=--x=y z"}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	got := kubeletArgs(o, netip.MustParseAddr("172.18.0.2"))
	if !slices.Equal(got, []string{"--node-ip=172.18.0.2", "--node-labels=a=b,c=", "--max-pods=50", "--x=y z"}) {
		t.Errorf("%q", got)
	}
}

func TestPodRanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeadm.conf")
	ask := func() string { return fmt.Sprint(podRanges(file)) }
	if got := ask(); got != "[10.244.0.0/16]" {
		t.Errorf("before kind has written: %s", got)
	}
	for text, want := range map[string]string{
		"kind: ClusterConfiguration\nnetworking:\n  podSubnet: \"10.9.0.0/16\"\n---\nkind: InitConfiguration\n":              "[10.9.0.0/16]",
		"kind: InitConfiguration\n---\nkind: ClusterConfiguration\nnetworking:\n  podSubnet: 10.9.0.0/16,fd00:10:244::/56\n": "[10.9.0.0/16 fd00:10:244::/56]",
		"kind: ClusterConfiguration\nnetworking: {}\n":                                                                       "[10.244.0.0/16]",
		"kind: InitConfiguration\n": "[10.244.0.0/16]",
		"kind: [\n":                 "[10.244.0.0/16]",
		"":                          "[10.244.0.0/16]",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ask(); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// admin writes a kubeconfig for a test server, whose own certificate serves as
// the client's too.
func admin(t *testing.T, s *httptest.Server, file string) {
	t.Helper()
	key := s.TLS.Certificates[0]
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	priv, err := x509.MarshalPKCS8PrivateKey(key.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.StdEncoding.EncodeToString
	text := fmt.Sprintf("clusters:\n- name: c\n  cluster: {server: %q, certificate-authority-data: %s}\nusers:\n- name: u\n  user: {client-certificate-data: %s, client-key-data: %s}\n",
		s.URL, enc(cert), enc(cert), enc(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: priv})))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAPI(t *testing.T) {
	var patch, contentType string
	var ready bool
	signed := `{"data":{"kubeconfig":"..."}}`
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /readyz":
			if !ready {
				http.Error(w, "etcd failed", http.StatusInternalServerError)
			}
		case "PATCH /api/v1/nodes/n":
			text, _ := io.ReadAll(r.Body)
			patch, contentType = string(text), r.Header.Get("Content-Type")
		case "GET /api/v1/namespaces/kube-public/configmaps/cluster-info":
			fmt.Fprint(w, signed)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "admin.conf")
	admin(t, s, file)
	config, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	a, err := config.api(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := a.ready(ctx); err == nil || !strings.Contains(err.Error(), "etcd failed") {
		t.Errorf("not ready: %v", err)
	}
	ready = true
	if err := a.ready(ctx); err != nil {
		t.Error(err)
	}
	if err := a.markServer(ctx, "n"); err != nil {
		t.Error(err)
	}
	const want = `{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":"true","node.kubernetes.io/exclude-from-external-load-balancers":null}}}`
	if patch != want || contentType != "application/merge-patch+json" {
		t.Errorf("%s %s", contentType, patch)
	}
	if err := a.node(ctx, "other"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a node that is not there: %v", err)
	}

	secrets := kubeadm.Derive("sesame")
	open := openCluster(strings.TrimPrefix(s.URL, "https://"), secrets)
	if err := open(ctx); err == nil || !strings.Contains(err.Error(), "does not know the token") {
		t.Errorf("not signed: %v", err)
	}
	signed = `{"data":{"jws-kubeconfig-` + secrets.BootstrapToken[:6] + `":"..."}}`
	if err := open(ctx); err != nil {
		t.Errorf("signed: %v", err)
	}
	if _, err := readConfig(file + "x"); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestKubeconfig(t *testing.T) {
	var c kubeConfig
	if err := yaml.Unmarshal([]byte("clusters: [{cluster: {certificate-authority-data: Q0E=, server: 'https://x:6443'}}]\nusers: [{user: {client-certificate-data: QQ==, client-key-data: Qg==}}]"), &c); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	one, two := filepath.Join(dir, "etc", "k3s.yaml"), filepath.Join(dir, "output", "kubeconfig.yaml")
	if err := writeKubeconfig(c, one, "", two); err != nil {
		t.Fatal(err)
	}
	const want = `apiVersion: v1
clusters:
    - cluster:
        certificate-authority-data: Q0E=
        server: https://127.0.0.1:6443
      name: default
contexts:
    - context:
        cluster: default
        user: default
      name: default
current-context: default
kind: Config
preferences: {}
users:
    - name: default
      user:
        client-certificate-data: QQ==
        client-key-data: Qg==
`
	for _, f := range []string{one, two} {
		text, err := os.ReadFile(f)
		if err != nil || string(text) != want {
			t.Errorf("%s: %v\n%s", f, err, text)
		}
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, info.Mode(), err)
		}
	}
}

func TestUntil(t *testing.T) {
	n := 0
	err := until(t.Context(), time.Millisecond, func(context.Context) error {
		if n++; n < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil || n != 3 {
		t.Errorf("%v after %d", err, n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	never := errors.New("never")
	if err := until(ctx, time.Millisecond, func(context.Context) error { return never }); !errors.Is(err, never) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestWords(t *testing.T) {
	run := func(ctx context.Context, args ...string) (int, string) {
		var out bytes.Buffer
		code := Main(ctx, System{Args: args, Env: func(string) string { return "" }, Out: &out, Err: &out})
		return code, out.String()
	}
	if code, out := run(t.Context(), "/bin/k3s", "etcd-snapshot"); code != 2 || !strings.Contains(out, "level=fatal") || !strings.Contains(out, "next: begin with server or agent") {
		t.Errorf("%d %s", code, out)
	}
	if code, out := run(t.Context(), "node", "plain", "agent"); code != 2 || !strings.Contains(out, "no server to join") {
		t.Errorf("%d %s", code, out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code, out := run(ctx, "node", "noop"); code != 0 || out != "" {
		t.Errorf("%d %s", code, out)
	}
}

func TestJournal(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"kubelet": "K\n", "containerd": "C\n"} {
		if err := os.WriteFile(filepath.Join(dir, name+".log"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for words, want := range map[string]string{
		"--no-pager":                    "C\nK\n",
		"--no-pager -u kubelet.service": "K\n",
		"--unit=containerd":             "C\n",
		"-u docker":                     "",
		"-u ../../etc/passwd":           "",
	} {
		var out bytes.Buffer
		if err := journal(strings.Fields(words), dir, &out); err != nil || out.String() != want {
			t.Errorf("%q: %q %v", words, out.String(), err)
		}
	}
}

func TestTail(t *testing.T) {
	if got := tail("a\n\n b \nc\n", 2); got != "b | c" {
		t.Errorf("%q", got)
	}
	if got := tail("", 2); got != "" {
		t.Errorf("%q", got)
	}
}

func TestManifestsOfAServer(t *testing.T) {
	if s := storageOf([]string{"docker.io/rancher/local-path-provisioner:v1"}, "x"); s.Provisioner != "" {
		t.Errorf("a provisioner without its helper: %+v", s)
	}
	s := storageOf([]string{"docker.io/rancher/local-path-provisioner:v1", "docker.io/rancher/local-path-helper:v2"}, "x")
	if s.Provisioner == "" || s.Helper == "" || s.Class != "x" {
		t.Errorf("%+v", s)
	}
	b := &base{log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if err := b.writeDNS(k3s.Options{ServiceCIDR: k3s.DefaultServiceCIDR}); err == nil || !strings.Contains(err.Error(), "coredns") {
		t.Errorf("no image of CoreDNS: %v", err)
	}
}
