package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/alertlab/alertlab/alerts/kafka"
)

// Writer is what the ingester needs of an object store; *objectstore.Client is
// one. Put must have replaced the whole object when it returns nil, and a
// missing object is an error that matches objectstore.ErrNotFound.
type Writer interface {
	Put(ctx context.Context, bucket, key string, body []byte) error
	Stat(ctx context.Context, bucket, key string) (size int64, err error)
}

// DefaultGroup is the consumer group of alert_database_ingester.
const DefaultGroup = "alertdb-ingester"

// IngesterConfig configures NewIngester. Zero values of everything below
// Schemas mean the default that is named.
type IngesterConfig struct {
	// Login reaches the brokers as a user that may read Topics and Group.
	Login kafka.Login
	// KafkaOptions are added to the ingester's own, for example
	// kgo.InstanceID to take over at once from a predecessor that was killed.
	KafkaOptions []kgo.Opt
	// Topics are read from their first record on where Group has committed
	// nothing yet, so that no alert is missed (the reference starts at the
	// end).
	Topics []string

	Objects Writer
	Buckets Buckets
	Schemas SchemaSource

	// Group is DefaultGroup.
	Group string
	// Workers is how many alerts are compressed and stored at a time; 8. More
	// make nothing faster on few processors, and keep brokers on the same machine
	// from theirs.
	Workers int
	// GzipLevel is 1 to 9, or gzip.HuffmanOnly; 1. Alerts are mostly image
	// noise, which no level makes much smaller.
	GzipLevel int
	// MaxInFlight bounds the bytes of alerts that are read and not yet stored;
	// 64 MiB.
	MaxInFlight int64
	// CommitInterval is how often progress is committed; 1 s.
	CommitInterval time.Duration
	// UnknownSchemaWait is how long a schema id may stay unknown to the
	// registry, which is empty while schemas are being synchronised, before
	// messages with it are set aside as dead letters; 60 s.
	UnknownSchemaWait time.Duration
	// DrainLimit bounds how long requests in progress may still take when a
	// partition is given up or Run ends; 10 s.
	DrainLimit time.Duration
	// OnStored is called after each stored alert, from many goroutines, and
	// must be quick.
	OnStored func(Stored)
	// Log gets trouble and recovery, never single alerts; nil discards.
	Log *slog.Logger
}

const (
	// idlePause is how long everything has to be stored before that is committed
	// ahead of the interval.
	idlePause = 50 * time.Millisecond
	// attemptLimit bounds one request to the store or the registry, so that a
	// peer that stopped answering becomes an error that shows.
	attemptLimit = 30 * time.Second
	// firstBackoff and maxBackoff space the attempts, with jitter.
	firstBackoff, maxBackoff = 100 * time.Millisecond, 5 * time.Second
	// pollRecords bounds by how much one poll may overshoot MaxInFlight.
	pollRecords = 32
	// shareOfFlight is the part of MaxInFlight, as a divisor, that one
	// partition may hold. A partition that waits for its schema then leaves
	// room for the others.
	shareOfFlight = 4
	// queuePerWorker only has to bridge the time between two alerts of one
	// worker.
	queuePerWorker = 4
	// fetchMaxBytes bounds what the Kafka client buffers per broker ahead of
	// us.
	fetchMaxBytes = 8 << 20
	// sessionTimeout is how long the partitions of a killed ingester rest.
	sessionTimeout = 15 * time.Second
)

// Ingester stores alerts as objects. Alerts of one id and partition are stored
// in offset order, so that the last one wins; across partitions Kafka has no
// order to keep. One overlap remains: when a partition is lost without notice
// (session expired), a request already sent may arrive after the new owner's.
// Stored alerts may be stored again after a crash or rebalance, which changes
// nothing.
type Ingester struct {
	cfg     IngesterConfig
	writers writers
	stats   recorder
	running atomic.Bool
	shards  []chan job

	// room is signalled when a poller that waits for room should look again,
	// idle when everything that was read is stored.
	room, idle chan struct{}

	mu         sync.Mutex
	client     *kgo.Client
	closing    bool
	partitions map[topicPartition]*partition
	inFlight   int64

	// stored is the set of schema ids known to be in the bucket.
	storedMu sync.Mutex
	stored   map[uint32]bool
	// waits counts who waits for each reason, under storedMu too.
	waits map[string]int

	unknownMu sync.Mutex
	unknown   map[uint32]denial

	// commitMu keeps a commit from overtaking a newer one.
	commitMu sync.Mutex
}

