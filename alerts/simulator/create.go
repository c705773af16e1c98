package simulator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/packet"
)

// CreateConfig says what to load into which reservoir.
type CreateConfig struct {
	Login kafka.Login
	// Topic is the reservoir, of one partition (alerts-static at USDF).
	Topic string
	// Source yields the bodies; they are written unchanged.
	Source Source
	// Schema is the one that the bodies were written with; its id goes into
	// the wire header.
	Schema *packet.Schema
	// Replace deletes what is in the reservoir before the load. Without it a
	// reservoir that holds records is refused with a *NotEmptyError. The
	// source's first alert is read before anything is deleted. A manifest
	// of the earlier content is void from the moment of this call.
	Replace bool
	// Append leaves what is in the topic and adds to it, whatever its number of
	// partitions, as the reference does. A load that fails leaves its part there,
	// and the manifest's offsets mean nothing.
	Append bool
	// SchemaID, when not nil, goes into the wire header instead of the schema's own
	// id.
	SchemaID *uint32
	// Total is the number of alerts to expect, for Progress only; 0 if unknown.
	Total int64
	// Progress, if set, is told of every acknowledged alert, by one goroutine
	// at a time: alerts so far, Total, bytes so far.
	Progress func(done, total, bytes int64)
	Log      *slog.Logger // nil discards
}

// Create loads the reservoir and returns when every alert is acknowledged.
//
// If it fails or is cancelled, it deletes what it had loaded, so that nobody
// plays a part of a visit. If it is killed, a part stays; there is no manifest
// of it then, which is how the caller knows.
//
// Errors: *TopicError, *NotEmptyError, ErrEmptySource, *SourceError,
// *RecordTooLargeError, *DeliveryError, *ForeignWriteError, the context's.
func Create(ctx context.Context, cfg CreateConfig) (Manifest, error) {
	log := orDiscard(cfg.Log)
	first, err := cfg.Source.Next(ctx)
	switch {
	case errors.Is(err, io.EOF):
		return Manifest{}, ErrEmptySource
	case err != nil:
		return Manifest{}, &SourceError{0, err}
	}
	w, err := newWriter(ctx, cfg.Login, cfg.Topic, log)
	if err != nil {
		return Manifest{}, err
	}
	defer w.close()
	if !cfg.Append {
		if err := makeRoom(ctx, w, cfg.Replace); err != nil {
			return Manifest{}, err
		}
	}

	l := newLoad(ctx, w, cfg)
	err = l.run(ctx, first)
	manifest := l.manifest()
	if err == nil && !cfg.Append && manifest.EndOffset-manifest.StartOffset != manifest.Alerts {
		err = &ForeignWriteError{cfg.Topic, manifest.Alerts, manifest.StartOffset, manifest.EndOffset - 1}
	}
	if err != nil && cfg.Append {
		return Manifest{}, err
	}
	if err != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		if undo := empty(late, w.admin, cfg.Topic); undo != nil {
			err = errors.Join(err, fmt.Errorf("a part of the load remains: %w", undo))
		}
		return Manifest{}, err
	}
	log.Info("reservoir loaded", "topic", cfg.Topic, "alerts", manifest.Alerts, "bytes", manifest.Bytes)
	return manifest, nil
}

// makeRoom leaves an empty topic of one partition, or says why there is none.
func makeRoom(ctx context.Context, w *writer, replace bool) error {
	now, err := observe(ctx, w.admin, w.topic)
	if err != nil {
		return err
	}
	if len(now.bounds) != 1 {
		return &TopicError{w.topic, fmt.Errorf("a reservoir has 1 partition, not %d, to keep the order of its alerts", len(now.bounds))}
	}
	switch b := now.bounds[0]; {
	case b.start == b.end:
		return nil
	case !replace:
		return &NotEmptyError{w.topic, b.start, b.end}
	}
	return empty(ctx, w.admin, w.topic)
}

