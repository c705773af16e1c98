package smoke

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

// stream is the topic in which a reader can expect records: the simulator's
// when it is granted, else the first that it was granted by name. It is "" for
// a reader of "*" in a lab without a simulator.
func (e *Env) stream(u endpoints.User) string {
	if t := e.Endpoints.Simulator.Topic; t != "" && granted(u, t) {
		return t
	}
	for _, t := range u.Topics {
		if t != "*" {
			return t
		}
	}
	return ""
}

// testReader is the reader that is tried in depth: one that is not granted
// everything and that reads the simulator's topic, as far as there is one.
func (e *Env) testReader() endpoints.User {
	best, most := endpoints.User{}, -1
	for _, u := range e.readers() {
		points := 0
		if !slices.Contains(u.Topics, "*") {
			points += 2
		}
		if granted(u, e.Endpoints.Simulator.Topic) {
			points++
		}
		if points > most {
			best, most = u, points
		}
	}
	return best
}

func readerReads() Check {
	return Check{
		Name:     "reader-reads",
		Sentence: "a reader reads its topic with a group that begins with its own name",
		Needs:    []Need{NeedBrokers(), NeedReader()},
		Wait:     (*Env).interval, // the topic of a new lab is empty until the first visit
		Run:      runReaderReads,
	}
}

func runReaderReads(ctx context.Context, e *Env) (_ Evidence, err error) {
	u := e.testReader()
	topic := e.stream(u)
	if topic == "" {
		return "", &Skip{Reason: fmt.Sprintf("reader %s is granted every topic, and the card names none with records", u.Name)}
	}
	group := randomName(u.Name + "-smoke-")
	cl, err := kafka.NewClient(e.login(u.Name),
		kgo.DialTimeout(dialTimeout),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd().Relative(-1)),
		// One record is enough, so brokers are to send one batch each.
		kgo.FetchMaxBytes(1), kgo.FetchMaxPartitionBytes(1), kgo.FetchMaxWait(500*time.Millisecond),
	)
	if err != nil {
		return "", err
	}
	defer cl.Close()

	expected := fmt.Sprintf("%s to read %s as group %s", u.Name, topic, group)
	next := "alertlab plan"
	// A consumer tries again for long where this says at once that a
	// password is wrong.
	if _, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl.SeedBrokers()[0]); err != nil {
		return "", &Failure{Expected: expected, Seen: err.Error(), Next: next, Err: err}
	}
	// Joining a group takes a moment; only what takes longer is a wait.
	soon, cancelSoon := context.WithTimeout(ctx, time.Second)
	defer cancelSoon()
	rec, err := pollOne(soon, cl)
	if err != nil && soon.Err() != nil {
		e.Waiting("a record of %s", topic)
		rec, err = pollOne(ctx, cl)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no record of %s until the end of the check's time: %w", topic, ctx.Err())
			next = "alertlab status"
		}
		return "", &Failure{Expected: expected, Seen: err.Error(), Next: next, Err: err}
	}
	if err := cl.CommitRecords(ctx, rec); err != nil {
		return "", &Failure{Expected: expected + " and to commit its offset", Seen: err.Error(), Next: next, Err: err}
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cleanupTime())
	defer cancel()
	if err := leaveGroup(clean, cl, group); err != nil {
		return "", &Failure{Expected: u.Name + " to delete its group " + group, Seen: err.Error(), Next: next, Err: err}
	}
	return evidence("%s read %s partition %d offset %d (%d bytes) as group %s, committed, group deleted again",
		u.Name, topic, rec.Partition, rec.Offset, len(rec.Value), group), nil
}