type topicPartition struct {
	topic     string
	partition int32
}

// NewIngester checks the configuration; nothing is connected before Run.
func NewIngester(cfg IngesterConfig) (*Ingester, error) {
	switch {
	case len(cfg.Topics) == 0:
		return nil, errors.New("alert database ingester: no topics")
	case cfg.Objects == nil || cfg.Schemas == nil:
		return nil, errors.New("alert database ingester: no object store or no schema source")
	case cfg.Buckets.Alerts == "" || cfg.Buckets.Schemas == "":
		return nil, errors.New("alert database ingester: a bucket has no name")
	}
	setDefault(&cfg.Group, DefaultGroup)
	setDefault(&cfg.Workers, 8)
	setDefault(&cfg.GzipLevel, gzip.BestSpeed)
	setDefault(&cfg.MaxInFlight, 64<<20)
	setDefault(&cfg.CommitInterval, time.Second)
	setDefault(&cfg.UnknownSchemaWait, time.Minute)
	setDefault(&cfg.DrainLimit, 10*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if _, err := gzip.NewWriterLevel(nil, cfg.GzipLevel); err != nil {
		return nil, fmt.Errorf("alert database ingester: %w", err)
	}
	return &Ingester{
		cfg:        cfg,
		writers:    writers{source: cfg.Schemas, known: map[int]*writer{}},
		room:       make(chan struct{}, 1),
		idle:       make(chan struct{}, 1),
		partitions: map[topicPartition]*partition{},
		stored:     map[uint32]bool{},
		waits:      map[string]int{},
		unknown:    map[uint32]denial{},
		stats:      recorder{retries: map[string]int64{}, committed: map[topicPartition]int64{}},
	}, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Run reads and stores until ctx ends, then lets requests in progress finish,
// commits what is stored, leaves the group and returns nil. Trouble with
// brokers, store or registry does not end it: it is retried for ever and shows
// in Stats. Run may be called once.
func (in *Ingester) Run(ctx context.Context) error {
	if !in.running.CompareAndSwap(false, true) {
		return errors.New("alert database ingester: Run called twice")
	}
	opts := append([]kgo.Opt{
		kgo.ConsumerGroup(in.cfg.Group),
		kgo.ConsumeTopics(in.cfg.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		// Without this, records could still be handed out while their
		// partition is being given up.
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(in.assigned),
		kgo.OnPartitionsRevoked(in.revoked),
		kgo.OnPartitionsLost(in.lost),
		kgo.FetchMaxBytes(fetchMaxBytes),
		kgo.SessionTimeout(sessionTimeout),
	}, in.cfg.KafkaOptions...)
	in.shards = make([]chan job, in.cfg.Workers)
	for i := range in.shards {
		in.shards[i] = make(chan job, queuePerWorker)
	}
	// The first assignment may come before NewClient returns, and must find
	// the client.
	in.mu.Lock()
	client, err := kafka.NewClient(in.cfg.Login, opts...)
	in.client = client
	in.mu.Unlock()
	if err != nil {
		return fmt.Errorf("alert database ingester: %w", err)
	}

	var workers sync.WaitGroup
	for _, shard := range in.shards {
		workers.Go(func() { in.work(shard) })
	}
	committing, stopCommitting := context.WithCancel(context.Background())
	var committer sync.WaitGroup
	committer.Go(func() { in.commitPeriodically(committing) })

	in.poll(ctx, client)

	stopCommitting()
	committer.Wait()
	in.mu.Lock()
	in.closing = true
	in.mu.Unlock()
	in.release(in.takeAll(), true)
	leaving, cancel := context.WithTimeout(context.Background(), in.cfg.DrainLimit)
	defer cancel()
	client.AllowRebalance()
	if err := client.LeaveGroupContext(leaving); err != nil {
		in.cfg.Log.Warn("alert database ingester: did not leave the group", "error", err)
	}
	client.CloseAllowingRebalance()
	in.stats.setMember(false)
	for _, shard := range in.shards {
		close(shard)
	}
	workers.Wait()
	return nil
}

// poll hands records to their partitions until ctx ends.
func (in *Ingester) poll(ctx context.Context, client *kgo.Client) {
	for {
		fetches := client.PollRecords(ctx, pollRecords)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			in.failed(fmt.Errorf("read %s/%d: %w", topic, partition, err))
		})
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			in.push(topicPartition{f.Topic, f.Partition}, f.Records)
		})
		client.AllowRebalance()
		for !in.hasRoom() {
			select {
			case <-ctx.Done():
				return
			case <-in.room:
			}
		}
	}
}

