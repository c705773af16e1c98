package smoke

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

const (
	// sampleSize is how many alerts of a visit are compared.
	sampleSize = 100
	// objectSample is how many of them are looked for in the object store.
	objectSample = 10
	// ingestPatience is how far the alert database may lag behind at most;
	// half of the check's time when that is less, which leaves the other half
	// for comparing.
	ingestPatience = 15 * time.Second
	// fetchAgain is the pause before the alert database is asked again.
	fetchAgain = 100 * time.Millisecond
	// maxObject bounds what one object unpacks to, in bytes: more than a broker
	// takes as one batch at any site.
	maxObject = 64 << 20
)

func alertDatabaseBytes() Check {
	return Check{
		Name:     "alert-database-bytes",
		Sentence: "alerts of the last complete visit come back from the alert database byte for byte",
		Needs:    []Need{NeedBrokers(), NeedRegistry(), NeedSimulator(), NeedAlertDatabase(), needStreamReader()},
		Wait:     func(e *Env) time.Duration { return 2 * e.interval() },
		Run: func(ctx context.Context, e *Env) (Evidence, error) {
			return e.compareVisit(ctx, "alert-database-bytes", sampleSize, e.fromDatabase)
		},
	}
}

func alertObjects() Check {
	return Check{
		Name:     "alert-objects",
		Sentence: "objects of archived alerts lie at v2/alerts/<first six>/<id>.avro.gz",
		Needs:    []Need{NeedBrokers(), NeedRegistry(), NeedSimulator(), NeedObjectStore(), needStreamReader()},
		Wait:     func(e *Env) time.Duration { return 2 * e.interval() },
		Run:      runAlertObjects,
	}
}

func runAlertObjects(ctx context.Context, e *Env) (Evidence, error) {
	store := e.Endpoints.ObjectStore
	objects := objectstore.NewClient(objectstore.ClientConfig{Endpoint: store.URL, Region: store.Region,
		AccessKey: e.Credentials.ObjectStore.AccessKey, SecretKey: e.Credentials.ObjectStore.SecretKey})
	defer objects.Close()
	seen, err := e.compareVisit(ctx, "alert-objects", objectSample, func(ctx context.Context, id int64) (packed []byte, missing, err error) {
		packed, err = objects.Bytes(ctx, store.AlertBucket, objectKey(id))
		if errors.Is(err, objectstore.ErrNotFound) {
			return nil, err, nil
		}
		return packed, nil, err
	})
	if err != nil {
		return "", err
	}
	return evidence("bucket %s: %s", store.AlertBucket, seen), nil
}

// objectKey is the key of an alert as alert_database_ingester writes it since its
// version 4. It is written down here once more: a check that took the ingester's word
// would not see it change.
func objectKey(id int64) string {
	text := strconv.FormatInt(id, 10)
	return "v2/alerts/" + text[:min(6, len(text))] + "/" + text + ".avro.gz"
}

// stored looks for an archived alert. What is not there, or not yet, is missing.
type stored func(ctx context.Context, id int64) (packed []byte, missing, err error)

// fromDatabase asks the alert database.
func (e *Env) fromDatabase(ctx context.Context, id int64) (packed []byte, missing, err error) {
	address := under(e.Endpoints.AlertDB.URL, "v1", "alerts", strconv.FormatInt(id, 10))
	got, err := e.fetch(ctx, address)
	switch {
	case err != nil:
		return nil, nil, err
	case got.status == http.StatusOK:
		return got.body, nil, nil
	case got.status == http.StatusNotFound:
		return nil, &statusError{address: address, answer: got}, nil
	}
	return nil, nil, &statusError{address: address, answer: got}
}

// compareVisit compares alerts of the last complete visit with what is stored of them.
func (e *Env) compareVisit(ctx context.Context, check string, n int, from stored) (Evidence, error) {
	cl, err := newClient(e.login(e.streamReader()))
	if err != nil {
		return "", err
	}
	defer cl.Close()
	log := newTopicLog(cl, e.Endpoints.Simulator.Topic)
	v := visits{log: log, topic: log.topic, interval: e.interval()}
	visit, err := v.lastComplete(ctx, e)
	if err != nil {
		return "", err
	}
	picks := pick(e.random(check), visit.spans, n)
	if len(picks) == 0 {
		// Nothing compared is nothing proven.
		return "", &Failure{
			Expected: "the alerts of the visit of " + clock(visit.start) + " to be on " + v.topic,
			Seen:     "none of them any more", Next: "alertlab status",
		}
	}

	a := &archiveSample{env: e, log: log, from: from, visit: visit, schemas: make(map[uint32]*packet.Schema)}
	defer a.close()
	a.patience = min(ingestPatience, e.timeout/2)
	problems := make([]error, len(picks))
	var group errgroup.Group
	group.SetLimit(8)
	for i, p := range picks {
		group.Go(func() error {
			problems[i] = a.compare(ctx, p)
			return nil
		})
	}
	_ = group.Wait() // problems are kept by place

	bad := 0
	var first error
	for _, p := range problems {
		if p == nil {
			continue
		}
		bad++
		if first == nil {
			first = p
		}
	}
	of := fmt.Sprintf("%d of the %d alerts of the visit of %s", len(picks), visit.alerts(), clock(visit.start))
	if bad > 0 {
		return "", &Failure{
			Expected: fmt.Sprintf("%s, picked with seed %d, to come back byte for byte", of, e.Seed),
			Seen:     fmt.Sprintf("%d did not; the first: %v", bad, first),
			Err:      first, Next: "alertlab logs alert-database-ingester",
		}
	}
	lag := "no ingest lag seen"
	if a.lag > 0 {
		lag = fmt.Sprintf("waited %s for the ingester", round(a.lag))
	}
	if a.later > 0 {
		lag += fmt.Sprintf("; %d were published again since, and are stored as they were then", a.later)
	}
	return evidence("%s, seed %d, %.1f MB equal, %s", of, e.Seed, float64(a.bytes)/1e6, lag), nil
}

