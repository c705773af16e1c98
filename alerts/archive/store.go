package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/alerts/packet"
)

// Stored tells of one alert that is in the bucket.
type Stored struct {
	ID        int64
	SchemaID  uint32
	Topic     string
	Partition int32
	Offset    int64
	// WireBytes is the length of the Kafka value, ObjectBytes that of the
	// object.
	WireBytes, ObjectBytes int
}

// DeadLetter is the JSON object of a message that is not an alert we can
// store. Its value lies beside it with the extension .bin.
type DeadLetter struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	// Timestamp is the record's own.
	Timestamp time.Time `json:"timestamp"`
	// Reason says why it could not be stored as an alert.
	Reason string `json:"reason"`
	// SchemaID is from the message's header, if it has one.
	SchemaID *uint32 `json:"schema_id,omitempty"`
	// Bytes is the length of the value.
	Bytes   int                `json:"bytes"`
	Key     []byte             `json:"key,omitempty"`
	Headers []DeadLetterHeader `json:"headers,omitempty"`
}

// DeadLetterHeader is one Kafka record header; values are base64 in JSON.
type DeadLetterHeader struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

// job is one alert on its way to a worker.
type job struct {
	partition *partition
	entry     *entry
	id        int64
	schemaID  uint32
}

// sequence looks at a partition's records in order: it finds out which alert
// each one is, makes sure that its schema is stored, and hands it to the worker
// of its id. One worker per id is what keeps versions of an alert in order.
func (in *Ingester) sequence(p *partition) {
	for {
		e := p.take()
		if e == nil {
			return
		}
		j, reason, ok := in.identify(p, e)
		if !ok {
			return
		}
		if reason != nil {
			if !in.setAside(p, e, reason) {
				return
			}
			continue
		}
		// Counted before it is handed out: the worker may be done at once.
		p.tasks.Add(1)
		select {
		case in.shards[shard(j.id, len(in.shards))] <- j:
		case <-p.soft.Done():
			p.tasks.Done()
			return
		}
	}
}

// shard spreads ids over n workers. Ids differ mostly in their low and high
// bits, so they are mixed first (Fibonacci hashing).
func shard(id int64, n int) int {
	return int((uint64(id) * 0x9E3779B97F4A7C15 >> 32) % uint64(n))
}

// identify reads a record's head. It returns why the record is not an alert
// that can be stored, or ok false if the partition stopped first.
func (in *Ingester) identify(p *partition, e *entry) (j job, reason error, ok bool) {
	schemaID, body, err := packet.Unframe(e.record.Value)
	if err != nil {
		return job{}, err, true
	}
	w, err := in.writerOf(p, schemaID)
	if err != nil {
		return job{}, err, p.soft.Err() == nil
	}
	if w.broken != nil {
		return job{}, fmt.Errorf("schema %d: %w", schemaID, w.broken), true
	}
	head, err := w.schema.Head(body)
	if err != nil {
		return job{}, err, true
	}
	if !in.storeSchema(p, schemaID, w.text) {
		return job{}, nil, false
	}
	return job{partition: p, entry: e, id: head.ID, schemaID: schemaID}, nil, true
}

// writerOf gets the writer schema, for as long as it takes while the registry
// cannot be asked. The error says that the registry does not know the id, and
// has not for the configured time, or that the partition stopped.
func (in *Ingester) writerOf(p *partition, id uint32) (*writer, error) {
	var found *writer
	var unknown error
	stored := in.persist(p, "read schema", true, func(ctx context.Context) error {
		w, err := in.writers.get(ctx, int(id))
		if errors.Is(err, ErrUnknownSchema) {
			if in.unknownFor(id) >= in.cfg.UnknownSchemaWait {
				unknown = fmt.Errorf("schema id unknown to the registry: %w", err)
				return nil
			}
			return err
		}
		if err != nil {
			return err
		}
		in.unknownMu.Lock()
		delete(in.unknown, id)
		in.unknownMu.Unlock()
		found = w
		return nil
	})
	if !stored {
		return nil, p.soft.Err()
	}
	return found, unknown
}

// maxUnknown bounds the memory of ids that no registry knows, which come from
// outside.
const maxUnknown = 1024

// denial is how long the registry has said that it does not know an id.
type denial struct{ first, last time.Time }

// unknownFor says how long the registry has denied an id. Later messages with
// it then need not wait all over again, unless the last one is so long ago that
// the registry may by now be in the middle of another synchronisation.
func (in *Ingester) unknownFor(id uint32) time.Duration {
	in.unknownMu.Lock()
	defer in.unknownMu.Unlock()
	now := time.Now()
	d, known := in.unknown[id]
	if !known || now.Sub(d.last) > 2*in.cfg.UnknownSchemaWait+2*maxBackoff {
		if len(in.unknown) >= maxUnknown {
			clear(in.unknown)
		}
		d.first = now
	}
	d.last = now
	in.unknown[id] = d
	return now.Sub(d.first)
}

// storeSchema stores a schema unless the bucket has it, as the reference does.
// It returns false if the partition stopped first.
func (in *Ingester) storeSchema(p *partition, id uint32, text string) bool {
	in.storedMu.Lock()
	known := in.stored[id]
	in.storedMu.Unlock()
	if known {
		return true
	}
	key := SchemaKey(int64(id))
	ok := in.persist(p, "store schema", true, func(ctx context.Context) error {
		_, err := in.cfg.Objects.Stat(ctx, in.cfg.Buckets.Schemas, key)
		if errors.Is(err, objectstore.ErrNotFound) {
			err = in.cfg.Objects.Put(ctx, in.cfg.Buckets.Schemas, key, []byte(text))
		}
		return err
	})
	if ok {
		in.storedMu.Lock()
		in.stored[id] = true
		in.storedMu.Unlock()
	}
	return ok
}

