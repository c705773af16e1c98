package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/internal/kube"
)

// byOwnCertificate is byCertificate with the lab's own certificates, of the profile ci.
func (l *lab) byOwnCertificate(k *kube.Client) {
	l.Helper()
	l.byCertificate(k, "strimzi.io/name=alert-broker-kafka", "antares", "alerts-simulated", "alert-broker-kafka-brokers", "alert-broker-kafka-0")
	antares, err := k.Clientset.CoreV1().Secrets("alert-stream-broker").Get(l.ctx, "antares", metav1.GetOptions{})
	l.must(err)
	if conf := string(antares.Data["sasl.jaas.config"]); !strings.Contains(conf, `username="antares"`) {
		l.Errorf("sasl.jaas.config is another's: %d bytes", len(conf))
	}
}

// byCertificate logs in at the listeners of the inside as a client of the cluster would:
// with what stands in the Secrets, at one of the pods that are chosen. A user is let in as itself and sees its topic alone,
// whoever shows no certificate is not, and who shows a broker's neither.
func (l *lab) byCertificate(k *kube.Client, pods, user, topic, brokers, broker string) {
	l.Helper()
	secret := func(name string) map[string][]byte {
		s, err := k.Clientset.CoreV1().Secrets("alert-stream-broker").Get(l.ctx, name, metav1.GetOptions{})
		l.must(err)
		return s.Data
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(secret("alert-broker-cluster-ca-cert")["ca.crt"]) {
		l.Fatal("alert-broker-cluster-ca-cert holds no certificate")
	}
	shown := func(name, cert, key string) []tls.Certificate {
		pair, err := tls.X509KeyPair(secret(name)[cert], secret(name)[key])
		l.must(err)
		return []tls.Certificate{pair}
	}
	for _, port := range []int{9092, 9093} {
		address, _, closeIt, err := k.Forward(l.ctx, "alert-stream-broker", pods, port)
		l.must(err)
		topics := func(certificates []tls.Certificate) ([]string, error) {
			// Brokers announce names of the cluster: each of them is at the forwarded port.
			dialer := &tls.Dialer{Config: &tls.Config{RootCAs: trusted, Certificates: certificates, ServerName: "alert-broker-kafka-bootstrap.alert-stream-broker.svc"}}
			client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.RetryTimeout(5*time.Second), kgo.RequestRetries(1),
				kgo.Dialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
					return dialer.DialContext(ctx, network, address)
				}))
			if err != nil {
				return nil, err
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(l.ctx, 10*time.Second)
			defer cancel()
			list, err := kadm.NewClient(client).ListTopics(ctx)
			return list.Names(), err
		}
		if names, err := topics(shown(user, "user.crt", "user.key")); err != nil || !slices.Equal(names, []string{topic}) {
			l.Errorf("at %d %s sees the topics %v, %v", port, user, names, err)
		}
		if names, err := topics(nil); err == nil {
			l.Errorf("at %d who shows no certificate sees the topics %v", port, names)
		}
		if names, err := topics(shown(brokers, broker+".crt", broker+".key")); err == nil {
			l.Errorf("at %d a broker's certificate lets in as a client: %v", port, names)
		}
		closeIt()
	}
}
