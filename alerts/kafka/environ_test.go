package kafka_test

import (
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/kafka"
)

func TestFromEnviron(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, text := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "text")
	server := httptest.NewTLSServer(nil)
	server.Close()
	write(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	write(t, text, []byte("no certificate"))

	for name, c := range map[string]struct {
		env       map[string]string
		bootstrap string
		want      kafka.Login // without TLS
		tls       bool
		problems  []string
	}{
		"as alertlab env prints it": {
			env: map[string]string{"KAFKA_BOOTSTRAP_SERVERS": "a:9094,b:9094", "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
				"KAFKA_USERNAME": "antares", "KAFKA_PASSWORD": "p", "SSL_CA_FILE": ca},
			want: kafka.Login{Bootstrap: []string{"a:9094", "b:9094"}, User: "antares", Password: "p"}, tls: true,
		},
		"protocol by what is there": {
			env:  map[string]string{"KAFKA_BOOTSTRAP_SERVERS": "a:9094", "KAFKA_USERNAME": "antares", "KAFKA_PASSWORD": "p"},
			want: kafka.Login{Bootstrap: []string{"a:9094"}, User: "antares", Password: "p"},
		},
		"a flag before the environment": {
			env: map[string]string{"KAFKA_BOOTSTRAP_SERVERS": "a:9094", "SSL_CA_FILE": ca}, bootstrap: " b:9092 ,",
			want: kafka.Login{Bootstrap: []string{"b:9092"}}, tls: true,
		},
		"no login where the protocol has none": {
			env:  map[string]string{"KAFKA_BOOTSTRAP_SERVERS": "a:9092", "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", "KAFKA_USERNAME": "antares", "KAFKA_PASSWORD": "p"},
			want: kafka.Login{Bootstrap: []string{"a:9092"}},
		},
		"all problems at once": {
			env: map[string]string{"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "PLAIN", "SSL_CA_FILE": text},
			problems: []string{"KAFKA_BOOTSTRAP_SERVERS is not set", `KAFKA_SASL_MECHANISM is "PLAIN"`, "KAFKA_USERNAME is not set", "KAFKA_PASSWORD is not set",
				"SSL_CA_FILE: " + text + " holds no certificate"},
		},
		"a protocol that Kafka does not have": {
			env:      map[string]string{"KAFKA_BOOTSTRAP_SERVERS": "a:9092", "KAFKA_SECURITY_PROTOCOL": "tls"},
			problems: []string{`KAFKA_SECURITY_PROTOCOL is "tls"`},
		},
		"a CA that is not there": {
			env:      map[string]string{"KAFKA_BOOTSTRAP_SERVERS": "a:9092", "KAFKA_SECURITY_PROTOCOL": "SSL", "SSL_CA_FILE": filepath.Join(dir, "absent")},
			problems: []string{"SSL_CA_FILE: "},
		},
	} {
		got, err := kafka.FromEnviron(func(key string) string { return c.env[key] }, c.bootstrap)
		var e *kafka.EnvironError
		if len(c.problems) > 0 {
			if !errors.As(err, &e) || len(e.Problems) != len(c.problems) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for i, p := range c.problems {
				if !strings.HasPrefix(e.Problems[i], p) {
					t.Errorf("%s: problem %q, want %q", name, e.Problems[i], p)
				}
			}
			continue
		}
		if err != nil || !slices.Equal(got.Bootstrap, c.want.Bootstrap) || got.User != c.want.User || got.Password != c.want.Password || (got.TLS != nil) != c.tls {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := kafka.TLS(ca, "cert.pem", ""); err == nil {
		t.Error("a certificate without a key was taken")
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
