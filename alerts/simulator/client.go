package simulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/kafka"
)

const (
	// MaxMessageBytes is the largest record batch that this package writes,
	// whatever the broker would take (message.max.bytes of rubin-alert-sim).
	MaxMessageBytes = 10_000_000
	// defaultMessageBytes is Apache Kafka's default for max.message.bytes,
	// assumed where the user may not read the topic's configuration.
	defaultMessageBytes = 1_048_588

	// maxInFlightBytes bounds what is sent and not yet acknowledged.
	maxInFlightBytes = 64 << 20
	// fetchBytes is one answer of a broker. Larger ones are no faster and
	// cost memory: an answer stays alive until its last record is
	// acknowledged.
	fetchBytes = 2 << 20
	// drainTimeout is how long a cancelled writer waits for what is in
	// flight; the reference's flush takes the same 10 s.
	drainTimeout = 10 * time.Second
	// topicRetries outlasts a restart of the brokers, during which they may
	// not know a topic yet, but not the deletion of a topic.
	topicRetries = 20
	// linger lets records that are due together share a batch. It is spent
	// once per idle spell only, since a flush or a full batch ends it.
	linger = 2 * time.Millisecond
)

// writer is a client that writes to one topic, and the largest batch that the
// topic takes.
type writer struct {
	client *kgo.Client
	admin  *kadm.Client
	topic  string
	limit  int
}

// newWriter connects, makes sure that the topic exists and reads its limit.
func newWriter(ctx context.Context, login kafka.Login, topic string, log *slog.Logger, extra ...kgo.Opt) (*writer, error) {
	// kgo asks for the batch size when it first meets the topic, which is
	// after the limit was read with the same client.
	var limit atomic.Int32
	limit.Store(defaultMessageBytes)
	client, err := kafka.NewClient(login, append([]kgo.Opt{
		kgo.WithLogger(clientLog{log}),
		kgo.DefaultProduceTopic(topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// Cutouts are noise: compressing them costs time and gains nothing.
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytesFn(func(string) int32 { return limit.Load() }),
		kgo.ProducerLinger(linger),
		// Bytes in flight are bounded by the callers, in a way that heeds
		// their context; records already handed over do not.
		kgo.MaxBufferedRecords(1 << 30),
		kgo.UnknownTopicRetries(topicRetries),
		// A broker that ends while it is being connected to looks like a listener
		// that wants TLS. Records are not given up for it; the requests below, which
		// come first, are given up after some retries, as a wrong login needs it.
		kgo.AlwaysRetryEOF(),
	}, extra...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	w := &writer{client: client, admin: kadm.NewClient(client), topic: topic}
	if _, err := lookUp(ctx, w.admin, topic); err != nil {
		client.Close()
		return nil, err
	}
	if w.limit, err = messageLimit(ctx, w.admin, topic); err != nil {
		client.Close()
		return nil, err
	}
	limit.Store(int32(w.limit))
	return w, nil
}

func (w *writer) close() { w.client.Close() }

// drain waits for what is in flight even if ctx has ended, but not for ever.
func (w *writer) drain(ctx context.Context) error {
	if err := w.client.Flush(ctx); err == nil {
		return nil
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	return w.client.Flush(late)
}

// messageLimit reads max.message.bytes of a topic.
func messageLimit(ctx context.Context, admin *kadm.Client, topic string) (int, error) {
	answers, err := admin.DescribeTopicConfigs(ctx, topic)
	var denied *kadm.AuthError
	switch {
	case errors.As(err, &denied):
		return defaultMessageBytes, nil
	case err != nil:
		return 0, &TopicError{topic, fmt.Errorf("read its configuration: %w", err)}
	}
	config, err := answers.On(topic, nil)
	if err != nil {
		return 0, &TopicError{topic, fmt.Errorf("read its configuration: %w", err)}
	}
	if errors.Is(config.Err, kerr.TopicAuthorizationFailed) {
		return defaultMessageBytes, nil
	}
	if config.Err != nil {
		return 0, &TopicError{topic, fmt.Errorf("read its configuration: %w", config.Err)}
	}
	for _, entry := range config.Configs {
		if entry.Key != "max.message.bytes" {
			continue
		}
		n, err := strconv.Atoi(entry.MaybeValue())
		if err != nil {
			return 0, &TopicError{topic, fmt.Errorf("max.message.bytes is %q", entry.MaybeValue())}
		}
		return min(n, MaxMessageBytes), nil
	}
	return defaultMessageBytes, nil
}

// isTooLarge tells whether a record was refused for its own size. A broker
// whose limit was lowered meanwhile refuses whole batches with the same code,
// of which no single record need be too large.
func isTooLarge(err error, value []byte, limit int) bool {
	// More than a batch's header, a record's fields and OffsetHeader take.
	const overhead = 256
	return errors.Is(err, kerr.MessageTooLarge) && len(value)+overhead > limit
}

// lookUp describes one topic that must exist.
func lookUp(ctx context.Context, admin *kadm.Client, topic string) (kadm.TopicDetail, error) {
	topics, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return kadm.TopicDetail{}, &TopicError{topic, err}
	}
	detail := topics[topic]
	if detail.Err == nil && len(detail.Partitions) == 0 {
		detail.Err = kerr.UnknownTopicOrPartition
	}
	if detail.Err != nil {
		return kadm.TopicDetail{}, &TopicError{topic, detail.Err}
	}
	return detail, nil
}

// clientLog passes the Kafka client's messages on, so that a broker that does
// not answer shows in the log while records are being retried.
type clientLog struct{ log *slog.Logger }

func (l clientLog) Level() kgo.LogLevel {
	ctx := context.Background()
	switch {
	case l.log.Enabled(ctx, slog.LevelDebug):
		// The client's debug level writes several lines per request.
		return kgo.LogLevelInfo
	case l.log.Enabled(ctx, slog.LevelWarn):
		return kgo.LogLevelWarn
	case l.log.Enabled(ctx, slog.LevelError):
		return kgo.LogLevelError
	}
	return kgo.LogLevelNone
}

func (l clientLog) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	switch level {
	case kgo.LogLevelError:
		to = slog.LevelError
	case kgo.LogLevelWarn:
		to = slog.LevelWarn
	}
	l.log.Log(context.Background(), to, "kafka client: "+msg, keyvals...)
}