func (in *Ingester) push(tp topicPartition, records []*kgo.Record) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if p := in.partitions[tp]; p != nil && len(records) > 0 {
		in.inFlight += p.push(records)
	}
}

// hasRoom says whether more may be read: within the limit in total, and no
// partition that makes progress beyond its share (one that waits is paused).
func (in *Ingester) hasRoom() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.inFlight >= in.cfg.MaxInFlight {
		return false
	}
	for _, p := range in.partitions {
		if size, waiting := p.load(); !waiting && size >= in.cfg.MaxInFlight/shareOfFlight {
			return false
		}
	}
	return true
}

// freed gives back what a partition no longer holds.
func (in *Ingester) freed(n int64) {
	in.mu.Lock()
	in.inFlight -= n
	empty := in.inFlight == 0
	in.mu.Unlock()
	in.lookAgain()
	if empty {
		signal(in.idle)
	}
}

func (in *Ingester) lookAgain() { signal(in.room) }

// signal wakes whoever waits on c, or the next one who does.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// setWaiting pauses a partition that cannot go on, so that the others may use
// what is left of the limit, or resumes it.
func (in *Ingester) setWaiting(p *partition, waiting bool) {
	p.setWaiting(waiting)
	in.mu.Lock()
	client := in.client
	in.mu.Unlock()
	which := map[string][]int32{p.topic: {p.partition}}
	if waiting {
		client.PauseFetchPartitions(which)
	} else {
		client.ResumeFetchPartitions(which)
	}
	in.lookAgain()
}

func (in *Ingester) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stats.setMember(true)
	if in.closing {
		return
	}
	for topic, ids := range added {
		for _, id := range ids {
			p := newPartition(topicPartition{topic, id})
			in.partitions[p.topicPartition] = p
			in.stats.forget(p.topicPartition)
			p.tasks.Go(func() { in.sequence(p) })
		}
	}
}

func (in *Ingester) revoked(_ context.Context, _ *kgo.Client, removed map[string][]int32) {
	in.release(in.take(removed), true)
}

func (in *Ingester) lost(_ context.Context, _ *kgo.Client, removed map[string][]int32) {
	in.release(in.take(removed), false)
}

// takeAll removes all partitions from those that get records.
func (in *Ingester) takeAll() []*partition {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := slices.Collect(maps.Values(in.partitions))
	clear(in.partitions)
	return all
}

// take removes the partitions that are named.
func (in *Ingester) take(removed map[string][]int32) []*partition {
	in.mu.Lock()
	defer in.mu.Unlock()
	var taken []*partition
	for topic, ids := range removed {
		for _, id := range ids {
			tp := topicPartition{topic, id}
			if p := in.partitions[tp]; p != nil {
				taken = append(taken, p)
				delete(in.partitions, tp)
			}
		}
	}
	return taken
}

// release ends work on partitions: nothing new is begun, requests in progress
// finish so that none can arrive after the next owner's, and what is stored is
// committed. Partitions that are lost have another owner already, so their
// requests are broken off and nothing is committed.
func (in *Ingester) release(partitions []*partition, owned bool) {
	if len(partitions) == 0 {
		return
	}
	limit := time.NewTimer(in.cfg.DrainLimit)
	defer limit.Stop()
	idle := make(chan struct{})
	for _, p := range partitions {
		p.stop()
		if !owned {
			p.abort()
		}
	}
	go func() {
		defer close(idle)
		for _, p := range partitions {
			p.tasks.Wait()
		}
	}()
	select {
	case <-idle:
	case <-limit.C:
		for _, p := range partitions {
			p.abort()
		}
		<-idle
	}
	for _, p := range partitions {
		p.abort() // nothing is in progress: this only frees the context
		size, _ := p.load()
		in.freed(size)
	}
	if owned {
		ctx, cancel := context.WithTimeout(context.Background(), in.cfg.DrainLimit)
		defer cancel()
		in.commit(ctx, partitions)
	}
}