// empty deletes all records of a topic up to its high watermark.
func empty(ctx context.Context, admin *kadm.Client, topic string) error {
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err == nil {
		var answers kadm.DeleteRecordsResponses
		if answers, err = admin.DeleteRecords(ctx, ends.Offsets()); err == nil {
			err = answers.Error()
		}
	}
	if err != nil {
		return &TopicError{topic, fmt.Errorf("delete its records: %w", err)}
	}
	return nil
}

// load is one run of Create.
type load struct {
	cfg    CreateConfig
	writer *writer
	stop   context.CancelCauseFunc // ends the load at the first refused alert
	ctx    context.Context
	room   *room
	digest hash.Hash
	sent   int64

	mu          sync.Mutex
	acked       int64
	bytes       int64
	failed      int64
	failure     error
	firstOffset int64
	lastOffset  int64
}

func newLoad(ctx context.Context, w *writer, cfg CreateConfig) *load {
	l := &load{
		cfg: cfg, writer: w,
		room:   newRoom(maxInFlightBytes),
		digest: sha256.New(),
	}
	l.ctx, l.stop = context.WithCancelCause(ctx)
	return l
}

// run sends the source's alerts, beginning with one that was already read.
func (l *load) run(ctx context.Context, body []byte) error {
	defer l.stop(nil)
	// Hashing 80 kB takes about as long as sending it, so it has its own
	// goroutine; the channel keeps the order.
	values := make(chan []byte, 64)
	hashed := make(chan struct{})
	go func() {
		defer close(hashed)
		for v := range values {
			l.digest.Write(v)
		}
	}()

	err := l.send(body, values)
	close(values)
	if drained := l.writer.drain(l.ctx); err == nil {
		err = drained
	}
	<-hashed

	l.mu.Lock()
	defer l.mu.Unlock()
	var large *RecordTooLargeError
	switch {
	case errors.As(l.failure, &large):
		return large
	case ctx.Err() != nil:
		return ctx.Err()
	case l.failure != nil:
		return &DeliveryError{l.cfg.Topic, l.failed, l.failure}
	}
	return err
}

func (l *load) send(body []byte, values chan<- []byte) error {
	departures := departures{schema: l.cfg.Schema, id: l.cfg.SchemaID}
	for {
		record, id, err := departures.record(body)
		if err != nil {
			return err
		}
		if err := l.room.enter(l.ctx, len(record.Value)); err != nil {
			return err
		}
		l.produce(record, id)
		values <- record.Value
		l.sent++

		body, err = l.cfg.Source.Next(l.ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return &SourceError{l.sent, err}
		}
	}
}

func (l *load) produce(record *kgo.Record, id int64) {
	index, value := l.sent, record.Value
	// What was handed over is to arrive even if the caller gives up: the
	// drain at the end is what waits, and for how long.
	l.writer.client.Produce(context.WithoutCancel(l.ctx), record, func(r *kgo.Record, err error) {
		defer l.room.leave(len(value))
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			if isTooLarge(err, value, l.writer.limit) {
				err = &RecordTooLargeError{l.cfg.Topic, id, index, len(value), l.writer.limit, err}
			}
			if l.failed++; l.failure == nil {
				l.failure = err
				l.stop(err)
			}
			return
		}
		if l.acked == 0 {
			l.firstOffset = r.Offset
		}
		l.lastOffset = r.Offset
		l.acked++
		l.bytes += int64(len(value))
		if l.cfg.Progress != nil {
			l.cfg.Progress(l.acked, l.cfg.Total, l.bytes)
		}
	})
}

func (l *load) manifest() Manifest {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := Manifest{
		Topic:       l.cfg.Topic,
		StartOffset: l.firstOffset,
		EndOffset:   l.lastOffset + 1,
		Alerts:      l.acked,
		Bytes:       l.bytes,
		SchemaID:    l.cfg.Schema.ID(),
	}
	if id := l.cfg.SchemaID; id != nil {
		m.SchemaID = int(*id)
	}
	m.SHA256 = fmt.Sprintf("%x", l.digest.Sum(nil))
	return m
}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
