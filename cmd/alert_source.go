package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/record"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/lab/fault"
)

// alertSource finds the alerts of a lab, as a user of it: in topics, and in the
// archive. The verb alert and the dashboard show what it gives.
type alertSource struct {
	a     *app
	flags consoleFlags

	mu      sync.Mutex
	schemas *console.Schemas
	at      string // address of the registry that they are of
	peek    *console.Peek
}

func newAlertSource(a *app, flags consoleFlags) *alertSource {
	return &alertSource{a: a, flags: flags}
}

// found is an alert in full.
type found struct {
	head   record.Head
	wire   []byte
	record *record.Record
	origin string // where its bytes were read, in words
}

// known gives the schemas of a registry; a lab's may come up at another address.
func (s *alertSource) known(address string) (*console.Schemas, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.schemas == nil || s.at != address {
		client, err := registry.NewClient(address)
		if err != nil {
			return nil, err
		}
		s.schemas, s.at = console.NewSchemas(client), address
	}
	return s.schemas, nil
}

// topics are those that the user sees, what the simulator publishes first.
func (s *alertSource) topics(ctx context.Context) ([]string, error) {
	l, err := s.a.lookAs(&s.flags)
	if err != nil {
		return nil, err
	}
	defer l.close()
	ctx, cancel := l.bound(ctx)
	defer cancel()
	names, err := l.TopicNames(ctx)
	if err != nil {
		return nil, l.explain("alertlab console topics", err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "__") })
	rank := func(n string) int {
		return slices.Index([]string{l.card.Simulator.StaticTopic, l.card.Simulator.Topic}, n)
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(b) - rank(a) })
	return names, nil
}

// follow begins a peek, which ends with the context.
func (s *alertSource) follow(ctx context.Context, topic string) (*peeking, error) {
	l, err := s.a.lookWith(&s.flags, console.PeekOptions()...)
	if err != nil {
		return nil, err
	}
	schemas, err := s.known(l.card.Registry.URL)
	if err != nil {
		l.close()
		return nil, err
	}
	peek, err := l.Cluster.Peek(ctx, topic, schemas, console.PeekLimits())
	if err != nil {
		l.close()
		return nil, l.explain("alertlab console messages "+topic, err)
	}
	p := &peeking{Peek: peek, look: l}
	// Also when nobody is left to close it.
	p.unwatch = context.AfterFunc(ctx, p.end)
	s.mu.Lock()
	s.peek = peek
	s.mu.Unlock()
	return p, nil
}

// peeking is a peek with its client.
type peeking struct {
	*console.Peek
	look    *looker
	once    sync.Once
	unwatch func() bool
}

// Next is a peek's, with a remedy for what ended it.
func (p *peeking) Next(ctx context.Context, after uint64) (record.View, error) {
	v, err := p.Peek.Next(ctx, after)
	if v.Err != nil {
		v.Err = p.look.explain("alertlab console messages", v.Err)
	}
	return v, err
}

// Close ends the peek and gives the connections back.
func (p *peeking) Close() {
	p.unwatch()
	p.end()
}

func (p *peeking) end() {
	p.once.Do(func() {
		p.Peek.Close()
		p.look.close()
	})
}

// open gives an alert that a peek listed: as it was kept, or else read again.
func (s *alertSource) open(ctx context.Context, h record.Head) (found, error) {
	s.mu.Lock()
	peek := s.peek
	s.mu.Unlock()
	if peek != nil {
		if wire, ok := peek.Packet(h.Partition, h.Offset); ok {
			card, _, err := s.a.card()
			if err != nil {
				return found{}, err
			}
			schemas, err := s.known(card.Registry.URL)
			if err != nil {
				return found{}, err
			}
			return s.decode(ctx, schemas, h, wire, "kept by the peek")
		}
	}
	return s.message(ctx, h.Topic, h.Partition, h.Offset)
}

// message reads one message of a topic.
func (s *alertSource) message(ctx context.Context, topic string, partition int32, offset int64) (found, error) {
	from, err := console.ParseFrom(fmt.Sprint(offset))
	if err != nil {
		return found{}, err
	}
	return s.read(ctx, console.Query{Topic: topic, Partition: partition, From: from, Limit: 1}, fmt.Sprintf("message %d/%d", partition, offset), offset)
}

// newest reads the newest message of a topic.
func (s *alertSource) newest(ctx context.Context, topic string) (found, error) {
	from, err := console.ParseFrom("-1")
	if err != nil {
		return found{}, err
	}
	return s.read(ctx, console.Query{Topic: topic, Partition: -1, From: from, Limit: 1}, "any message", -1)
}

