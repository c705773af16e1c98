package smoke

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// acksEach is how many acknowledgements are waited for before a broker is
	// killed, while it is away, and after it is back.
	acksEach = 50
	// publishEvery is the pace of a check's own producer.
	publishEvery = 5 * time.Millisecond
	// restartTime is what bringing brokers back may take on top of a check's time, and
	// reviveTime where Kubernetes does it: pods have a minute for their end, and JVMs of
	// all brokers start side by side on what may be two cores.
	restartTime = time.Minute
	reviveTime  = 4 * time.Minute
)

// restartBound is how long brokers of the lab may take to come back.
func restartBound(e *Env) time.Duration {
	if _, revives := e.Endpoints.Handles.Brokers.(endpoints.Reviver); revives {
		return reviveTime
	}
	return restartTime
}

// NeedBrokerControl is met when whoever runs the checks can kill brokers of the lab
// and bring them back.
func NeedBrokerControl() Need {
	return Need{Name: "broker-control", Missing: func(e *Env) string {
		if e.Endpoints.Handles.Brokers == nil {
			return "the lab offers no broker control"
		}
		return ""
	}}
}

func brokerKilled() Check {
	return Check{
		Name:       "broker-killed",
		Sentence:   "killing a broker loses no acknowledged alert",
		Disruptive: true,
		Needs:      []Need{NeedBrokerControl(), NeedBrokers(), NeedSimulator(), NeedSuperuser()},
		Wait:       restartBound,
		Run:        runBrokerKilled,
	}
}

func runBrokerKilled(ctx context.Context, e *Env) (_ Evidence, err error) {
	cl, err := newClient(e.login(e.superuser(), e.seeds()...))
	if err != nil {
		return "", err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	stream := newTopicLog(cl, e.Endpoints.Simulator.Topic)
	described, err := describeTopic(ctx, cl, stream.topic, false)
	if err != nil {
		return "", err
	}
	copies := len(e.Endpoints.Kafka.Brokers)
	for _, p := range described.Partitions {
		copies = min(copies, len(p.Replicas))
	}
	rng := e.random("broker-killed")
	before, err := takeSample(ctx, e, stream, 20)
	if err != nil {
		return "", err
	}
	alert := []byte("an alert, as far as a broker is concerned")
	if rec, err := stream.last(ctx, rng); err != nil {
		return "", err
	} else if rec != nil {
		alert = rec.Value
	}

	// A topic of its own, so that nobody else meets these alerts, with the
	// copies that the public one has and a partition for each broker.
	topic, partitions := randomName("alertlab-smoke-"), len(e.Endpoints.Kafka.Brokers)
	if _, err := adm.CreateTopic(ctx, int32(partitions), int16(copies), nil, topic); err != nil {
		return "", fmt.Errorf("creating a topic of %d copies: %w", copies, err)
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cleanupTime())
		defer cancel()
		if derr := deleteTopic(clean, adm, topic); derr != nil && err == nil {
			err = &Failure{Expected: "to delete the check's own topic " + topic, Seen: derr.Error(), Err: derr, Next: "alertlab console topics"}
		}
	}()
	load, err := startLoad(e, topic, partitions, alert)
	if err != nil {
		return "", err
	}
	defer load.close()
	if err := load.await(ctx, acksEach); err != nil {
		return "", fmt.Errorf("publishing before any broker was killed: %w", err)
	}

	victim := e.Endpoints.Kafka.Brokers[rng.IntN(partitions)]
	control := e.Endpoints.Handles.Brokers
	// Where the broker comes back by itself it may be there before anybody has looked.
	reviver, revives := control.(endpoints.Reviver)
	dead := false
	restart := func() error {
		if !dead {
			return nil
		}
		dead = false
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), restartBound(e))
		defer cancel()
		if revives {
			return reviver.AwaitBroker(clean, victim.ID)
		}
		return control.RestartBroker(clean, victim.ID)
	}
	defer func() { // whatever else is found, the lab gets its broker back
		if rerr := restart(); rerr != nil && err == nil {
			err = &Failure{Expected: fmt.Sprintf("broker %d to come back", victim.ID), Seen: rerr.Error(), Err: rerr, Next: "alertlab up"}
		}
	}()
	dead = true // even when the kill says that it failed
	if err := control.KillBroker(ctx, victim.ID); err != nil {
		return "", fmt.Errorf("killing broker %d: %w", victim.ID, err)
	}
	if revives {
		e.Waiting("broker %d to be made anew", victim.ID)
	} else if _, err := e.askBroker(ctx, victim.Address, victim.ID); err == nil {
		return "", &Failure{Expected: fmt.Sprintf("nothing to answer at %s once broker %d is killed", victim.Address, victim.ID), Seen: "an answer", Next: "alertlab status"}
	}
	atKill := load.count()
	if partitions > 1 {
		if err := load.await(ctx, atKill+acksEach); err != nil {
			return "", &Failure{Expected: fmt.Sprintf("the other brokers to acknowledge alerts while broker %d is away", victim.ID),
				Seen: fmt.Sprintf("%d of %d: %v", load.count()-atKill, acksEach, err), Err: err, Next: "alertlab console brokers"}
		}
	}
	// With one copy there is nothing to read from while its broker is away, or it
	// proves nothing.
	single := copies == 1 || e.Endpoints.Kafka.StoredOnce
	if !single {
		if err := load.verify(ctx, e, load.acknowledged(), fmt.Sprintf("while broker %d is away", victim.ID)); err != nil {
			return "", err
		}
	}
	away := load.count() - atKill
	back := "while it was away"
	if revives {
		back = "while it came back"
	}
	if err := restart(); err != nil {
		return "", &Failure{Expected: fmt.Sprintf("broker %d to come back", victim.ID), Seen: err.Error(), Err: err, Next: "alertlab up"}
	}
	if revives {
		away = load.count() - atKill
	}
	if err := load.await(ctx, load.count()+acksEach); err != nil {
		return "", fmt.Errorf("publishing after the restart: %w", err)
	}
	acked, err := load.stop(ctx)
	if err != nil {
		return "", err
	}
	if err := load.verify(ctx, e, acked, fmt.Sprintf("after the restart of broker %d", victim.ID)); err != nil {
		return "", err
	}
	kept, err := before.compare(ctx)
	if err != nil {
		return "", err
	}
	proves := fmt.Sprintf("%d copies of each, read while it was away too", copies)
	if revives && !single {
		proves = fmt.Sprintf("%d copies of each", copies)
	}
	if single {
		proves = "each is stored once, so this proves that all is back after the restart, not that it survives the loss"
	}
	return evidence("broker %d killed under load: %d alerts acknowledged (%d %s), all there byte for byte, and %s; %s",
		victim.ID, len(acked), away, back, kept, proves), nil
}

