package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/alertlab/alertlab/internal/kube"
)

// certManager asserts that cert-manager issues a certificate which is good for each of
// its names under the lab's own authority.
func (s *stack) certManager() {
	s.load("!kafka", "cert-manager-controller", "cert-manager-webhook", "cert-manager-cainjector")
	s.chart("cert-manager", "cert-manager", 3, map[string]any{"installCRDs": true})
	names := []string{"alert-stream-int.lsst.cloud"}
	for i := range 3 {
		names = append(names, fmt.Sprintf("alert-stream-int-broker-%d.lsst.cloud", i))
	}
	begun := time.Now()
	s.apply("certificates.yaml", map[string]any{"Names": names})
	s.must(s.kube.Wait(s.ctx, kube.Ref{Kind: schema.GroupVersionKind{Group: "cert-manager.io", Version: "v1", Kind: "Certificate"}, Namespace: "default", Name: "alert-broker-external-tls"}, kube.HasCondition("Ready", "True")))
	s.Logf("issued after %.1f s", time.Since(begun).Seconds())

	secret, err := s.kube.Clientset.CoreV1().Secrets("default").Get(s.ctx, "alert-broker-external-tls", metav1.GetOptions{})
	s.must(err)
	block, _ := pem.Decode(secret.Data["tls.crt"])
	if block == nil {
		s.Fatal("tls.crt of the secret holds no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	s.must(err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret.Data["ca.crt"]) {
		s.Fatal("ca.crt of the secret holds no certificate")
	}
	for _, name := range names {
		if _, err := cert.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			s.Errorf("%s: %v", name, err)
		}
	}
}
