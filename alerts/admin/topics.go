package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"golang.org/x/sync/errgroup"
)

// Topic is a topic as it is wanted, or as it is.
type Topic struct {
	Name       string
	Partitions int32 // 0: what the brokers make by default
	Replicas   int16 // 0: what the brokers make by default
	// Config holds topic configuration keys; those not named are left alone.
	Config map[string]string
	// Unset are keys that the topic is not to have: the brokers' default counts.
	Unset []string
}

// TopicMismatch is the refusal to bring a topic to another number of
// partitions: fewer is impossible, more would move keys between partitions.
type TopicMismatch struct {
	Topic      string
	Have, Want int32 // partitions
}

func (e *TopicMismatch) Error() string {
	return fmt.Sprintf("topic %s has %d partitions, wanted are %d", e.Topic, e.Have, e.Want)
}

// TopicError says what could not be done with a topic.
type TopicError struct {
	Topic, Doing string
	Err          error
}

func (e *TopicError) Error() string {
	return fmt.Sprintf("topic %s: %s: %v", e.Topic, e.Doing, e.Err)
}

func (e *TopicError) Unwrap() error { return e.Err }

// EnsureTopics makes topics that are missing, alters configuration that
// differs, and returns once every partition of them has a leader. Nothing is
// changed if any topic has another number of partitions. Replicas of a topic
// that is there are left alone.
//
// Changes holds what was done even when an error is returned, which is a
// *TopicMismatch, *TopicError or that of the client.
func EnsureTopics(ctx context.Context, client *kadm.Client, topics []Topic) (Changes, error) {
	var done Changes
	if len(topics) == 0 {
		return done, nil
	}
	wanted := make(map[string]Topic, len(topics))
	for _, t := range topics {
		if _, twice := wanted[t.Name]; twice || t.Name == "" {
			return done, &TopicError{t.Name, "reading what is wanted", errors.New("no name, or named twice")}
		}
		wanted[t.Name] = t
	}
	names := slices.Sorted(maps.Keys(wanted))
	have, err := listNow(ctx, client, names)
	if err != nil {
		return done, err
	}
	var missing, present []Topic
	for _, name := range names {
		switch err := have[name].Err; {
		case errors.Is(err, kerr.UnknownTopicOrPartition) || !have.Has(name) && err == nil:
			missing = append(missing, wanted[name])
		case err != nil:
			return done, &TopicError{name, "describing", err}
		default:
			present = append(present, wanted[name])
			if n := int32(len(have[name].Partitions)); wanted[name].Partitions > 0 && n != wanted[name].Partitions {
				return done, &TopicMismatch{name, n, wanted[name].Partitions}
			}
		}
	}
	defer done.sort()
	if err := create(ctx, client, missing, &done); err != nil {
		return done, err
	}
	if err := alter(ctx, client, present, &done); err != nil {
		return done, err
	}
	return done, awaitLeaders(ctx, client, names)
}

// create makes topics, those alike in one request.
func create(ctx context.Context, client *kadm.Client, topics []Topic, done *Changes) error {
	alike := make(map[string][]Topic)
	for _, t := range topics {
		k := fmt.Sprint(t.Partitions, t.Replicas, t.Config) // fmt prints maps in order of keys
		alike[k] = append(alike[k], t)
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, ts := range alike {
		group.Go(func() error {
			partitions, replicas := int32(-1), int16(-1)
			if ts[0].Partitions > 0 {
				partitions = ts[0].Partitions
			}
			if ts[0].Replicas > 0 {
				replicas = ts[0].Replicas
			}
			configs := make(map[string]*string)
			for k, v := range ts[0].Config {
				configs[k] = &v
			}
			var names []string
			for _, t := range ts {
				names = append(names, t.Name)
			}
			made, err := client.CreateTopics(ctx, partitions, replicas, configs, names...)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			var failed error
			for _, m := range made.Sorted() {
				if m.Err != nil {
					failed = errors.Join(failed, &TopicError{m.Topic, "creating", explain(m.Err, m.ErrMessage)})
					continue
				}
				n := m.NumPartitions
				if n < 0 {
					n = partitions
				}
				done.Created = append(done.Created, fmt.Sprintf("topic %s: created with %d partitions", m.Topic, n))
			}
			return failed
		})
	}
	return group.Wait()
}

// alter brings the configuration of topics that are there to what is wanted.
func alter(ctx context.Context, client *kadm.Client, topics []Topic, done *Changes) error {
	var names []string
	wanted := make(map[string]Topic)
	for _, t := range topics {
		if len(t.Config)+len(t.Unset) > 0 {
			names = append(names, t.Name)
			wanted[t.Name] = t
		}
	}
	if len(names) == 0 {
		return nil
	}
	have, err := client.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, resource := range have {
		if resource.Err != nil {
			return errors.Join(&TopicError{resource.Name, "describing configuration", resource.Err}, group.Wait())
		}
		now, own := make(map[string]string), make(map[string]bool)
		for _, c := range resource.Configs {
			if c.Value != nil {
				now[c.Key] = *c.Value
				own[c.Key] = c.Source == kadmTopicSource
			}
		}
		var set []kadm.AlterConfig
		var words []string
		for _, key := range slices.Sorted(slices.Values(wanted[resource.Name].Unset)) {
			if own[key] {
				set = append(set, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key})
				words = append(words, fmt.Sprintf("topic %s: %s from %s to the default", resource.Name, key, now[key]))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(wanted[resource.Name].Config)) {
			value := wanted[resource.Name].Config[key]
			old, known := now[key]
			if known && old == value {
				continue
			}
			if !known {
				old = "unset"
			}
			set = append(set, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &value})
			words = append(words, fmt.Sprintf("topic %s: %s from %s to %s", resource.Name, key, old, value))
		}
		if len(set) == 0 {
			continue
		}
		group.Go(func() error {
			answers, err := client.AlterTopicConfigs(ctx, set, resource.Name)
			if err != nil {
				return err
			}
			answer, err := answers.On(resource.Name, nil)
			if err == nil {
				err = answer.Err
			}
			if err != nil {
				return &TopicError{resource.Name, "altering configuration", explain(err, answer.ErrMessage)}
			}
			mu.Lock()
			done.Altered = append(done.Altered, words...)
			mu.Unlock()
			return nil
		})
	}
	return group.Wait()
}

