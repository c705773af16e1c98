package e2e

import (
	"bytes"
	"crypto/rand"
	"time"

	"github.com/alertlab/alertlab/alerts/objectstore"
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
		"service":      map[string]any{"type": "LoadBalancer"},
		"ingressClass": map[string]any{"name": "nginx"},
		"providers":    map[string]any{"kubernetesIngressNGINX": map[string]any{"enabled": true}, "kubernetesIngress": map[string]any{"enabled": false}},
	})
	s.apply("ingress.yaml", nil)
	client := objectstore.NewClient(objectstore.ClientConfig{Endpoint: "http://" + s.serviceAddress("traefik", "traefik").String(), AccessKey: user, SecretKey: password})
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
}