// visit is one burst of alerts in a topic.
type visit struct {
	start time.Time
	spans []span
}

func (v visit) alerts() int64 {
	var n int64
	for _, s := range v.spans {
		n += s.to - s.from
	}
	return n
}

// lastComplete finds the newest visit after which there was a pause, waiting
// for one when there is none yet. It counts back from the newest record, not
// from now, so that a lab whose simulator is paused can be checked too.
func (v visits) lastComplete(ctx context.Context, e *Env) (visit, error) {
	for {
		// The next visit may begin between any two of these questions, so
		// silence is only what lies between newest and a moment before it
		// was asked for, and a start after newest is of a visit under way.
		asked := time.Now()
		newest, err := v.log.newestTime(ctx)
		if err != nil {
			return visit{}, err
		}
		var starts []time.Time
		if !newest.IsZero() {
			if starts, err = v.recent(ctx, newest); err != nil {
				return visit{}, err
			}
			quiet := asked.Sub(newest) > v.gap()
			n := len(starts)
			switch {
			case n > 0 && quiet && !starts[n-1].After(newest):
				return v.between(ctx, starts[n-1], newest.Add(time.Millisecond))
			case n > 1:
				return v.between(ctx, starts[n-2], starts[n-1])
			}
		}
		if len(starts) == 0 {
			e.Waiting("a first visit on %s", v.topic)
		} else {
			e.Waiting("the end of the first visit on %s, which began at %s", v.topic, clock(starts[0]))
		}
		if err := pause(ctx, min(max(v.gap()/4, 50*time.Millisecond), time.Second)); err != nil {
			return visit{}, err
		}
	}
}

// between gives the visit with its records from start up to, not including, end.
func (v visits) between(ctx context.Context, start, end time.Time) (visit, error) {
	from, _, err := v.log.after(ctx, start)
	if err != nil {
		return visit{}, err
	}
	to, _, err := v.log.after(ctx, end)
	if err != nil {
		return visit{}, err
	}
	out := visit{start: start}
	for partition, offset := range from {
		if to[partition] > offset {
			out.spans = append(out.spans, span{partition, offset, to[partition]})
		}
	}
	slices.SortFunc(out.spans, func(a, b span) int { return int(a.partition - b.partition) })
	return out, nil
}

// place is one record.
type place struct {
	partition int32
	offset    int64
}

// pick chooses n different places at random, all of them when there are no
// more, by Floyd's algorithm: memory and time go with n, not with the visit.
func pick(rng *rand.Rand, spans []span, n int) []place {
	total := visit{spans: spans}.alerts()
	chosen := make(map[int64]bool)
	for top := max(total-int64(n), 0); top < total; top++ {
		k := rng.Int64N(top + 1)
		if chosen[k] {
			k = top
		}
		chosen[k] = true
	}
	out := make([]place, 0, len(chosen))
	for k := range chosen {
		for _, s := range spans {
			if size := s.to - s.from; k < size {
				out = append(out, place{s.partition, s.from + k})
				break
			} else {
				k -= size
			}
		}
	}
	slices.SortFunc(out, func(a, b place) int {
		if a.partition != b.partition {
			return int(a.partition - b.partition)
		}
		if a.offset < b.offset {
			return -1
		}
		return 1
	})
	return out
}

// archiveSample compares records with what the alert database has of them.
type archiveSample struct {
	env      *Env
	log      *topicLog
	from     stored
	visit    visit
	patience time.Duration

	mu      sync.Mutex
	schemas map[uint32]*packet.Schema
	bytes   int64
	lag     time.Duration // the longest wait for an alert
	since   time.Time     // when an alert was found missing first
	later   int           // alerts that were published again with other bytes

	// What was published since the sampled visit began, looked at only when the
	// bytes of an alert differ.
	tailing   sync.Mutex
	tail      *tail
	published map[int64][][sha256.Size]byte // digests of the values, by alert id
}

