package cmd

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui/kafka"
)

// speedOver is the time over which speeds are taken: long enough that a visit, which
// comes in a second, is seen for a while.
const speedOver = 10 * time.Second

// kafkaSource hands what the verbs of console show to the page of Kafka.
type kafkaSource struct {
	*board

	mu    sync.Mutex
	l     *looker
	as    string         // with which addresses and password l logged in
	looks []console.Look // of the last speedOver, the oldest first
}

// cluster gives a login that lasts. When the lab's address or password is another one,
// it logs in again.
func (k *kafkaSource) cluster() (*looker, error) {
	card, creds, err := k.a.card()
	if err != nil {
		return nil, remedied(err)
	}
	as := fmt.Sprintln(card.Kafka, card.Superuser(), creds.Kafka[card.Superuser()])
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.l != nil && k.as == as {
		return k.l, nil
	}
	if k.l != nil {
		k.l.close()
		k.l, k.looks = nil, nil
	}
	l, err := k.a.lookAs(&consoleFlags{timeout: patient})
	if err != nil {
		return nil, remedied(err)
	}
	k.l, k.as = l, as
	return l, nil
}

func (k *kafkaSource) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.l != nil {
		k.l.close()
		k.l = nil
	}
}

// ask asks the cluster something within the time that it has.
func ask[T any](ctx context.Context, k *kafkaSource, verb string, do func(context.Context, *looker) (T, error)) (T, error) {
	var none T
	l, err := k.cluster()
	if err != nil {
		return none, err
	}
	ctx, cancel := l.bound(ctx)
	defer cancel()
	out, err := do(ctx, l)
	if err != nil {
		return none, l.explain("alertlab console "+verb, err)
	}
	return out, nil
}

// look sees topics and groups, and gives their speeds.
func (k *kafkaSource) look(ctx context.Context, l *looker) (now console.Look, topics map[string]console.TopicSpeed, groups map[string]console.GroupSpeed, notes []string, err error) {
	var more []string
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() (err error) { now.Topics, notes, err = l.Topics(ctx); return err })
	both.Go(func() (err error) { now.Groups, more, err = l.Groups(ctx); return err })
	if err = both.Wait(); err != nil {
		return now, nil, nil, nil, err
	}
	now.At = time.Now()
	notes = append(notes, more...)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looks = recent(k.looks, now)
	topics, groups = console.Speeds(k.looks[0], now)
	return now, topics, groups, notes, nil
}

// Brokers implements kafka.Source.
func (k *kafkaSource) Brokers(ctx context.Context) ([]kafka.Broker, []string, error) {
	var notes []string
	list, err := ask(ctx, k, "brokers", func(ctx context.Context, l *looker) ([]console.Broker, error) {
		brokers, missing, err := l.allBrokers(ctx)
		notes = missing
		return brokers, err
	})
	out := make([]kafka.Broker, 0, len(list))
	for _, b := range list {
		one := kafka.Broker{ID: b.ID, Address: b.Address, Role: role(b), Leads: b.Leads, Holds: b.Holds, Problem: b.Problem, Settings: settingsOf(b.Settings)}
		one.Away = strings.HasPrefix(b.Problem, awayWord)
		for _, d := range b.Disks {
			one.Bytes, one.Free = plus(one.Bytes, &d.Bytes), plus(one.Free, d.Free)
			if d.Problem != "" {
				one.Problem = strings.TrimPrefix(one.Problem+"; "+d.Problem, "; ")
			}
		}
		out = append(out, one)
	}
	return out, notes, err
}

// plus adds what is known.
func plus(a, b *int64) *int64 {
	switch {
	case b == nil:
		return a
	case a == nil:
		n := *b
		return &n
	}
	n := *a + *b
	return &n
}

func settingsOf(settings []console.Setting) []kafka.Setting {
	var out []kafka.Setting
	for _, s := range settings {
		_, value, _ := strings.Cut(settingText(s), "=")
		out = append(out, kafka.Setting{Name: s.Name, Value: value, Source: s.Source})
	}
	return out
}

