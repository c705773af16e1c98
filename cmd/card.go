package cmd

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
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
	return kafka.Login{Bootstrap: []string{card.Kafka.Bootstrap}, User: user, Password: creds.Kafka[user]}
}
