package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// hostsChanged gives bootstrap and a broker other names that the lab's authority may sign:
// who is connected stays so, and who comes finds them in the certificates.
func hostsChanged(ctx context.Context, l *lab) error {
	before, err := l.authority()
	if err != nil {
		return err
	}
	if err := l.rename(ctx, "rehearsal."+l.name+".alertlab.test"); err != nil {
		return err
	}
	after, err := l.authority()
	if err == nil && after != before {
		err = errors.New("the lab has another authority than before")
	}
	if err != nil {
		return err
	}
	if err := l.acknowledged(ctx); err != nil {
		return err
	}
	l.saw("under the same authority; %d more alerts acknowledged over the connections that were there", few)
	return nil
}

// hostsElsewhere gives them names of another domain: the lab needs another authority, and
// who comes has to trust that.
func hostsElsewhere(ctx context.Context, l *lab) error {
	before, err := l.authority()
	if err != nil {
		return err
	}
	l.disconnect() // these clients trust the old one
	if err := l.rename(ctx, "rehearsal.example"); err != nil {
		return err
	}
	after, err := l.authority()
	if err == nil && after == before {
		err = errors.New("an authority signed for names for which it may not")
	}
	if err != nil {
		return err
	}
	l.saw("under another authority")
	return nil
}

// authority is the digest of the certificate that clients of the lab are to trust.
func (l *lab) authority() (string, error) {
	card, err := l.card()
	return fmt.Sprintf("%x", sha256.Sum256([]byte(card.Kafka.CA))), err
}

// rename gives bootstrap and the brokers names below a domain, and looks for them in the
// certificates that the listener shows to who trusts the lab.
func (l *lab) rename(ctx context.Context, domain string) error {
	card, err := l.card()
	if err != nil {
		return err
	}
	names := []string{"bootstrap." + domain}
	args := []string{"hosts", "set", "bootstrap=" + names[0]}
	for _, b := range card.Kafka.Brokers {
		name := fmt.Sprintf("broker-%d.%s", b.ID, domain)
		names = append(names, name)
		args = append(args, fmt.Sprintf("broker.%d=%s", b.ID, name))
	}
	if _, err := l.must(ctx, args...); err != nil {
		return err
	}
	if card, err = l.card(); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(card.Kafka.CA)) {
		return errors.New("the card has no certificate of an authority")
	}
	addresses := []string{card.Kafka.Bootstrap}
	for _, b := range card.Kafka.Brokers {
		addresses = append(addresses, b.Address)
	}
	for i, address := range addresses {
		// The new certificate may reach the broker's files some seconds after it was issued.
		err := l.eventually(ctx, address+" shows a certificate of "+names[i], func() (bool, string, error) {
			connection, err := (&tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: names[i], MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", address)
			if err != nil {
				return false, err.Error(), nil
			}
			return true, "", connection.Close()
		})
		if err != nil {
			return err
		}
	}
	hosts, err := l.must(ctx, "hosts", "-o", "json")
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(names, func(name string) bool { return !strings.Contains(hosts, name) }); i >= 0 {
		return fmt.Errorf("hosts does not print %s: %s", names[i], tail(hosts))
	}
	l.saw("%s and %d more in the certificates, asked for at each address", names[0], len(names)-1)
	return nil
}
