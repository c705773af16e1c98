package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/registry/election"
)

// DefaultTopic is the topic that the alert stream's registry uses.
const DefaultTopic = "registry-schemas"

// DefaultFirstID is the first id that a registry assigns by itself when nothing
// else is configured. Schema versions have fixed ids (major*100 + minor), and
// an id that was assigned to something else must never be one of those.
const DefaultFirstID = 100001

const (
	// writeTimeout bounds a write from the first byte to reading it back.
	writeTimeout = 15 * time.Second
	// readRetry is the pause after the topic could not be read; the client has
	// already retried what can be retried at once.
	readRetry = 500 * time.Millisecond
	// leaderSearch is the time between two attempts to find the broker that has
	// the topic.
	leaderSearch = 250 * time.Millisecond
	// forwardTimeout bounds a request that the leader answers: a write there,
	// and the way.
	forwardTimeout = writeTimeout + 5*time.Second
	// maxReplicas of a topic that the registry makes, as Confluent's
	// kafkastore.topic.replication.factor.
	maxReplicas = 3
)

// Config is what a Registry needs.
type Config struct {
	// Login reaches the cluster as a user that may read, write and describe
	// the topic and its configuration (Phalanx: alert-schema-registry).
	Login kafka.Login
	// Topic holds the state: one partition, compacted, made beforehand.
	// Empty means DefaultTopic.
	Topic string
	// FirstID is the lowest id that the registry assigns by itself.
	// Zero means DefaultFirstID.
	FirstID int
	// Compatibility is the level in force while none is stored, in any case.
	// Empty means BACKWARD, which is Confluent's default.
	Compatibility string
	// Create makes the topic when it is missing: one partition, compacted, on
	// as many brokers as there are, three at most.
	Create bool
	// Advertise is where other registries of the group reach this one, with
	// scheme, host and port. Empty means that this is the only writer of the
	// topic, for which the caller vouches: it joins no group then. Otherwise
	// only the leader of the group writes, and the others forward to it.
	Advertise string
	// Group is the Kafka group that has the leader; empty means
	// election.DefaultGroup, which Phalanx's user may use.
	Group string
	// Session is how long a leader that is not heard of remains the leader;
	// zero means election.DefaultSession.
	Session time.Duration
	// Forward carries requests to the leader; nil means http.DefaultClient's
	// transport, bounded by forwardTimeout.
	Forward *http.Client
	// Log takes what goes on behind the requests; nil discards it.
	Log *slog.Logger
	// Options are further client options, such as a dialer.
	Options []kgo.Opt
}

// Check says what is wrong with the configuration, as far as that can be known
// without a cluster.
func (c Config) Check() error {
	_, err := c.withDefaults()
	return err
}

