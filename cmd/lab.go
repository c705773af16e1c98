package cmd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
)

// card reads the connection card and the secrets of the lab.
func (a *app) card() (endpoints.Endpoints, endpoints.Credentials, error) {
	dir, err := a.needLab()
	if err != nil {
		return endpoints.Endpoints{}, endpoints.Credentials{}, err
	}
	card, err := dir.Endpoints()
	if errors.Is(err, fs.ErrNotExist) {
		return card, endpoints.Credentials{}, &fault.Fault{What: fmt.Sprintf("lab %q was never ready", dir.Lab()), Why: "it has no connection card yet",
			Next: "alertlab up   # or alertlab attach, when that goes on already", Code: fault.NoLab, Err: err}
	}
	if err != nil {
		return card, endpoints.Credentials{}, err
	}
	creds, err := dir.Credentials()
	return card, creds, err
}

// login is a Kafka login of the lab as one of its users.
func login(card endpoints.Endpoints, creds endpoints.Credentials, user string) kafka.Login {
	l := kafka.Login{Bootstrap: []string{card.Kafka.Bootstrap}, User: user, Password: creds.Kafka[user]}
	if card.Kafka.Security == "SASL_SSL" {
		var err error
		if l.TLS, err = kafka.Trust([]byte(card.Kafka.CA)); err != nil {
			// Nobody is trusted then, which the handshake says.
			l.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
		}
	}
	return l
}

// needLab gives the lab's directory, or says that there is no such lab.
func (a *app) needLab() (state.Dir, error) {
	dir, err := a.dir()
	if err != nil {
		return dir, err
	}
	if _, err := dir.Describe(); err != nil {
		why := "nothing is kept under this name"
		if others, err := state.Labs(dir.Root()); err == nil && len(others) > 0 {
			why = "there are: " + strings.Join(others, ", ")
		}
		return dir, fault.New(fault.NoLab, fmt.Sprintf("there is no lab %q", dir.Lab()), why, "alertlab up --lab "+dir.Lab())
	}
	return dir, nil
}

// needRunning gives a client of the lab's runner, or says that it does not run.
func (a *app) needRunning(ctx context.Context) (state.Dir, *runner.Client, error) {
	dir, err := a.needLab()
	if err != nil {
		return dir, nil, err
	}
	client, err := runner.Dial(ctx, dir)
	if errors.Is(err, runner.ErrNotRunning) {
		return dir, nil, &fault.Fault{What: fmt.Sprintf("lab %q does not run", dir.Lab()), Why: "its data is kept in " + dir.Path(),
			Next: "alertlab up --lab " + dir.Lab(), Code: fault.NoLab, Err: err}
	}
	return dir, client, err
}