// read gives the one message that a query finds; offset is where it must be, if it is
// not negative.
func (s *alertSource) read(ctx context.Context, q console.Query, what string, offset int64) (found, error) {
	l, err := s.a.lookAs(&s.flags)
	if err != nil {
		return found{}, err
	}
	defer l.close()
	schemas, err := s.known(l.card.Registry.URL)
	if err != nil {
		return found{}, err
	}
	q.Idle = s.flags.timeout
	var got *kgo.Record
	err = l.Messages(ctx, q, func(r *kgo.Record) error {
		got = r
		return nil
	})
	verb := "alertlab console messages " + q.Topic
	if err != nil {
		return found{}, l.explain(verb, err)
	}
	if got == nil || offset >= 0 && got.Offset != offset {
		why := "nothing has come to it yet"
		next := "alertlab simulator play   # publishes a visit"
		if offset >= 0 {
			why, next = "it was deleted by the topic's retention, or never was there", "alertlab console topics "+q.Topic+"   # shows its offsets; alertlab alert show ID fetches the archived copy"
		}
		return found{}, fault.New(fault.BadInput, fmt.Sprintf("there is no %s in topic %s", strings.TrimPrefix(what, "any "), q.Topic), why, next)
	}
	return s.decode(ctx, schemas, console.HeadOf(ctx, schemas, got), got.Value, "read from the topic")
}

// decode makes an alert of a message.
func (s *alertSource) decode(ctx context.Context, schemas *console.Schemas, h record.Head, wire []byte, origin string) (found, error) {
	r, err := console.OpenPacket(ctx, schemas, wire)
	if err != nil {
		next := fmt.Sprintf("alertlab console messages %s --partition %d --offset %d --limit 1", h.Topic, h.Partition, h.Offset)
		return found{}, fault.Wrap(fault.StepFailed, fmt.Sprintf("message %d/%d of topic %s cannot be read as an alert", h.Partition, h.Offset, h.Topic), err, next)
	}
	return found{head: h, wire: wire, record: r, origin: origin}, nil
}

// byID fetches an archived alert, and its schema from the archive too.
func (s *alertSource) byID(ctx context.Context, id int64) (found, error) {
	client, _, err := s.archive()
	if err != nil {
		return found{}, err
	}
	wire, err := client.Alert(ctx, id)
	if err != nil {
		return found{}, fault.Wrap(fault.StepFailed, fmt.Sprintf("alert %d could not be fetched", id), err, "alertlab status   # shows the id that was archived last")
	}
	schemaID, _, err := packet.Unframe(wire)
	if err != nil {
		return found{}, fault.Wrap(fault.StepFailed, fmt.Sprintf("archived alert %d is none", id), err, "alertlab alertdb get "+fmt.Sprint(id)+" -o wire | xxd | head")
	}
	text, err := client.Schema(ctx, int(schemaID))
	if err != nil {
		return found{}, err
	}
	schema, err := packet.ParseSchema(text)
	if err != nil {
		return found{}, err
	}
	schemas := console.NewSchemas(nil)
	schemas.Know(int(schemaID), schema, text)
	h := console.HeadOf(ctx, schemas, &kgo.Record{Value: wire})
	r, err := console.OpenPacket(ctx, schemas, wire)
	if err != nil {
		return found{}, fault.Wrap(fault.StepFailed, fmt.Sprintf("archived alert %d cannot be read", id), err, "alertlab schema show "+fmt.Sprint(schemaID))
	}
	return found{head: h, wire: wire, record: r, origin: "the alert database"}, nil
}

// archive gives a client of the alert database, with a token if it asks for one.
func (s *alertSource) archive() (archive.Client, string, error) {
	card, creds, err := s.a.card()
	if err != nil {
		return archive.Client{}, "", err
	}
	return archive.Client{URL: card.AlertDB.URL, Token: card.AlertDB.Secret(creds, time.Now())}, card.AlertDB.URL, nil
}

// copyState says how an archived copy is.
type copyState struct {
	State string `json:"state"` // equal, differs, absent or unknown
	URL   string `json:"url,omitempty"`
	Key   string `json:"key,omitempty"`
	Bytes int    `json:"bytes,omitempty"`
	// At is the first byte that differs, counted from 0.
	At    int    `json:"at,omitempty"`
	Why   string `json:"why,omitempty"`
	cause error
}

// compare looks at the archived copy of an alert.
func (s *alertSource) compare(ctx context.Context, f found) copyState {
	c := copyState{State: "unknown", Key: archive.AlertKey(f.head.ID)}
	unknown := func(err error) copyState {
		c.cause, c.Why = err, err.Error()
		return c
	}
	client, address, err := s.archive()
	if err != nil {
		return unknown(err)
	}
	c.URL = fmt.Sprintf("%s/v1/alerts/%d", strings.TrimSuffix(address, "/"), f.head.ID)
	ctx, cancel := context.WithTimeoutCause(ctx, s.flags.timeout, errNoArchive)
	defer cancel()
	stored, err := client.Alert(ctx, f.head.ID)
	switch {
	case errors.Is(err, archive.ErrNotFound):
		c.State = "absent"
		return c
	case err != nil && ctx.Err() != nil:
		return unknown(context.Cause(ctx))
	case err != nil:
		return unknown(err)
	}
	c.Bytes = len(stored)
	if c.At = firstDifference(stored, f.wire); c.At < 0 {
		c.State, c.At = "equal", 0
	} else {
		c.State = "differs"
	}
	return c
}

var errNoArchive = errors.New("the alert database did not answer in time")

// firstDifference gives the first byte in which two texts differ, -1 when they are the
// same.
func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) == len(b) {
		return -1
	}
	return min(len(a), len(b))
}