func restartKeepsData() Check {
	return Check{
		Name:       "restart-keeps-data",
		Sentence:   "a restart of all brokers keeps records, group offsets and users",
		Disruptive: true,
		Needs:      []Need{NeedBrokerControl(), NeedBrokers(), NeedSuperuser()},
		Wait:       restartBound,
		Run:        runRestartKeepsData,
	}
}

func runRestartKeepsData(ctx context.Context, e *Env) (Evidence, error) {
	cl, err := newClient(e.login(e.superuser(), e.seeds()...))
	if err != nil {
		return "", err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	topics, err := adm.ListTopics(ctx) // without internal ones
	if err != nil {
		return "", err
	}
	names := slices.DeleteFunc(topics.Names(), func(n string) bool { return strings.HasPrefix(n, "alertlab-smoke-") })
	var samples []*sample
	for _, name := range names {
		s, err := takeSample(ctx, e, newTopicLog(cl, name), 50)
		if err != nil {
			return "", err
		}
		samples = append(samples, s)
	}
	offsets, err := groupOffsets(ctx, adm)
	if err != nil {
		return "", err
	}

	began := time.Now()
	e.Waiting("all brokers to end and to start again")
	if err := e.Endpoints.Handles.Brokers.RestartBrokers(ctx); err != nil {
		return "", &Failure{Expected: "all brokers to come back", Seen: err.Error(), Err: err, Next: "alertlab up"}
	}
	took := time.Since(began)
	for _, b := range e.Endpoints.Kafka.Brokers {
		if _, err := e.askBroker(ctx, b.Address, b.ID); err != nil {
			return "", &Failure{Expected: fmt.Sprintf("broker %d to answer at %s after the restart", b.ID, b.Address), Seen: err.Error(), Err: err, Next: "alertlab up"}
		}
	}
	var kept []string
	for _, s := range samples {
		text, err := s.compare(ctx)
		if err != nil {
			return "", err
		}
		if len(s.seen) > 0 { // nothing is kept of an empty topic
			kept = append(kept, text)
		}
	}
	now, err := groupOffsets(ctx, adm)
	if err != nil {
		return "", err
	}
	for _, g := range slices.Sorted(maps.Keys(offsets)) {
		for at, offset := range offsets[g] {
			if n, ok := now[g][at]; !ok || n < offset {
				return "", &Failure{Expected: fmt.Sprintf("group %s to be at offset %d of %s or further, as before the restart", g, offset, at),
					Seen: fmt.Sprintf("offset %d", n), Next: "alertlab console groups"}
			}
		}
	}
	users := "superuser " + e.superuser()
	if len(e.readers()) > 0 {
		u := e.testReader()
		if _, err := e.askAs(ctx, u.Name); err != nil {
			return "", &Failure{Expected: u.Name + " to log in after the restart", Seen: err.Error(), Err: err, Next: "alertlab plan"}
		}
		users += " and reader " + u.Name
	}
	return evidence("%d brokers restarted in %s: %s; offsets of %d groups kept; %s log in", len(e.Endpoints.Kafka.Brokers), round(took),
		strings.Join(kept, ", "), len(offsets), users), nil
}

// askAs asks the bootstrap address for metadata as a user.
func (e *Env) askAs(ctx context.Context, user string) (*kmsg.MetadataResponse, error) {
	cl, err := newClient(e.login(user, e.seeds()...))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	return req.RequestWith(ctx, cl)
}

// seeds are all addresses of the cluster: a check that takes brokers away must not
// depend on one of them.
func (e *Env) seeds() []string {
	out := []string{e.Endpoints.Kafka.Bootstrap}
	for _, b := range e.Endpoints.Kafka.Brokers {
		out = append(out, b.Address)
	}
	return out
}

// groupOffsets gives what every group has committed, by group and partition.
func groupOffsets(ctx context.Context, adm *kadm.Client) (map[string]map[string]int64, error) {
	groups, err := adm.ListGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing groups: %w", err)
	}
	out := map[string]map[string]int64{}
	for _, g := range groups.Groups() {
		committed, err := adm.FetchOffsets(ctx, g)
		if err == nil {
			err = committed.Error()
		}
		if err != nil {
			return nil, fmt.Errorf("offsets of group %s: %w", g, err)
		}
		committed.Each(func(o kadm.OffsetResponse) {
			if out[g] == nil {
				out[g] = map[string]int64{}
			}
			out[g][fmt.Sprintf("%s[%d]", o.Topic, o.Partition)] = o.At
		})
	}
	return out, nil
}

