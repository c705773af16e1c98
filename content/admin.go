package content

import (
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/lab/secrets"
)

// Admin makes an administration client for the Kafka at bootstrap (host:port), as
// a user whose password the lab keeps. The caller closes it.
func Admin(s *secrets.Store, bootstrap, user string) (*kadm.Client, error) {
	login, err := s.Login(bootstrap, user)
	if err != nil {
		return nil, err
	}
	client, err := kafka.NewClient(login)
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(client), nil
}