// pollOne polls until there is a record or an error that stays.
func pollOne(ctx context.Context, cl *kgo.Client) (*kgo.Record, error) {
	for {
		fetches := cl.PollRecords(ctx, 1)
		if recs := fetches.Records(); len(recs) > 0 {
			return recs[0], nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, fe := range fetches.Errors() {
			return nil, fe.Err
		}
	}
}

func leaveGroup(ctx context.Context, cl *kgo.Client, group string) error {
	if err := cl.LeaveGroupContext(ctx); err != nil {
		return err
	}
	resp, err := kadm.NewClient(cl).DeleteGroup(ctx, group)
	if err != nil {
		return err
	}
	return resp.Err
}

func readerRefused() Check {
	return Check{
		Name:     "reader-refused",
		Sentence: "a wrong password, another's group, a write and an ungranted topic are refused",
		Needs:    []Need{NeedBrokers(), NeedReader()},
		Run:      runReaderRefused,
	}
}

// refusal is something that a reader must not get.
type refusal struct {
	what string
	want *kerr.Error
	try  func(context.Context) error
	// why not to try, "" to try
	not string
}

func runReaderRefused(ctx context.Context, e *Env) (Evidence, error) {
	u := e.testReader()
	cl, err := newClient(e.login(u.Name), kgo.RequestRetries(2))
	if err != nil {
		return "", err
	}
	defer cl.Close()

	group := e.foreignGroup(u.Name)
	refusals := []refusal{
		{
			what: "a wrong password", want: kerr.SaslAuthenticationFailed,
			try: func(ctx context.Context) error { return e.tryWrongPassword(ctx, u.Name) },
		}, {
			what: "the group " + group, want: kerr.GroupAuthorizationFailed,
			try: func(ctx context.Context) error {
				err := tryGroup(ctx, cl, group)
				if err == nil {
					e.forgetGroup(ctx, cl, group)
				}
				return err
			},
		},
	}
	write := refusal{want: kerr.TopicAuthorizationFailed}
	if topic := e.stream(u); topic != "" {
		write.what = "a write to " + topic
		write.try = func(ctx context.Context) error { return tryWrite(ctx, cl, topic) }
	} else {
		write.not = "a write (the card names no topic)"
	}
	foreign := refusal{want: kerr.TopicAuthorizationFailed}
	if topic, ok := e.foreignTopic(u); ok {
		foreign.what = "the ungranted topic " + topic
		foreign.try = func(ctx context.Context) error { return tryRead(ctx, cl, topic) }
	} else {
		foreign.not = "an ungranted topic (" + u.Name + " may read every topic)"
	}
	refusals = append(refusals, write, foreign)

	var expected, problems, refused, untried []string
	for _, r := range refusals {
		if r.not != "" {
			untried = append(untried, r.not)
			continue
		}
		err := r.try(ctx)
		switch {
		case errors.Is(err, r.want):
			refused = append(refused, fmt.Sprintf("%s (%s)", r.what, r.want.Message))
			continue
		case ctx.Err() != nil:
			return "", fmt.Errorf("trying %s: %w", r.what, err)
		case err == nil:
			problems = append(problems, r.what+" was allowed")
		default:
			problems = append(problems, fmt.Sprintf("%s gave %v", r.what, err))
		}
		expected = append(expected, fmt.Sprintf("%s for %s", r.want.Message, r.what))
	}
	if len(problems) > 0 {
		return "", &Failure{
			Expected: u.Name + " to get " + strings.Join(expected, " and "),
			Seen:     strings.Join(problems, "; "), Next: "alertlab plan",
		}
	}
	text := u.Name + " was refused " + strings.Join(refused, ", ")
	if len(untried) > 0 {
		text += "; not tried: " + strings.Join(untried, ", ")
	}
	return Evidence(text), nil
}

// foreignGroup names a group that a reader has no part in: under the name of
// another user where there is one. Nobody uses the group itself, so that in a
// lab where the reader is let in no consumer is disturbed.
func (e *Env) foreignGroup(user string) string {
	for _, u := range e.Endpoints.Users {
		if u.Name != user && !strings.HasPrefix(u.Name, user) {
			return randomName(u.Name + "-smoke-")
		}
	}
	return randomName("nobody-smoke-of-")
}

// foreignTopic names a topic that a reader is not granted, preferably one
// that exists: a broker hides whether it does from those who may not know.
func (e *Env) foreignTopic(u endpoints.User) (string, bool) {
	if slices.Contains(u.Topics, "*") {
		return "", false
	}
	if t := e.Endpoints.Simulator.StaticTopic; t != "" && !granted(u, t) {
		return t, true
	}
	return randomName("alertlab-smoke-"), true
}

func (e *Env) tryWrongPassword(ctx context.Context, user string) error {
	login := e.login(user)
	login.Password = randomName("wrong-")
	cl, err := newClient(login)
	if err != nil {
		return err
	}
	defer cl.Close()
	_, err = kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl.SeedBrokers()[0])
	return err
}

// tryGroup begins to join a group. The first answer to one who may is to come
// again with a member id, so no member is left behind.
func tryGroup(ctx context.Context, cl *kgo.Client, group string) error {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group = group
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 10_000
	req.ProtocolType = "consumer"
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name = "range"
	req.Protocols = append(req.Protocols, p)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); !errors.Is(err, kerr.MemberIDRequired) {
		return err
	}
	return nil
}

// forgetGroup deletes a group that should not have come to be, as far as the
// one who made it may; without members it would go by itself, later.
func (e *Env) forgetGroup(ctx context.Context, cl *kgo.Client, group string) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cleanupTime())
	defer cancel()
	_, _ = kadm.NewClient(cl).DeleteGroup(clean, group)
}