// sample is some records of a topic, to be looked at again later.
type sample struct {
	log  *topicLog
	seen map[place][sha256.Size]byte
	ends map[int32]int64
}

// takeSample reads up to n records at random places of a topic.
func takeSample(ctx context.Context, e *Env, log *topicLog, n int) (*sample, error) {
	spans, err := log.spans(ctx)
	if err != nil {
		return nil, err
	}
	s := &sample{log: log, seen: map[place][sha256.Size]byte{}, ends: map[int32]int64{}}
	for _, sp := range spans {
		s.ends[sp.partition] = sp.to
	}
	for _, p := range pick(e.random("sample of "+log.topic), spans, n) {
		rec, err := log.at(ctx, p.partition, p.offset)
		switch {
		case errors.Is(err, errNoRecord): // compacted away
			continue
		case err != nil:
			return nil, err
		}
		s.seen[p] = digest(rec)
	}
	return s, nil
}

// compare reads the same places again. What retention has removed meanwhile is left
// out, and said to be.
func (s *sample) compare(ctx context.Context) (string, error) {
	s.log.forgetLeaders()
	spans, err := s.log.spans(ctx)
	if err != nil {
		return "", err
	}
	from := map[int32]int64{}
	for _, sp := range spans {
		from[sp.partition] = sp.from
		if sp.to < s.ends[sp.partition] {
			return "", &Failure{Expected: fmt.Sprintf("%s partition %d to reach to offset %d at least, as before", s.log.topic, sp.partition, s.ends[sp.partition]),
				Seen: fmt.Sprintf("its end at offset %d", sp.to), Next: "alertlab console topics " + s.log.topic}
		}
	}
	same, gone := 0, 0
	for p, want := range s.seen {
		if p.offset < from[p.partition] {
			gone++
			continue
		}
		rec, err := s.log.at(ctx, p.partition, p.offset)
		if err == nil && digest(rec) == want {
			same++
			continue
		}
		seen := "another record"
		if err != nil {
			seen = err.Error()
		}
		return "", &Failure{Expected: fmt.Sprintf("%s partition %d offset %d to hold the record that was there before", s.log.topic, p.partition, p.offset),
			Seen: seen, Err: err, Next: "alertlab console topics " + s.log.topic}
	}
	text := fmt.Sprintf("%d sampled records of %s unchanged", same, s.log.topic)
	if gone > 0 {
		text += fmt.Sprintf(" (%d removed by retention)", gone)
	}
	return text, nil
}