func (in *Ingester) commitPeriodically(ctx context.Context) {
	tick := time.NewTicker(in.cfg.CommitInterval)
	defer tick.Stop()
	// At the end of a visit nobody should have to wait for the tick; but alerts
	// that come one by one are not worth a commit each.
	soon := time.NewTimer(0)
	defer soon.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-in.idle:
			soon.Reset(min(idlePause, in.cfg.CommitInterval))
			continue
		case <-soon.C:
		case <-tick.C:
		}
		in.mu.Lock()
		all := slices.Collect(maps.Values(in.partitions))
		in.mu.Unlock()
		limited, cancel := context.WithTimeout(ctx, in.cfg.DrainLimit)
		in.commit(limited, all)
		cancel()
	}
}

// commit commits how far each of the partitions is stored without a gap. What
// fails is tried again with the next commit.
func (in *Ingester) commit(ctx context.Context, partitions []*partition) {
	in.commitMu.Lock()
	defer in.commitMu.Unlock()
	offsets := map[string]map[int32]kgo.EpochOffset{}
	pending := map[topicPartition]*partition{}
	for _, p := range partitions {
		if mark, ok := p.uncommitted(); ok {
			if offsets[p.topic] == nil {
				offsets[p.topic] = map[int32]kgo.EpochOffset{}
			}
			offsets[p.topic][p.partition] = mark
			pending[p.topicPartition] = p
		}
	}
	if len(offsets) == 0 {
		return
	}
	in.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			if !errors.Is(ctx.Err(), context.Canceled) {
				in.failed(fmt.Errorf("commit: %w", err))
			}
			return
		}
		in.stats.commits()
		for _, t := range resp.Topics {
			for _, answer := range t.Partitions {
				p := pending[topicPartition{t.Topic, answer.Partition}]
				if p == nil {
					continue
				}
				if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
					in.failed(fmt.Errorf("commit %s/%d: %w", t.Topic, answer.Partition, err))
					continue
				}
				mark := offsets[p.topic][p.partition]
				p.setCommitted(mark)
				in.stats.commit(p.topicPartition, mark.Offset)
			}
		}
	})
}

// failed notes trouble that something else will retry.
func (in *Ingester) failed(err error) {
	in.stats.fail(err)
	in.cfg.Log.Warn("alert database ingester", "error", err)
}

// Stats is a snapshot of the ingester's progress. It may be called at any time.
func (in *Ingester) Stats() Stats {
	s := in.stats.snapshot()
	in.mu.Lock()
	s.InFlightBytes = in.inFlight
	client := in.client
	in.mu.Unlock()
	if client != nil {
		// What earlier members of the group have committed counts too.
		for topic, partitions := range client.CommittedOffsets() {
			for partition, o := range partitions {
				if _, ours := s.Committed[topic][partition]; !ours && o.Offset >= 0 {
					s.setCommitted(topicPartition{topic, partition}, o.Offset)
				}
			}
		}
	}
	return s
}

// Lag is how many messages of each of its partitions are not behind a committed
// offset, by topic and partition, as the brokers say now.
func (in *Ingester) Lag(ctx context.Context) (map[string]map[int32]int64, error) {
	in.mu.Lock()
	client := in.client
	own := slices.Collect(maps.Keys(in.partitions))
	in.mu.Unlock()
	lag := map[string]map[int32]int64{}
	if client == nil || len(own) == 0 {
		return lag, nil
	}
	admin := kadm.NewClient(client)
	starts, err := admin.ListStartOffsets(ctx, in.cfg.Topics...)
	if err != nil {
		return nil, err
	}
	ends, err := admin.ListEndOffsets(ctx, in.cfg.Topics...)
	if err != nil {
		return nil, err
	}
	committed := in.Stats().Committed
	for _, tp := range own {
		start, _ := starts.Lookup(tp.topic, tp.partition)
		end, ok := ends.Lookup(tp.topic, tp.partition)
		if !ok || end.Err != nil || start.Err != nil {
			continue
		}
		if lag[tp.topic] == nil {
			lag[tp.topic] = map[int32]int64{}
		}
		// What retention has taken is not to be waited for.
		lag[tp.topic][tp.partition] = max(0, end.Offset-max(start.Offset, committed[tp.topic][tp.partition]))
	}
	return lag, nil
}