// tryWrite sends a batch that no broker can take, because its checksum is
// wrong: one that looks whether the user may write refuses before it looks at
// the batch, and one that does not look leaves the topic as it is. An alert
// topic must never hold a record that is not an alert.
func tryWrite(ctx context.Context, cl *kgo.Client, topic string) error {
	info, err := describeTopic(ctx, cl, topic, false)
	if err != nil {
		return fmt.Errorf("metadata: %w", notAnAnswer(err))
	}
	if len(info.Partitions) == 0 {
		return fmt.Errorf("topic %s has no partitions", topic)
	}
	part := info.Partitions[0]
	req := kmsg.NewPtrProduceRequest()
	req.Acks = -1
	req.TimeoutMillis = 5_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = part.Partition, brokenBatch()
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, cl.Broker(int(part.Leader)))
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			switch err := kerr.ErrorForCode(p.ErrorCode); {
			case errors.Is(err, kerr.CorruptMessage), errors.Is(err, kerr.InvalidRecord):
				return nil // the broker went on to look at the batch
			case err != nil:
				return err
			}
		}
	}
	return nil
}

// notAnAnswer hides a refusal that came too early from errors.Is: a reader
// that does not even see its own topic has not been refused a write.
func notAnAnswer(err error) error { return errors.New(err.Error()) }

// brokenBatch is a batch of one empty record in Kafka's format 2, all right
// but for its checksum.
func brokenBatch() []byte {
	record := kmsg.NewRecord()
	record.Length = 6 // attributes, timestamp, offset, key, value, headers: a byte each
	batch := kmsg.NewRecordBatch()
	batch.Magic = 2
	batch.PartitionLeaderEpoch, batch.ProducerID, batch.ProducerEpoch, batch.FirstSequence = -1, -1, -1, -1
	batch.NumRecords = 1
	batch.Records = record.AppendTo(nil)
	batch.Length = int32(49 + len(batch.Records)) // of what follows the length field
	raw := batch.AppendTo(nil)
	batch.CRC = ^int32(crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return batch.AppendTo(nil)
}

// tryRead fetches from a topic without asking first where it is: brokers look
// at the grant before they look for the leader.
func tryRead(ctx context.Context, cl *kgo.Client, topic string) error {
	_, err := newTopicLog(cl, topic).fetch(ctx, cl.SeedBrokers()[0], 0, 0)
	switch {
	case errors.Is(err, errNoRecord), errors.Is(err, kerr.NotLeaderForPartition), errors.Is(err, kerr.OffsetOutOfRange):
		return nil // not refused, only not found here
	}
	return err
}

func everyReader() Check {
	return Check{
		Name:     "every-reader",
		Sentence: "every reader logs in and reads a record",
		Needs:    []Need{NeedBrokers(), NeedReader()},
		Wait:     (*Env).interval,
		Run:      runEveryReader,
	}
}

func runEveryReader(ctx context.Context, e *Env) (Evidence, error) {
	readers := e.readers()
	type outcome struct {
		empty bool
		err   error
	}
	outcomes := make([]outcome, len(readers))
	var group errgroup.Group
	group.SetLimit(4)
	for i, u := range readers {
		group.Go(func() error {
			rec, err := e.readOne(ctx, u, uint64(i))
			outcomes[i] = outcome{empty: rec == nil, err: err}
			return nil
		})
	}
	_ = group.Wait() // outcomes are kept by place

	var empty, problems []string
	for i, o := range outcomes {
		switch {
		case o.err != nil:
			problems = append(problems, fmt.Sprintf("%s: %v", readers[i].Name, o.err))
		case o.empty:
			empty = append(empty, readers[i].Name)
		}
	}
	if len(problems) > 0 {
		return "", &Failure{
			Expected: fmt.Sprintf("all %d readers to log in and read", len(readers)),
			Seen:     strings.Join(problems, "; "), Next: "alertlab plan",
		}
	}
	text := fmt.Sprintf("%d of %d readers logged in and read a record", len(readers)-len(empty), len(readers))
	if len(empty) > 0 {
		text += "; logged in and found their topics empty: " + strings.Join(empty, ", ")
	}
	return Evidence(text), nil
}

// readOne reads one record as this reader, nil when the topics it may read
// are empty and no visits are played to them.
func (e *Env) readOne(ctx context.Context, u endpoints.User, stream uint64) (*kgo.Record, error) {
	cl, err := newClient(e.login(u.Name))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	rng := rand.New(rand.NewPCG(e.Seed, stream))
	if t := e.Endpoints.Simulator.Topic; t != "" && granted(u, t) && e.interval() > 0 {
		return newTopicLog(cl, t).waitLast(ctx, e, rng)
	}
	if e.stream(u) == "" {
		// Nothing on the card to read: the login itself is all there is to see.
		_, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl.SeedBrokers()[0])
		return nil, err
	}
	for _, t := range u.Topics {
		if t == "*" {
			continue
		}
		if rec, err := newTopicLog(cl, t).last(ctx, rng); err != nil || rec != nil {
			return rec, err
		}
	}
	return nil, nil
}