func digest(r *kgo.Record) [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d ", len(r.Key), len(r.Value))
	h.Write(r.Key)
	h.Write(r.Value)
	return [sha256.Size]byte(h.Sum(nil))
}

// load publishes one alert again and again, each time under another key, and notes
// what was acknowledged.
type load struct {
	client *kgo.Client
	topic  string
	alert  []byte
	cancel context.CancelFunc
	over   chan struct{}
	news   chan struct{} // something was acknowledged

	mu    sync.Mutex
	acked []ack
	lost  error // the first record that was given up
}

// ack is a promise of the brokers.
type ack struct {
	place
	digest [sha256.Size]byte
}

func startLoad(e *Env, topic string, partitions int, alert []byte) (*load, error) {
	cl, err := kafka.NewClient(e.login(e.superuser(), e.seeds()...), kgo.DialTimeout(dialTimeout),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MetadataMinAge(100*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{client: cl, topic: topic, alert: alert, cancel: cancel, over: make(chan struct{}), news: make(chan struct{}, 1)}
	go l.run(ctx, partitions)
	return l, nil
}

func (l *load) run(ctx context.Context, partitions int) {
	defer close(l.over)
	tick := time.NewTicker(publishEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// TryProduce: a partition whose only broker is away must not hold up
		// the others. Not bound to ctx: what is buffered at the end is flushed.
		l.client.TryProduce(context.WithoutCancel(ctx), &kgo.Record{Topic: l.topic, Partition: int32(n % partitions),
			Key: strconv.AppendInt(nil, int64(n), 10), Value: l.alert}, l.done)
	}
}

func (l *load) done(r *kgo.Record, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil { // never acknowledged: nothing was promised
		if l.lost == nil && !errors.Is(err, kgo.ErrMaxBuffered) {
			l.lost = err
		}
		return
	}
	l.acked = append(l.acked, ack{place{r.Partition, r.Offset}, digest(r)})
	select {
	case l.news <- struct{}{}:
	default:
	}
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

func (l *load) acknowledged() []ack {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.acked)
}

// await waits until n alerts are acknowledged.
func (l *load) await(ctx context.Context, n int) error {
	for l.count() < n {
		select {
		case <-ctx.Done():
			l.mu.Lock()
			defer l.mu.Unlock()
			return errors.Join(fmt.Errorf("%d of %d alerts were acknowledged: %w", len(l.acked), n, ctx.Err()), l.lost)
		case <-l.news:
		}
	}
	return nil
}

// stop ends publishing, and gives everything that was acknowledged.
func (l *load) stop(ctx context.Context) ([]ack, error) {
	l.cancel()
	<-l.over
	if err := l.client.Flush(ctx); err != nil {
		return nil, fmt.Errorf("alerts that were sent were never answered: %w", err)
	}
	return l.acknowledged(), nil
}

func (l *load) close() {
	l.cancel()
	<-l.over
	l.client.Close()
}

// verify reads the topic and looks for everything that was acknowledged.
func (l *load) verify(ctx context.Context, e *Env, acked []ack, when string) error {
	need := map[int32]int64{} // offset after the last one that is looked for
	for _, a := range acked {
		need[a.partition] = max(need[a.partition], a.offset+1)
	}
	from := map[int32]kgo.Offset{}
	for p := range need {
		from[p] = kgo.NewOffset().At(0)
	}
	cl, err := kafka.NewClient(e.login(e.superuser(), e.seeds()...), kgo.DialTimeout(dialTimeout),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{l.topic: from}))
	if err != nil {
		return err
	}
	defer cl.Close()
	failed := func(seen string, err error) error {
		return &Failure{Expected: fmt.Sprintf("%d acknowledged alerts to be there %s, each at its offset", len(acked), when), Seen: seen, Err: err, Next: "alertlab logs kafka"}
	}
	there := map[place][sha256.Size]byte{}
	for len(need) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := errors.Join(fetches.Err0(), ctx.Err()); err != nil {
			return failed(fmt.Sprintf("%d partitions that could not be read to their end: %v", len(need), err), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			there[place{r.Partition, r.Offset}] = digest(r)
			if r.Offset+1 >= need[r.Partition] {
				delete(need, r.Partition)
			}
		})
	}
	lost, other := 0, 0
	var first ack
	for _, a := range acked {
		switch got, ok := there[a.place]; {
		case !ok:
			lost++
		case got != a.digest:
			other++
		default:
			continue
		}
		if lost+other == 1 {
			first = a
		}
	}
	if lost+other > 0 {
		return failed(fmt.Sprintf("%d missing and %d with other bytes, the first at partition %d offset %d", lost, other, first.partition, first.offset), nil)
	}
	return nil
}
