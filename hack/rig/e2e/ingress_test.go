package e2e

import (
	"bytes"
	"crypto/rand"
	"strings"
	"time"

	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/content/buckets"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

// ingress asserts that MinIO keeps objects, as a client on the host sees it through an
// Ingress of class nginx.
func (s *stack) ingress() {
	s.load("!kafka", "minio", "traefik")
	user, password := "alertdb", secret()
	s.chart("minio", "minio", 1, map[string]any{
		"mode": "standalone", "rootUser": user, "rootPassword": password,
		"persistence": map[string]any{"storageClass": "standard", "size": "1Gi"},
		"service":     map[string]any{"type": "ClusterIP"},
	})
	s.chart("traefik", "traefik", 1, map[string]any{
		"service":      map[string]any{"spec": map[string]any{"type": "LoadBalancer"}},
		"ingressClass": map[string]any{"name": "nginx"},
		"providers":    map[string]any{"kubernetesIngressNGINX": map[string]any{"enabled": true}, "kubernetesIngress": map[string]any{"enabled": false}},
	})
	s.apply("ingress.yaml", nil)
	address := "http://" + s.serviceAddress("traefik", "traefik").String()
	client := objectstore.NewClient(objectstore.ClientConfig{Endpoint: address, AccessKey: user, SecretKey: password})
	defer client.Close()
	s.eventually(2*time.Minute, "a bucket through the ingress", func() error { return client.EnsureBucket(s.ctx, "alert-packets") })
	body := make([]byte, 80_000)
	rand.Read(body)
	s.must(client.Put(s.ctx, "alert-packets", "v2/alerts/170051/170051234.avro.gz", body))
	got, err := client.Bytes(s.ctx, "alert-packets", "v2/alerts/170051/170051234.avro.gz")
	s.must(err)
	if !bytes.Equal(got, body) {
		s.Errorf("%d bytes came back of %d, or others", len(got), len(body))
	}
	s.expires(address, user, password)
}

// expires asserts that MinIO takes the rule by which it deletes old alerts, and that the
// rule goes when it is not wanted any more.
func (s *stack) expires(url, user, password string) {
	p, err := profiles.Load("idfint")
	s.must(err)
	store := &secrets.Store{}
	store.Set(endpoints.Credentials{ObjectStore: endpoints.Keys{AccessKey: user, SecretKey: password}})
	part := buckets.New(store)
	at := map[string]map[string]string{"object-store": {"url": url, "region": "us-east-1"}}
	resolved := func(w plan.Want) []byte {
		input, err := plan.Resolve(w.Input, at)
		s.must(err)
		return input
	}
	expiring, plain := buckets.WantExpiring(p), buckets.Want(p)
	last := resolved(expiring)
	_, err = part.Apply(s.ctx, plan.Order{Input: last})
	s.must(err)
	if o, err := part.Observe(s.ctx, plan.Look{Want: expiring, Last: last}); err != nil || o.State != plan.Present || o.Drift != "" {
		s.Errorf("the buckets with their rule: %+v, %v", o, err)
	}
	client := objectstore.NewClient(objectstore.ClientConfig{Endpoint: url, AccessKey: user, SecretKey: password})
	defer client.Close()
	s.must(client.SetExpiries(s.ctx, p.AlertDatabase.AlertBucket, []objectstore.Expiry{{Prefix: "v1/alerts/", Days: 3}}))
	if o, err := part.Observe(s.ctx, plan.Look{Want: expiring, Last: last}); err != nil || !strings.Contains(o.Drift, "other rules than to delete alerts after 28 days") {
		s.Errorf("after somebody changed the rule: %+v, %v", o, err)
	}
	_, err = part.Apply(s.ctx, plan.Order{Input: resolved(plain), LastInput: last})
	s.must(err)
	if rules, err := client.Expiries(s.ctx, p.AlertDatabase.AlertBucket); err != nil || len(rules) != 0 {
		s.Errorf("rules that nobody wants: %v, %v", rules, err)
	}
}
