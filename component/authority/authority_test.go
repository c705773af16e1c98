package authority_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/authority"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// fakeCluster keeps what it was given.
type fakeCluster struct {
	secrets []kube.Secret
	drift   string
	fails   error
}

func (f *fakeCluster) ApplySecrets(_ context.Context, secrets []kube.Secret) error {
	f.secrets = secrets
	return f.fails
}

func (f *fakeCluster) DeleteSecrets(context.Context, []kube.Secret) error { return f.fails }

func (f *fakeCluster) Look(context.Context, []kube.Expected) (string, error) { return f.drift, f.fails }

func TestAuthority(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("idfint")
	if err != nil {
		t.Fatal(err)
	}
	cluster := &fakeCluster{}
	part := authority.New(t.TempDir(), func() (component.SecretsAPI, error) { return cluster, nil })
	w := authority.Want(p, component.Lab{Name: "mine"}, "203.0.113.10-203.0.113.20")
	if o, err := part.Observe(t.Context(), plan.Look{Want: w}); err != nil || o.State != plan.Absent {
		t.Errorf("%+v, %v", o, err)
	}
	out, err := part.Apply(t.Context(), plan.Order{Input: w.Input})
	if err != nil {
		t.Fatal(err)
	}
	if file, err := os.ReadFile(out["ca-file"]); err != nil || string(file) != out["ca"] {
		t.Errorf("the file: %v", err)
	}
	block, _ := pem.Decode([]byte(out["ca"]))
	if block == nil {
		t.Fatalf("ca is %q", out["ca"])
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{"mine.alertlab.test", "alert-stream-int.lsst.cloud", "svc"} {
		if !slices.Contains(cert.PermittedDNSDomains, domain) {
			t.Errorf("it may sign for %v", cert.PermittedDNSDomains)
		}
	}
	if n := len(cert.PermittedIPRanges); n != 8 || cert.PermittedIPRanges[7].String() != "203.0.113.0/24" {
		t.Errorf("it may sign for %v", cert.PermittedIPRanges)
	}
	// The key is in the issuer's Secret alone, and in no plan and no output.
	if len(cluster.secrets) != 1 || cluster.secrets[0].Namespace != "cert-manager" || !strings.Contains(string(cluster.secrets[0].Data["tls.key"]), "PRIVATE KEY") ||
		string(cluster.secrets[0].Data["ca.crt"]) != out["ca"] {
		t.Errorf("%+v", cluster.secrets)
	}
	if strings.Contains(string(w.Input), "PRIVATE") {
		t.Error("the input has a key")
	}
	look := plan.Look{Want: w, Last: w.Input}
	if o, err := part.Observe(t.Context(), look); err != nil || o.State != plan.Present || o.Drift != "" {
		t.Errorf("%+v, %v", o, err)
	}
	cluster.drift = "Secret cert-manager/alertlab-authority: other values stand for ca.crt"
	if o, err := part.Observe(t.Context(), look); err != nil || !strings.Contains(o.Drift, "other values stand for ca.crt") {
		t.Errorf("%+v, %v", o, err)
	}
	again, err := part.Apply(t.Context(), plan.Order{Input: w.Input})
	if err != nil || again["ca"] != out["ca"] {
		t.Errorf("another authority, %v", err)
	}
	cluster.fails = errors.New("it does not answer")
	if _, err := part.Apply(t.Context(), plan.Order{Input: w.Input}); !errors.Is(err, cluster.fails) {
		t.Errorf("%v", err)
	}
	if _, err := part.Observe(t.Context(), look); !errors.Is(err, cluster.fails) {
		t.Errorf("%v", err)
	}
}
