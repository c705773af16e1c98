package secrets_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/authority"
	"github.com/alertlab/alertlab/lab/secrets"
)

func TestStore(t *testing.T) {
	t.Parallel()
	var s secrets.Store
	if _, err := s.Password("alerce"); err == nil {
		t.Error("an empty store has a password")
	}
	if _, err := s.ObjectStore(); err == nil {
		t.Error("an empty store has a key pair")
	}
	s.Set(endpoints.Credentials{Kafka: map[string]string{"alerce": "hunter2", "empty": ""}, ObjectStore: endpoints.Keys{AccessKey: "a", SecretKey: "hunter3"}})
	if p, err := s.Password("alerce"); err != nil || p != "hunter2" {
		t.Errorf("got %q, %v", p, err)
	}
	// An empty password would be no login at all.
	for _, user := range []string{"empty", "fink"} {
		if _, err := s.Login("127.0.0.10:9094", user); err == nil || !strings.Contains(err.Error(), user) {
			t.Errorf("%s: %v", user, err)
		}
	}
	login, err := s.Login("127.0.0.10:9094", "alerce")
	if err != nil || login.User != "alerce" || login.Password != "hunter2" || login.Bootstrap[0] != "127.0.0.10:9094" {
		t.Errorf("got user %q at %v, %v", login.User, login.Bootstrap, err)
	}
	if login.TLS != nil {
		t.Error("TLS, before anybody said so")
	}
	if err := s.Trust([]byte("no certificate")); err == nil {
		t.Error("trust in what is no certificate")
	}
	a, err := authority.Open(t.TempDir(), "alertlab test")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Trust(a.PEM()); err != nil {
		t.Fatal(err)
	}
	if login, err := s.Login("127.0.0.10:9094", "alerce"); err != nil || login.TLS == nil || login.TLS.RootCAs == nil {
		t.Errorf("no TLS: %+v, %v", login.TLS, err)
	}
	if err := s.Trust(nil); err != nil {
		t.Fatal(err)
	}
	if login, err := s.Login("127.0.0.10:9094", "alerce"); err != nil || login.TLS != nil {
		t.Errorf("TLS for brokers in plaintext: %v", err)
	}
	keys, err := s.ObjectStore()
	if err != nil || keys.SecretKey != "hunter3" {
		t.Errorf("got %s, %v", keys, err)
	}
	s.Set(endpoints.Credentials{})
	if _, err := s.Password("alerce"); err == nil {
		t.Error("Set keeps what was there before")
	}
	// No way of printing shows a secret.
	creds := endpoints.Credentials{Kafka: map[string]string{"alerce": "hunter2"}, ObjectStore: keys}
	for _, text := range []string{fmt.Sprint(creds), fmt.Sprintf("%+v", creds), fmt.Sprintf("%#v", creds), fmt.Sprintf("%v %#v %s", keys, keys, keys)} {
		if strings.Contains(text, "hunter") {
			t.Errorf("printed: %s", text)
		}
	}
}
