package cmd

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/lab/fault"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func withEnv(env map[string]string) *app {
	return &app{err: io.Discard, getenv: func(name string) string { return env[name] }}
}

// TestPrivateAuthorities: a store and a registry whose certificates a private authority
// has signed are reached with that authority's file, and not without it.
func TestPrivateAuthorities(t *testing.T) {
	var keys []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Authorization"))
		if strings.HasPrefix(r.URL.Path, "/schemas/ids/") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"schema":"\"long\""}`)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `<Error><Code>NoSuchKey</Code><Message>none</Message></Error>`)
	}))
	defer server.Close()
	ca := write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	a := withEnv(map[string]string{"AWS_SECRET_ACCESS_KEY": "from the environment"})
	for _, file := range []string{ca, ""} {
		var m mistakes
		s := &storeFlags{endpoint: server.URL, region: "us-east-1", pathStyle: true, ca: file, accessKeyFile: write(t, "from-a-file\n"),
			alertBucket: "alerts", schemaBucket: "schemas", endpointFlag: "s3-endpoint", alertFlag: "alert-bucket", schemaFlag: "schema-bucket"}
		cfg := s.client(a, &m)
		schemas := registryClient(&m, "registry", server.URL, "registry-ca", file)
		if len(m) > 0 {
			t.Fatal(m)
		}
		if cfg.AccessKey != "from-a-file" || cfg.SecretKey != "from the environment" {
			t.Errorf("keys %q, %q", cfg.AccessKey, cfg.SecretKey)
		}
		objects := objectstore.NewClient(cfg)
		_, err := objects.Get(context.Background(), "alerts", "k")
		objects.Close()
		if trusted := errors.Is(err, objectstore.ErrNotFound); trusted != (file != "") {
			t.Errorf("CA %q: the store gives %v", file, err)
		}
		text, err := schemas.SchemaByID(context.Background(), 704)
		if trusted := err == nil && text == `"long"`; trusted != (file != "") {
			t.Errorf("CA %q: the registry gives %q, %v", file, text, err)
		}
	}
	if len(keys) != 2 || !strings.Contains(keys[0], "Credential=from-a-file/") {
		t.Errorf("what was asked: %q", keys)
	}
}

// TestKafkaFlags: flags stand before the environment, a password comes from a file or
// the environment alone, and all that is wrong is said.
func TestKafkaFlags(t *testing.T) {
	env := map[string]string{"KAFKA_BOOTSTRAP_SERVERS": "env:9094", "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_USERNAME": "somebody", "KAFKA_PASSWORD": "secret"}
	var m mistakes
	login := (&kafkaFlags{}).login(withEnv(env), &m)
	if len(m) > 0 || login.Bootstrap[0] != "env:9094" || login.User != "somebody" || login.Password != "secret" || login.TLS != nil {
		t.Errorf("of the environment: %+v, %v", login.Bootstrap, m)
	}
	login = (&kafkaFlags{bootstrap: "a:1,b:2", protocol: "SASL_SSL", user: "me", passwordFile: write(t, "other\r\n")}).login(withEnv(env), &m)
	if len(m) > 0 || len(login.Bootstrap) != 2 || login.User != "me" || login.Password != "other" || login.TLS == nil {
		t.Errorf("of the flags: %v, user %s, %v", login.Bootstrap, login.User, m)
	}
	(&kafkaFlags{bootstrap: "a:1", passwordFile: write(t, "\n")}).login(withEnv(env), &m)
	// A certificate alone asks for TLS.
	(&kafkaFlags{bootstrap: "a:1", certificate: "alone", key: "alone"}).login(withEnv(nil), &m)
	(&kafkaFlags{bootstrap: "a", protocol: "SSL", certificate: "nowhere", key: "nowhere"}).login(withEnv(nil), &m)
	(&kafkaFlags{bootstrap: "a:1", certificate: "c", key: "k"}).login(withEnv(nil), &m) // SSL is meant
	(&kafkaFlags{bootstrap: "a:1", protocol: "PLAINTEXT", certificate: "c", key: "k"}).login(withEnv(nil), &m)
	(&kafkaFlags{bootstrap: "a:1", certificate: "c", key: "k"}).login(withEnv(env), &m) // where the environment says SASL_PLAINTEXT
	(&kafkaFlags{}).login(withEnv(nil), &m)
	for _, want := range []string{" is empty", "--client-cert, --client-key: open alone", "--client-cert, --client-key: open nowhere", "--bootstrap: address a: missing port", "--client-cert, --client-key: open c",
		"--client-cert, --client-key: they are for SSL", "--bootstrap is not given, and KAFKA_BOOTSTRAP_SERVERS is not set"} {
		if !strings.Contains(strings.Join(m, "\n"), want) {
			t.Errorf("%q is not said: %q", want, m)
		}
	}
	var f *fault.Fault
	if err := m.fault(&cobra.Command{Use: "x"}); !errors.As(err, &f) || f.Code != fault.BadInput || f.Next != "x --help" {
		t.Errorf("%v", err)
	}
}

// TestAbbreviations: any beginning of a flag's name that no other flag has.
func TestAbbreviations(t *testing.T) {
	c := withEnv(nil).called("alertdb-ingester")
	if err := c.ParseFlags([]string{"--kafka-topic", "a,b", "--endpoint=http://x", "--verb"}); err != nil {
		t.Fatal(err)
	}
	if got := c.Flags().Lookup("kafka-topics").Value.String(); got != "a,b" {
		t.Errorf("kafka-topics is %q", got)
	}
	if err := c.ParseFlags([]string{"--kafka", "x"}); err == nil {
		t.Error("a beginning that several flags have was taken")
	}
}

func TestParseAge(t *testing.T) {
	for text, hours := range map[string]float64{"28d": 672, "36h": 36, "90m": 1.5, "1d": 24, "": 0, "d": 0, "-1d": 0, "0d": 0, "1w": 0, "1.5d": 0, "99999999d": 0, "-3h": 0, "1h1d": 0} {
		got, err := parseAge(text)
		if (err == nil) != (hours > 0) || err == nil && got.Hours() != hours {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// TestReferenceDefaults: those of the observatory's programs, as its manuals have them.
func TestReferenceDefaults(t *testing.T) {
	for program, defaults := range map[string]map[string]string{
		"alertdb-ingester": {
			"endpoint-url": "", "bucket-alerts": "alerts", "bucket-schemas": "schema", "kafka-host": "usdf-alert-stream-dev.lsst.cloud:9094",
			"kafka-topics": "lsst-alerts-v7.4,lsst-alerts-v9.0", "kafka-group": "alertdb-ingester", "kafka-auth-mechanism": "scram", "kafka-username": "kafka-admin",
			"tls-client-key-location": "", "tls-client-crt-location": "", "tls-server-ca-crt-location": "",
			"schema-registry-address": "https://usdf-alert-schemas-dev.slac.stanford.edu", "verbose": "false", "debug": "false",
			"message-timeout": "1800", "log-check-timeout": "3600", "prefix-idle-timeout": "300", "max-logged-prefixes": "30",
		},
		"alertdb": {
			"listen-host": "127.0.0.1", "listen-port": "5000", "backend": "local-files", "local-file-root": "", "endpoint-url": "",
			"bucket-alerts": "alert-packets", "bucket-schemas": "alert-schemas", "verbose": "false", "debug": "false",
		},
	} {
		c := withEnv(nil).called(program)
		for name, want := range defaults {
			if f := c.Flags().Lookup(name); f == nil || f.DefValue != want {
				t.Errorf("%s --%s: %+v, want %q", program, name, f, want)
			}
		}
	}
}