func (c Config) withDefaults() (Config, error) {
	if c.Topic == "" {
		c.Topic = DefaultTopic
	}
	if c.FirstID == 0 {
		c.FirstID = DefaultFirstID
	}
	if c.FirstID < 1 {
		return c, fmt.Errorf("the first id of a schema registry must be positive, not %d", c.FirstID)
	}
	if c.Compatibility == "" {
		c.Compatibility = CompatibilityBackward
	}
	level, err := parseCompatibility(c.Compatibility)
	if err != nil {
		return c, err
	}
	c.Compatibility = level
	if c.Advertise != "" {
		if _, err := election.Parse(c.Advertise); err != nil {
			return c, fmt.Errorf("the address told to other registries: %w", err)
		}
	}
	if c.Forward == nil {
		c.Forward = &http.Client{Timeout: forwardTimeout}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Registry is a running schema registry. Its methods are safe for concurrent
// use.
type Registry struct {
	cfg    Config
	client *kgo.Client
	forms  normalForms

	// writing is held from the decision what to write until it was read back:
	// the next write decides on a state that includes this one.
	writing sync.Mutex

	// mu guards what follows. Only the reader changes it.
	mu    sync.RWMutex
	state *state
	// next is the offset after the last record applied.
	next int64
	// advanced is closed, and made anew, whenever next grows.
	advanced chan struct{}
	fence    fence

	leadership

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

// Open starts a registry on its topic and returns once it knows everything that
// was in the topic when Open was called. The context bounds the start only;
// Close ends the registry. A topic that cannot hold the state is a *TopicError.
func Open(ctx context.Context, cfg Config) (*Registry, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	opts := append([]kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0),
		// Brokers are restarted under a registry. The client would wait up to
		// five seconds before it looks for the leader again, and writes with it.
		kgo.MetadataMinAge(leaderSearch),
		kgo.RetryBackoffFn(func(int) time.Duration { return leaderSearch }),
		// A write that times out may be given up while it is under way: if it
		// succeeds after all, it is read back like any other.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
			cfg.Topic: {0: kgo.NewOffset().AtStart()},
		}),
	}, cfg.Options...)
	client, err := kafka.NewClient(cfg.Login, opts...)
	if err != nil {
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	r := &Registry{
		cfg:      cfg,
		client:   client,
		state:    newState(),
		advanced: make(chan struct{}),
		done:     make(chan struct{}),
	}
	if err := r.leadership.prepare(r); err != nil {
		client.Close()
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	if err := checkTopic(ctx, kadm.NewClient(client), cfg); err != nil {
		client.Close()
		return nil, err
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	go r.read()

	// A record of our own marks the end of what was there. The end offset alone
	// would not do: compaction may have removed the last records before it, and
	// then no record ever comes that reaches it.
	if err := r.append(ctx, reign{}, noop); err != nil {
		r.Close()
		return nil, &TopicError{Topic: cfg.Topic, Reason: "cannot be replayed", Err: err}
	}
	r.leadership.start(r)
	r.mu.RLock()
	defer r.mu.RUnlock()
	cfg.Log.Info("schema registry replayed its topic", "topic", cfg.Topic, "offset", r.next, "subjects", len(r.state.subjects), "schemas", len(r.state.ids))
	return r, nil
}

// Close stops reading and writing. It returns when nothing of the registry runs
// any more; requests that come later fail.
func (r *Registry) Close() {
	r.leadership.stop()
	r.cancel()
	r.client.Close()
	<-r.done
}

// checkTopic refuses a topic that would lose or reorder the state.
func checkTopic(ctx context.Context, admin *kadm.Client, cfg Config) error {
	topics, err := admin.ListTopics(ctx, cfg.Topic)
	if err != nil {
		return &TopicError{Topic: cfg.Topic, Reason: "the cluster does not answer", Err: err}
	}
	if cfg.Create && errors.Is(topics[cfg.Topic].Err, kerr.UnknownTopicOrPartition) {
		if err := createTopic(ctx, admin, cfg); err != nil {
			return &TopicError{Topic: cfg.Topic, Reason: "does not exist and cannot be created", Err: err}
		}
		if topics, err = admin.ListTopics(ctx, cfg.Topic); err != nil {
			return &TopicError{Topic: cfg.Topic, Reason: "the cluster does not answer", Err: err}
		}
	}
	topic := topics[cfg.Topic]
	if topic.Err != nil {
		reason := "cannot be described"
		if errors.Is(topic.Err, kerr.UnknownTopicOrPartition) {
			reason = "does not exist"
		}
		return &TopicError{Topic: cfg.Topic, Reason: reason, Err: topic.Err}
	}
	if n := len(topic.Partitions); n != 1 {
		return &TopicError{Topic: cfg.Topic, Reason: fmt.Sprintf("has %d partitions, and only one keeps the order of records", n)}
	}
	configs, err := admin.DescribeTopicConfigs(ctx, cfg.Topic)
	if err == nil {
		var of kadm.ResourceConfig
		if of, err = configs.On(cfg.Topic, nil); err == nil {
			err = of.Err
		}
		for _, c := range of.Configs {
			if policy := c.MaybeValue(); c.Key == "cleanup.policy" && policy != "compact" {
				return &TopicError{Topic: cfg.Topic, Reason: fmt.Sprintf("has cleanup.policy %q, which deletes old schemas; it must be compact", policy)}
			}
		}
	}
	if err != nil {
		// The right to read configuration is a convenience; the state is not at
		// risk because of its absence.
		cfg.Log.Warn("schema registry cannot check that its topic is compacted", "topic", cfg.Topic, "error", err)
	}
	return nil
}

// createTopic makes the registry's topic and waits until it is there. That another
// registry made it in the meantime is no error.
func createTopic(ctx context.Context, admin *kadm.Client, cfg Config) error {
	brokers, err := admin.ListBrokers(ctx)
	if err != nil {
		return err
	}
	policy := "compact"
	_, err = admin.CreateTopic(ctx, 1, int16(min(len(brokers), maxReplicas)), map[string]*string{"cleanup.policy": &policy}, cfg.Topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	cfg.Log.Info("schema registry made its topic", "topic", cfg.Topic)
	// Brokers learn of a new topic one after another.
	for {
		topics, err := admin.ListTopics(ctx, cfg.Topic)
		if err != nil {
			return err
		}
		if topic := topics[cfg.Topic]; topic.Err == nil && len(topic.Partitions) > 0 && topic.Partitions[0].Err == nil {
			return nil
		}
		pause := time.NewTimer(leaderSearch)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}

// read applies the topic to the state until the registry is closed.
func (r *Registry) read() {
	defer close(r.done)
	for {
		fetches := r.client.PollFetches(r.ctx)
		if r.ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		records := fetches.Records()
		if len(records) > 0 {
			r.apply(records)
		}
		if errs := fetches.Errors(); len(errs) > 0 {
			r.cfg.Log.Error("schema registry cannot read its topic", "topic", r.cfg.Topic, "error", errs[0].Err)
			pause := time.NewTimer(readRetry)
			select {
			case <-pause.C:
			case <-r.ctx.Done():
				pause.Stop()
			}
		}
	}
}

func (r *Registry) apply(records []*kgo.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range records {
		if !r.fence.admit(record) {
			r.cfg.Log.Warn("schema registry passes over a record of a reign that was over", "topic", r.cfg.Topic, "offset", record.Offset, "current", r.fence.current.String())
		} else if err := r.state.apply(record.Key, record.Value); err != nil {
			r.cfg.Log.Warn("schema registry passes over a record", "topic", r.cfg.Topic, "offset", record.Offset, "error", err)
		}
		r.next = record.Offset + 1
	}
	close(r.advanced)
	r.advanced = make(chan struct{})
	r.leadership.look()
}

// append writes entries in their order, as records of a reign, and returns when
// the state has them. If any of them did not count the error is errDeposed.
func (r *Registry) append(ctx context.Context, in reign, entries ...entry) error {
	records := make([]*kgo.Record, 0, len(entries))
	for _, e := range entries {
		key, value, err := e.encode()
		if err != nil {
			return err
		}
		records = append(records, &kgo.Record{Topic: r.cfg.Topic, Key: key, Value: value, Headers: in.headers()})
	}
	if err := r.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		if r.ctx.Err() != nil {
			return ErrClosed
		}
		return err
	}
	last := records[len(records)-1].Offset
	for {
		r.mu.RLock()
		next, advanced := r.next, r.advanced
		late := slices.ContainsFunc(records, func(record *kgo.Record) bool { return r.fence.late[record.Offset] })
		r.mu.RUnlock()
		if next > last {
			if late {
				return errDeposed
			}
			return nil
		}
		select {
		case <-advanced:
		case <-r.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("written, but not read back: %w", context.Cause(ctx))
		}
	}
}

// write appends what a request asks for. It goes on when the client has gone
// away, since half of it may be in the topic by then. Callers hold writing.
func (r *Registry) write(entries ...entry) error {
	if len(entries) == 0 {
		return nil
	}
	in, ok := r.reigning()
	if !ok {
		return errDeposed
	}
	ctx, cancel := context.WithTimeout(r.ctx, writeTimeout)
	defer cancel()
	err := r.append(ctx, in, entries...)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errDeposed):
		return err
	case errors.Is(err, kerr.MessageTooLarge):
		return fail(codeSchemaTooLarge, "the schema is larger than the registry's topic takes")
	case ctx.Err() != nil && r.ctx.Err() == nil:
		r.cfg.Log.Error("schema registry's topic does not take a write", "topic", r.cfg.Topic, "error", err)
		return fail(codeTimeout, "the registry's topic did not take the write in %s", writeTimeout)
	}
	r.cfg.Log.Error("schema registry cannot write its topic", "topic", r.cfg.Topic, "error", err)
	return fail(codeStore, "the registry's topic did not take the write: %s", strings.TrimSpace(err.Error()))
}