func (a *archiveSample) compare(ctx context.Context, p place) error {
	rec, err := a.log.at(ctx, p.partition, p.offset)
	if err != nil {
		return err
	}
	id, err := a.alertID(ctx, rec)
	if err != nil {
		return fmt.Errorf("partition %d offset %d: %w", p.partition, p.offset, err)
	}
	packed, err := a.fetch(ctx, id)
	if err != nil {
		return fmt.Errorf("alert %d (partition %d offset %d): %w", id, p.partition, p.offset, err)
	}
	for {
		stored, err := unpack(packed)
		if err == nil && bytes.Equal(stored, rec.Value) {
			break
		}
		if err == nil {
			err = differ(stored, rec.Value)
		}
		// An id that is published twice with other bytes is stored as the
		// later one, and until that is archived as the earlier one.
		if again, lookErr := a.publishedLater(ctx, id, stored); lookErr != nil {
			return fmt.Errorf("alert %d: %w", id, lookErr)
		} else if again {
			a.mu.Lock()
			a.later++
			a.mu.Unlock()
			return nil
		}
		if waited := a.missing(); waited >= a.patience {
			return fmt.Errorf("alert %d (partition %d offset %d): %w", id, p.partition, p.offset, err)
		}
		a.env.Waiting("the ingester to store alert %d as it was published last", id)
		if err := pause(ctx, fetchAgain); err != nil {
			return err
		}
		if packed, err = a.fetch(ctx, id); err != nil {
			return fmt.Errorf("alert %d (partition %d offset %d): %w", id, p.partition, p.offset, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bytes += int64(len(rec.Value))
	return nil
}

// publishedLater says whether an id was published with these bytes in the sampled
// visit or after it.
func (a *archiveSample) publishedLater(ctx context.Context, id int64, stored []byte) (bool, error) {
	a.tailing.Lock()
	defer a.tailing.Unlock()
	if a.tail == nil {
		from, _, err := a.log.after(ctx, a.visit.start)
		if err != nil {
			return false, err
		}
		if a.tail, err = a.env.newTail(a.log, a.env.streamReader(), from); err != nil {
			return false, err
		}
		a.published = map[int64][][sha256.Size]byte{}
	}
	err := a.tail.read(ctx, func(r *kgo.Record) {
		if other, err := a.alertID(ctx, r); err == nil { // else it is no alert
			if sum := sha256.Sum256(r.Value); !slices.Contains(a.published[other], sum) {
				a.published[other] = append(a.published[other], sum)
			}
		}
	})
	return slices.Contains(a.published[id], sha256.Sum256(stored)), err
}

func (a *archiveSample) close() {
	if a.tail != nil {
		a.tail.close()
	}
}

// alertID reads the id under which the ingester stores a record.
func (a *archiveSample) alertID(ctx context.Context, rec *kgo.Record) (int64, error) {
	schemaID, body, err := packet.Unframe(rec.Value)
	if err != nil {
		return 0, err
	}
	schema, err := a.schema(ctx, schemaID)
	if err != nil {
		return 0, err
	}
	head, err := schema.Head(body)
	return head.ID, err
}

// schema fetches each schema once; those that ask meanwhile wait for it.
func (a *archiveSample) schema(ctx context.Context, id uint32) (*packet.Schema, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.schemas[id]; ok {
		return s, nil
	}
	s, err := a.env.schemaByID(ctx, id)
	if err != nil {
		return nil, err
	}
	a.schemas[id] = s
	return s, nil
}

// fetch gets an object, giving the ingester time to store it.
func (a *archiveSample) fetch(ctx context.Context, id int64) ([]byte, error) {
	for {
		packed, missing, err := a.from(ctx, id)
		if err != nil || missing == nil {
			return packed, err
		}
		waited := a.missing()
		if waited >= a.patience {
			return nil, fmt.Errorf("after %s of waiting for the ingester: %w", round(waited), missing)
		}
		a.env.Waiting("the ingester to store alerts of the last complete visit")
		if err := pause(ctx, fetchAgain); err != nil {
			return nil, err
		}
	}
}

// missing notes that an alert is not there yet and says for how long this
// sample waits by now. Patience is for the sample, not for each alert.
func (a *archiveSample) missing() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since.IsZero() {
		a.since = time.Now()
	}
	a.lag = max(time.Since(a.since), time.Millisecond)
	return a.lag
}

// unpack takes a gzipped object apart.
func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("the object of %d bytes is not gzip: %w", len(packed), err)
	}
	stored, err := io.ReadAll(io.LimitReader(z, maxObject+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the object of %d bytes does not unpack: %w", len(packed), err)
	case len(stored) > maxObject:
		return nil, fmt.Errorf("the object of %d bytes unpacks to more than any broker takes", len(packed))
	}
	return stored, nil
}

// differ says where two values differ.
func differ(stored, published []byte) error {
	at := 0
	for at < len(stored) && at < len(published) && stored[at] == published[at] {
		at++
	}
	return fmt.Errorf("%d bytes stored, %d published, the first difference is at byte %d", len(stored), len(published), at)
}
