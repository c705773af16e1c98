// Package secrets hands a lab's passwords and keys to the parts that log in with
// them. Parts ask by name at the moment they need one, so that no secret is part
// of a plan, an order, a journal or an event.
package secrets

import (
	"crypto/tls"
	"fmt"
	"sync"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/endpoints"
)

// Store holds the secrets of one lab. Safe for use by many goroutines.
type Store struct {
	mu    sync.RWMutex
	creds endpoints.Credentials
	tls   *tls.Config // of the Kafka listener, nil while it is plaintext
}

// Set replaces the secrets.
func (s *Store) Set(c endpoints.Credentials) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creds = c
}

// Password gives the Kafka password of a user; an error when it has none.
func (s *Store) Password(user string) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p := s.creds.Kafka[user]; p != "" {
		return p, nil
	}
	return "", fmt.Errorf("no password is kept for the Kafka user %q", user)
}

// Trust says how logins reach the brokers from now on: over TLS under the authority
// in pem, or in plaintext when it is empty. Whoever starts the brokers says so, since
// the listener may change with the profile while the lab lives.
func (s *Store) Trust(pem []byte) error {
	var conf *tls.Config
	if len(pem) > 0 {
		var err error
		if conf, err = kafka.Trust(pem); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tls = conf
	return nil
}

// Login is the login of a user at a bootstrap address.
func (s *Store) Login(bootstrap, user string) (kafka.Login, error) {
	p, err := s.Password(user)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return kafka.Login{Bootstrap: []string{bootstrap}, User: user, Password: p, TLS: s.tls}, err
}

// Token gives the secret of a token; an error when none is kept.
func (s *Store) Token(name string) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.creds.Tokens[name]; t != "" {
		return t, nil
	}
	return "", fmt.Errorf("no secret is kept of the token %q", name)
}

// Account gives a password at a program of others: of its administrator by the program's
// name, of a user of the object store by the user's; an error when there is none.
func (s *Store) Account(name string) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p := s.creds.Accounts[name]; p != "" {
		return p, nil
	}
	return "", fmt.Errorf("no password is kept for the account %s", name)
}

// ObjectStore gives the object store's key pair; an error when there is none.
func (s *Store) ObjectStore() (endpoints.Keys, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.creds.ObjectStore.SecretKey == "" {
		return endpoints.Keys{}, fmt.Errorf("no key pair is kept for the object store")
	}
	return s.creds.ObjectStore, nil
}

// ObjectStoreAt is how a client reaches the object store at an endpoint (URL) with
// the lab's keys.
func (s *Store) ObjectStoreAt(endpoint, region string) (objectstore.ClientConfig, error) {
	keys, err := s.ObjectStore()
	// The lab's store knows checksums, and makes a slower one where none is sent.
	return objectstore.ClientConfig{Endpoint: endpoint, Region: region, AccessKey: keys.AccessKey, SecretKey: keys.SecretKey, Checksum: true}, err
}