// setAside stores a dead letter. The partition waits for it as for an alert: a
// message that is nowhere would be lost. It returns false if the partition
// stopped first.
func (in *Ingester) setAside(p *partition, e *entry, reason error) bool {
	r := e.record
	letter := DeadLetter{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC(),
		Reason: reason.Error(), Bytes: len(r.Value), Key: r.Key,
	}
	if id, _, err := packet.Unframe(r.Value); err == nil {
		letter.SchemaID = &id
	}
	for _, h := range r.Headers {
		letter.Headers = append(letter.Headers, DeadLetterHeader{Name: h.Key, Value: h.Value})
	}
	why, err := json.Marshal(letter)
	if err != nil {
		panic(err) // plain fields always marshal
	}
	in.cfg.Log.Warn("alert database ingester: message set aside",
		"topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "reason", reason)
	key := DeadLetterKey(r.Topic, r.Partition, r.Offset)
	ok := in.persist(p, "store dead letter", true, func(ctx context.Context) error {
		if err := in.cfg.Objects.Put(ctx, in.cfg.Buckets.Alerts, key+".bin", r.Value); err != nil {
			return err
		}
		return in.cfg.Objects.Put(ctx, in.cfg.Buckets.Alerts, key+".json", why)
	})
	if ok {
		in.stats.deadLetter()
		in.freed(p.finish(e))
	}
	return ok
}

// work stores the alerts of one shard, one after the other.
func (in *Ingester) work(jobs <-chan job) {
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, in.cfg.GzipLevel)
	if err != nil {
		panic(err) // NewIngester has checked the level
	}
	for j := range jobs {
		if clean := in.storeAlert(j, &buf, z); !clean {
			// An HTTP transport may go on reading a body after its request has
			// failed, so that this buffer must not be written again.
			buf = bytes.Buffer{}
		}
		j.partition.tasks.Done()
	}
}

// storeAlert returns whether the buffer is free for the next alert.
func (in *Ingester) storeAlert(j job, buf *bytes.Buffer, z *gzip.Writer) (clean bool) {
	if j.partition.soft.Err() != nil {
		return true
	}
	r := j.entry.record
	buf.Reset()
	z.Reset(buf)
	// Writing to memory does not fail.
	_, _ = z.Write(r.Value)
	_ = z.Close()
	attempts := 0
	ok := in.persist(j.partition, "store alert", false, func(ctx context.Context) error {
		attempts++
		return in.cfg.Objects.Put(ctx, in.cfg.Buckets.Alerts, AlertKey(j.id), buf.Bytes())
	})
	if ok {
		in.alertStored(j, r, buf.Len())
	}
	return ok && attempts == 1
}

func (in *Ingester) alertStored(j job, r *kgo.Record, size int) {
	in.stats.alert(j.id, len(r.Value), size)
	in.freed(j.partition.finish(j.entry))
	if in.cfg.OnStored != nil {
		in.cfg.OnStored(Stored{
			ID: j.id, SchemaID: j.schemaID,
			Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
			WireBytes: len(r.Value), ObjectBytes: size,
		})
	}
}

// sayWaiting logs that a partition waits, once for all that wait for the same reason at
// a time; what it gives is called when the wait is over. Of a missing bucket the reason
// is the bucket, whatever object it is asked for.
func (in *Ingester) sayWaiting(p *partition, what string, err error) (over func()) {
	reason := what + ": " + err.Error()
	var missing *objectstore.NotFoundError
	if errors.As(err, &missing) && errors.Is(err, objectstore.ErrNoBucket) {
		reason = missing.Error()
	}
	in.storedMu.Lock()
	in.waits[reason]++
	first := in.waits[reason] == 1
	in.storedMu.Unlock()
	level := slog.LevelDebug
	if first {
		level = slog.LevelWarn
	}
	in.cfg.Log.Log(context.Background(), level, "alert database ingester: waiting", "to", what, "topic", p.topic, "partition", p.partition, "error", err)
	return func() {
		in.storedMu.Lock()
		defer in.storedMu.Unlock()
		if in.waits[reason]--; in.waits[reason] == 0 {
			delete(in.waits, reason)
		}
	}
}

// persist tries until it succeeds, with growing pauses. It returns false if
// the partition stopped first. alone says that only this partition waits, so
// that it should leave room for the others.
func (in *Ingester) persist(p *partition, what string, alone bool, try func(context.Context) error) bool {
	var waiting bool
	pause := firstBackoff
	for {
		if p.soft.Err() != nil {
			return false
		}
		ctx, cancel := context.WithTimeout(p.hard, attemptLimit)
		err := try(ctx)
		cancel()
		if err == nil {
			return true
		}
		if p.hard.Err() != nil {
			return false
		}
		if !waiting {
			waiting = true
			in.stats.wait(1)
			defer in.stats.wait(-1)
			defer in.sayWaiting(p, what, err)()
			if alone {
				in.setWaiting(p, true)
				defer in.setWaiting(p, false)
			}
		}
		in.stats.retry(what, err)
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-p.soft.Done():
			timer.Stop()
			return false
		}
		pause = min(2*pause, maxBackoff)
	}
}