// awaitLeaders returns once metadata shows a leader for every partition. Kafka
// has no notification for it; the wait between two looks grows to a quarter of
// a second.
func awaitLeaders(ctx context.Context, client *kadm.Client, names []string) error {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		have, err := listNow(ctx, client, names)
		if err != nil {
			return err
		}
		leaderless := leaderless(have, names)
		if leaderless == nil {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(leaderless, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// DeleteTopics deletes topics with every record in them; those that are not there
// are no error. It returns once no broker lists them. The error is a *TopicError or
// that of the client, and Changes holds what was done all the same.
func DeleteTopics(ctx context.Context, client *kadm.Client, topics ...string) (Changes, error) {
	var done Changes
	if len(topics) == 0 {
		return done, nil
	}
	defer done.sort()
	answers, err := client.DeleteTopics(ctx, topics...)
	if err != nil {
		return done, err
	}
	var failed error
	for _, a := range answers.Sorted() {
		switch {
		case errors.Is(a.Err, kerr.UnknownTopicOrPartition):
		case a.Err != nil:
			failed = errors.Join(failed, &TopicError{a.Topic, "deleting", explain(a.Err, a.ErrMessage)})
		default:
			done.Removed = append(done.Removed, "topic "+a.Topic+": deleted")
		}
	}
	if failed != nil {
		return done, failed
	}
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		have, err := listNow(ctx, client, topics)
		if err != nil {
			return done, err
		}
		left := slices.DeleteFunc(slices.Clone(topics), func(t string) bool {
			return !have.Has(t) || errors.Is(have[t].Err, kerr.UnknownTopicOrPartition)
		})
		if len(left) == 0 {
			return done, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return done, &TopicError{left[0], "waiting for its end", context.Cause(ctx)}
		case <-timer.C:
		}
	}
}

// listNow asks the brokers: kadm answers from its cache for seconds, unless the
// question is about what one may do.
func listNow(ctx context.Context, client *kadm.Client, names []string) (kadm.TopicDetails, error) {
	return client.ListTopics(kadm.WithAuthorizedOps(ctx), names...)
}

func leaderless(have kadm.TopicDetails, names []string) error {
	for _, name := range names {
		t := have[name]
		if t.Err == nil && len(t.Partitions) == 0 {
			t.Err = kerr.UnknownTopicOrPartition
		}
		if t.Err != nil {
			return &TopicError{name, "waiting for leaders", t.Err}
		}
		for _, p := range t.Partitions.Sorted() {
			if p.Err != nil || p.Leader < 0 {
				return &TopicError{name, "waiting for leaders", fmt.Errorf("partition %d has none: %w", p.Partition, cmp.Or(p.Err, error(kerr.LeaderNotAvailable)))}
			}
		}
	}
	return nil
}

// explain adds the broker's own words to an error, if it sent any.
func explain(err error, words string) error {
	if words == "" || strings.Contains(err.Error(), words) {
		return err
	}
	return fmt.Errorf("%w (%s)", err, words)
}

// Topics lists the topics that the client's user may see, sorted by name, with
// the configuration that was set for them; internal ones only if asked for.
func Topics(ctx context.Context, client *kadm.Client, internal bool) ([]Topic, error) {
	list := client.ListTopics
	if internal {
		list = client.ListTopicsWithInternal
	}
	have, err := list(ctx)
	if err != nil {
		return nil, err
	}
	if len(have) == 0 {
		return nil, nil
	}
	configs, err := client.DescribeTopicConfigs(ctx, have.Names()...)
	if err != nil {
		return nil, err
	}
	set := make(map[string]map[string]string)
	for _, resource := range configs {
		if resource.Err != nil {
			return nil, &TopicError{resource.Name, "describing configuration", resource.Err}
		}
		set[resource.Name] = make(map[string]string)
		for _, c := range resource.Configs {
			if c.Value != nil && c.Source == kadmTopicSource {
				set[resource.Name][c.Key] = *c.Value
			}
		}
	}
	var topics []Topic
	for _, t := range have.Sorted() {
		if t.Err != nil {
			return nil, &TopicError{t.Topic, "describing", t.Err}
		}
		topics = append(topics, Topic{
			Name: t.Topic, Partitions: int32(len(t.Partitions)),
			Replicas: int16(t.Partitions.NumReplicas()), Config: set[t.Topic],
		})
	}
	return topics, nil
}