// Topics implements kafka.Source.
func (k *kafkaSource) Topics(ctx context.Context) ([]kafka.Topic, []string, error) {
	var notes []string
	out, err := ask(ctx, k, "topics", func(ctx context.Context, l *looker) ([]kafka.Topic, error) {
		now, speeds, _, missing, err := k.look(ctx, l)
		notes = missing
		var out []kafka.Topic
		for _, t := range now.Topics {
			one := kafka.Topic{Name: t.Name, Internal: t.Internal, Replicas: t.Replicas, Records: t.Records, Bytes: t.Bytes, In: speeds[t.Name].In, Out: speeds[t.Name].Out,
				Retention: retention(t.Settings), Settings: settingsOf(t.Settings)}
			for _, p := range t.Partitions {
				problem := p.Problem
				if len(p.Offline) > 0 {
					problem = strings.TrimPrefix(problem+"; offline: "+ids(p.Offline), "; ")
				}
				one.Partitions = append(one.Partitions, kafka.Partition{ID: p.ID, Leader: p.Leader, Replicas: ids(p.Replicas), InSync: ids(p.InSync),
					Earliest: p.Earliest, Latest: p.Latest, Records: p.Records, Bytes: p.Bytes, Problem: problem})
			}
			out = append(out, one)
		}
		return out, err
	})
	return out, notes, err
}

// retention says for how long and how much a topic keeps.
func retention(settings []console.Setting) string {
	var how, long, much []string
	for _, s := range settings {
		n, err := strconv.ParseInt(s.Value, 10, 64)
		switch {
		case s.Name == "cleanup.policy" && strings.Contains(s.Value, "compact"):
			how = append(how, "compacted")
		case err != nil:
		case s.Name == "retention.ms" && n < 0:
			long = append(long, "ever")
		case s.Name == "retention.ms":
			long = append(long, phrase.About(time.Duration(n)*time.Millisecond))
		case s.Name == "retention.bytes" && n >= 0:
			much = append(much, phrase.Bytes(n)+" a partition")
		}
	}
	parts := slices.Concat(how, long, much)
	return first(strings.Join(parts, ", "), "default")
}

// Groups implements kafka.Source.
func (k *kafkaSource) Groups(ctx context.Context) ([]kafka.Group, []string, error) {
	var notes []string
	out, err := ask(ctx, k, "groups", func(ctx context.Context, l *looker) ([]kafka.Group, error) {
		now, _, speeds, missing, err := k.look(ctx, l)
		notes = missing
		var out []kafka.Group
		for _, g := range now.Groups {
			one := kafka.Group{Name: g.Name, State: g.State, Type: g.Type, Coordinator: coordinatorText(g.Coordinator), Lag: g.Lag, Problem: g.Problem,
				Reads: speeds[g.Name].Reads, CatchUp: speeds[g.Name].CatchUp}
			names := map[string]string{}
			for _, m := range g.Members {
				names[m.ID] = first(m.Instance, m.ID)
				one.Members = append(one.Members, kafka.Member{Name: names[m.ID], Client: m.Client, Host: m.Host, Partitions: assignedText(m)})
			}
			for _, p := range g.Partitions {
				if !slices.Contains(one.Topics, p.Topic) {
					one.Topics = append(one.Topics, p.Topic)
				}
				one.Partitions = append(one.Partitions, kafka.GroupPartition{Topic: p.Topic, Partition: p.Partition, Committed: p.Committed, Latest: p.Latest, Lag: p.Lag,
					Member: names[p.Member], Problem: p.Problem})
			}
			out = append(out, one)
		}
		return out, err
	})
	return out, notes, err
}

// Users implements kafka.Source: what the cluster knows, with the roles that the lab
// gives.
func (k *kafkaSource) Users(ctx context.Context) ([]kafka.User, []string, error) {
	list, err := ask(ctx, k, "users", func(ctx context.Context, l *looker) ([]console.User, error) { return l.Users(ctx) })
	if err != nil {
		return nil, nil, err
	}
	wanted, err := k.a.userLines()
	if err != nil {
		return nil, nil, err
	}
	var out []kafka.User
	for _, u := range list {
		one := kafka.User{Name: u.Name, Role: "not of the lab", Mechanisms: u.Mechanisms}
		for _, w := range wanted {
			if w.Name == u.Name {
				one.Role = string(w.Role)
				if w.From != "profile" {
					one.Changed = w.From
				}
			}
		}
		for _, r := range u.Rights {
			one.Rights = append(one.Rights, kafka.Right{Resource: r.Resource, Name: patternText(r), Operations: strings.Join(r.Operations, ", ")})
		}
		out = append(out, one)
	}
	return out, nil, nil
}
