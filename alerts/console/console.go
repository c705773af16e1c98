package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Cluster looks at one cluster with the rights of one user.
type Cluster struct {
	client *kgo.Client
	admin  *kadm.Client
}

// New looks through a client, which stays the caller's to close. The client must
// be in no group, and for Messages must have Options.
func New(client *kgo.Client) *Cluster {
	return &Cluster{client: client, admin: kadm.NewClient(client)}
}

// UnknownError says that something of this name is not there, or not for this
// user to see: Kafka does not always tell the difference.
type UnknownError struct {
	Kind, Name string   // "topic", "group", "broker", "partition"
	Known      []string // what there is of the kind, sorted
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("there is no %s %q for this user to see", e.Kind, e.Name)
}

// RefusedError says what the user's ACLs do not allow. It wraps Kafka's error,
// such as kerr.TopicAuthorizationFailed.
type RefusedError struct {
	Doing string // "reading topic alerts-static"
	Err   error
}

func (e *RefusedError) Error() string { return fmt.Sprintf("%s is refused: %v", e.Doing, e.Err) }
func (e *RefusedError) Unwrap() error { return e.Err }

// Setting is one configuration value that is not Kafka's default.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"` // "" and Sensitive when the broker does not tell
	// Source says where it was set: topic, broker, all brokers, broker file.
	Source    string `json:"source"`
	Sensitive bool   `json:"sensitive,omitempty"`
}

// settings keeps what differs from the defaults, sorted by name.
func settings(configs []kadm.Config) []Setting {
	out := []Setting{}
	for _, c := range configs {
		if c.Source == kmsg.ConfigSourceDefaultConfig {
			continue
		}
		out = append(out, Setting{Name: c.Key, Value: c.MaybeValue(), Source: source(c.Source), Sensitive: c.Sensitive})
	}
	slices.SortFunc(out, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func source(s kmsg.ConfigSource) string {
	switch s {
	case kmsg.ConfigSourceDynamicTopicConfig:
		return "topic"
	case kmsg.ConfigSourceDynamicBrokerConfig:
		return "broker"
	case kmsg.ConfigSourceDynamicDefaultBrokerConfig:
		return "all brokers"
	case kmsg.ConfigSourceStaticBrokerConfig:
		return "broker file"
	}
	return strings.ToLower(strings.ReplaceAll(s.String(), "_", " "))
}

// notes gathers what could not be seen, each once and with its reason. What is
// missing for want of a right must not hide what can be seen.
type notes []string

func (n *notes) add(what string, err error) {
	if err == nil {
		return
	}
	if text := what + ": " + reason(err); !slices.Contains(*n, text) {
		*n = append(*n, text)
	}
}

// reason is an error without kadm's count of requests around it.
func reason(err error) string {
	var shards *kadm.ShardErrors
	if errors.As(err, &shards) && len(shards.Errs) > 0 {
		var texts []string
		for _, e := range shards.Errs {
			text := e.Err.Error()
			if len(shards.Errs) > 1 && e.Broker.NodeID >= 0 && refused(e.Err) == nil {
				text = fmt.Sprintf("broker %d: %s", e.Broker.NodeID, text)
			}
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
		return strings.Join(texts, "; ")
	}
	return err.Error()
}

// refused finds an authorization error, nil when there is none.
func refused(err error) error {
	for _, code := range []error{kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed} {
		if errors.Is(err, code) {
			return code
		}
		var shards *kadm.ShardErrors
		if errors.As(err, &shards) && slices.ContainsFunc(shards.Errs, func(e kadm.ShardError) bool { return errors.Is(e.Err, code) }) {
			return code
		}
	}
	return nil
}

// doing turns an authorization error into a *RefusedError and says of any other
// what was being done.
func doing(what string, err error) error {
	if err == nil {
		return nil
	}
	if code := refused(err); code != nil {
		return &RefusedError{Doing: what, Err: code}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// ended gives the reason for which the caller's context ended, if it did: an
// error of a request is then nothing but its echo.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
