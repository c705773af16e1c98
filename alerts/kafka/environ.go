package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// EnvironError lists everything that is wrong with the variables of a login.
type EnvironError struct {
	Problems []string // each names its variable
}

func (e *EnvironError) Error() string { return strings.Join(e.Problems, "; ") }

// FromEnviron makes a login from the variables that clients of the observatory's
// streams are given and that `alertlab env` prints:
//
//   - KAFKA_BOOTSTRAP_SERVERS: host:port, several with commas between them
//   - KAFKA_SECURITY_PROTOCOL: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, as Kafka
//     names them; without it SASL when there is a user, TLS when there is a CA
//   - KAFKA_SASL_MECHANISM: SCRAM-SHA-512, the only one of the external listeners
//   - KAFKA_USERNAME, KAFKA_PASSWORD
//   - SSL_CA_FILE: PEM of the authority that signed the brokers' certificates;
//     without it those that the system trusts
//
// bootstrap, when it is not empty, stands for the first. Errors are *EnvironError.
func FromEnviron(getenv func(string) string, bootstrap string) (Login, error) {
	var l Login
	var problems []string
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }

	named := "KAFKA_BOOTSTRAP_SERVERS"
	if bootstrap == "" {
		bootstrap = getenv(named)
	} else {
		named = "the bootstrap address"
	}
	for _, address := range strings.Split(bootstrap, ",") {
		if address = strings.TrimSpace(address); address != "" {
			l.Bootstrap = append(l.Bootstrap, address)
		}
	}
	if len(l.Bootstrap) == 0 {
		wrong("%s is not set", named)
	}

	user, password, ca := getenv("KAFKA_USERNAME"), getenv("KAFKA_PASSWORD"), getenv("SSL_CA_FILE")
	protocol := getenv("KAFKA_SECURITY_PROTOCOL")
	if protocol == "" {
		switch {
		case user != "" && ca != "":
			protocol = "SASL_SSL"
		case user != "":
			protocol = "SASL_PLAINTEXT"
		case ca != "":
			protocol = "SSL"
		default:
			protocol = "PLAINTEXT"
		}
	}
	if known := []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}; !slices.Contains(known, protocol) {
		wrong("KAFKA_SECURITY_PROTOCOL is %q, not one of %s", protocol, strings.Join(known, ", "))
	}
	if strings.HasPrefix(protocol, "SASL_") {
		if m := getenv("KAFKA_SASL_MECHANISM"); m != "" && m != "SCRAM-SHA-512" {
			wrong("KAFKA_SASL_MECHANISM is %q, and only SCRAM-SHA-512 is spoken here", m)
		}
		if user == "" {
			wrong("KAFKA_USERNAME is not set, and %s needs it", protocol)
		}
		if password == "" {
			wrong("KAFKA_PASSWORD is not set, and %s needs it", protocol)
		}
		l.User, l.Password = user, password
	}
	if strings.HasSuffix(protocol, "SSL") {
		config, err := TLS(ca, "", "")
		if err != nil {
			wrong("SSL_CA_FILE: %v", err)
		}
		l.TLS = config
	}
	if len(problems) > 0 {
		return Login{}, &EnvironError{problems}
	}
	return l, nil
}

// TLS makes a client's configuration from PEM files: the authority that is trusted
// ("" for those of the system), and the client's own certificate and key for mutual
// TLS, both or neither.
func TLS(caFile, certFile, keyFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", caFile)
		}
	}
	if (certFile == "") != (keyFile == "") {
		return nil, errors.New("a client's certificate and its key come together")
	}
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
