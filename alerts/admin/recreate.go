package admin

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// recreateTries and recreatePause are those of the reference's simulator:
	// brokers confirm the deletion of a topic before they have done it, so that its
	// name is taken for a while. Pauses double, so all of them are 51 s.
	recreateTries = 10
	recreatePause = 50 * time.Millisecond
)

// Recreate makes a topic that is empty: one of that name is deleted before, with all
// that it holds. The error is a *TopicError, or the context's.
func Recreate(ctx context.Context, client *kadm.Client, name string, partitions int32, replication int16) error {
	pause := recreatePause
	for try := 0; ; try++ {
		answer, err := client.CreateTopic(ctx, partitions, replication, nil, name)
		if err == nil {
			err = answer.Err
		}
		switch {
		case err == nil:
			return awaitLeaders(ctx, client, []string{name})
		case !errors.Is(err, kerr.TopicAlreadyExists), try == recreateTries:
			return &TopicError{name, "make it anew", err}
		}
		deleted, err := client.DeleteTopic(ctx, name)
		if err == nil {
			err = deleted.Err
		}
		if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return &TopicError{name, "make it anew", err}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		pause *= 2
	}
}
