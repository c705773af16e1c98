package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/internal/chaos"
)

const (
	// defaultKills is how often a lab is killed in an ordinary test run;
	// ALERTLAB_CHAOS_KILLS asks for more.
	defaultKills = 6
	// killsALife is how often one lab is killed before it is looked at as a whole
	// and taken away. A lab's start costs more than a kill, and a lab that holds
	// much costs more with each start.
	killsALife = 50
	// livesAtOnce is how many labs are killed side by side: they wait more than
	// they work.
	livesAtOnce = 3
)

func kills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("ALERTLAB_CHAOS_KILLS")
	if text == "" {
		return defaultKills
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("ALERTLAB_CHAOS_KILLS is %q, not a number of kills", text)
	}
	return n
}

// moment is what a lab does when it is killed.
type moment int

const (
	playing moment = iota
	goingUp
	goingDown
)

// tolls counts what was done to all labs, for who waits.
type tolls struct {
	wanted int
	began  time.Time

	mu     sync.Mutex
	kills  [3]int // by moment
	acked  int    // alerts that were acknowledged
	proven int    // of them, those of lives that have ended: found in topic and archive
	lives  int    // that have ended
	lost   int    // alerts that are not where their acknowledgement said
}

func (k *tolls) String() string {
	all := k.kills[playing] + k.kills[goingUp] + k.kills[goingDown]
	return fmt.Sprintf("%d of %d kills (%d during play and ingest, %d during up, %d during down), %d lives ended, %d alerts acknowledged, %d of them looked for and found, %d lost; %.1f kills a minute",
		all, k.wanted, k.kills[playing], k.kills[goingUp], k.kills[goingDown], k.lives, k.acked, k.proven, k.lost, float64(all)/time.Since(k.began).Minutes())
}

// killed counts kills, and says how far it is each time that ten more are there.
func (k *tolls) killed(t *testing.T, when moment, n, acked int) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	before := (k.kills[playing] + k.kills[goingUp] + k.kills[goingDown]) / 10
	k.kills[when] += n
	k.acked += acked
	if (k.kills[playing]+k.kills[goingUp]+k.kills[goingDown])/10 > before {
		t.Log(k)
	}
}

// missed counts what was lost, and says whether anything was, in any life.
func (k *tolls) missed(n int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lost += n
	return k.lost > 0
}

// ended counts a life, with what was acknowledged since its last kill.
func (k *tolls) ended(proven, last int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lives++
	k.acked += last
	k.proven += proven
}

// TestKillAtRandomMoments kills runners again and again while visits are played and
// an outside producer publishes, and while they go up or down. What the producer got
// an acknowledgement for is in the topic where the acknowledgement said, and in the
// alert database, byte for byte.
func TestKillAtRandomMoments(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	k := &tolls{wanted: kills(t), began: time.Now()}
	places := make(chan struct{}, livesAtOnce)
	t.Run("lives", func(t *testing.T) {
		for life, left := 0, k.wanted; left > 0; life, left = life+1, left-killsALife {
			own := rand.New(rand.NewPCG(random.Uint64(), 0))
			t.Run(strconv.Itoa(life+1), func(t *testing.T) {
				t.Parallel()
				places <- struct{}{}
				defer func() { <-places }()
				k.live(t, own, min(left, killsALife))
			})
		}
	})
	t.Log(k)
}

// live brings up a lab, kills it n times, and looks what is left of it.
func (k *tolls) live(t *testing.T, random *rand.Rand, n int) {
	l := newLab(t)
	environ := []string{"ALERTLAB_SIMULATOR_INTERVAL=1s"}
	up := func() {
		t.Helper()
		if code, out, errs := l.run(environ, "up", "--progress", "quiet"); code != 0 {
			t.Fatalf("up: exit code %d\n%s%s", code, out, errs)
		}
	}
	// during kills the runner some time after a command has begun, which ends as it
	// may.
	during := func(within int, args ...string) int {
		t.Helper()
		c := l.command(environ, args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		l.sleep(time.Duration(random.IntN(within)) * time.Millisecond)
		killed := l.killRunner()
		_ = c.Wait()
		// One that the command started after the others were gone.
		return killed + l.killRunner()
	}
	up()
	p := l.produce(random.Uint64())
	checked := map[int64]bool{} // ids of alerts that were found in the alert database
	known := 0
	for done := 0; done < n; {
		l.sleep(time.Duration(100+random.IntN(1200)) * time.Millisecond)
		when, killed := playing, 0
		switch random.IntN(4) {
		case 0: // and the one that heals, too
			l.killRunner()
			when, killed = goingUp, during(700, "up", "--progress", "quiet")
			done++
			k.killed(t, playing, 1, 0)
		case 1:
			when, killed = goingDown, during(250, "down", "--progress", "quiet")
		default:
			killed = l.killRunner()
		}
		up()
		acked := p.acknowledged()
		k.killed(t, when, killed, len(acked)-known)
		done, known = done+killed, len(acked)
		// What the group has committed is stored: it would never be read again.
		committed := l.committed()
		var stored []published
		for _, r := range acked {
			if r.offset < committed[r.partition] && !checked[r.id] {
				stored = append(stored, r)
				checked[r.id] = true
			}
		}
		// A slow machine must not have more to check for every check it makes.
		p.gate.Lock()
		lost := l.archived(stored...)
		p.gate.Unlock()
		if k.missed(lost) { // in this lab or another: it will not come back
			t.Fatal(k)
		}
	}
	acked := p.stop(t)
	if len(acked) < 5*n {
		t.Errorf("only %d records were acknowledged: the producer did not come along", len(acked))
	}
	lost := l.inTopic(acked)
	l.caughtUp()
	if k.missed(lost + l.archived(acked...)) {
		t.Fatal(k)
	}
	l.must("smoke", "--skip", "visit-cadence,alert-database-bytes,alert-objects", "--timeout", "90s") // visits a second apart have no beginnings
	l.purge()
	if !t.Failed() {
		k.ended(len(acked), len(acked)-known)
	}
}

// TestObjectStoreDies kills the object store's process alone, several times: the
// lab starts it again by itself, and archiving goes on.
func TestObjectStoreDies(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.must("up", "--progress", "quiet")
	runner := chaos.Running(l.state, "runner")
	p := l.produce(seeded(t).Uint64())
	for range 3 {
		before := chaos.Running(l.state, "object-store")
		if len(before) != 1 {
			t.Fatalf("%d object stores: %v", len(before), before)
		}
		before[0].Kill()
		l.eventually("another object store runs", func() (bool, string) {
			now := chaos.Running(l.state, "object-store")
			return len(now) == 1 && now[0].PID != before[0].PID, fmt.Sprint(now)
		})
		n := len(p.acknowledged())
		l.eventually("more is published", func() (bool, string) {
			now := len(p.acknowledged())
			return now > n, strconv.Itoa(now)
		})
		l.caughtUp()
		l.archived(p.acknowledged()[n])
	}
	acked := p.stop(t)
	l.caughtUp()
	l.archived(acked...)
	if now := chaos.Running(l.state, "runner"); len(now) != 1 || now[0].PID != runner[0].PID {
		t.Errorf("the runner was %v and is %v", runner, now)
	}
	l.healthy()
	l.purge()
}

func (l *lab) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-l.t.Context().Done():
	}
}

// published is a record that the brokers acknowledged.
type published struct {
	id        int64
	wire      []byte
	partition int32
	offset    int64
}

// producer publishes alerts with ids of their own, as somebody outside would: it
// lives on while the lab dies and comes back.
type producer struct {
	client *kgo.Client
	cancel context.CancelFunc
	over   chan error

	gate sync.Mutex // held while nothing is to be published

	mu    sync.Mutex
	acked []published
	lost  map[string]int // errors of records that were given up, by text
}

// produce starts a producer of about fifty alerts a second.
func (l *lab) produce(seed uint64) *producer {
	l.t.Helper()
	// Batches of few records make many acknowledgements, each a promise.
	client := l.client(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MetadataMinAge(100*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }))
	ctx, cancel := context.WithCancel(l.t.Context())
	p := &producer{client: client, cancel: cancel, over: make(chan error, 1), lost: map[string]int{}}
	topic := l.card().Simulator.Topic
	go func() { p.over <- p.run(ctx, topic, seed) }()
	return p
}

func (p *producer) run(ctx context.Context, topic string, seed uint64) error {
	version, err := packet.ParseVersion("11.0")
	if err != nil {
		return err
	}
	schema, err := packet.Published(version)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 1))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	const perVisit = 1000
	for visit := int64(3000000000001); ; visit++ { // no night of the simulator's
		v, err := packet.NewVisit(packet.VisitConfig{Schema: schema, Alerts: perVisit, PacketBytes: 30_000, Seed: seed, Visit: visit, MidpointMjdTai: 61365.5})
		if err != nil {
			return err
		}
		for i := range perVisit {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			body, err := v.Body(i)
			if err != nil {
				return err
			}
			head, err := schema.Head(body)
			if err != nil {
				return err
			}
			wire := packet.Frame(uint32(schema.ID()), body)
			// Not bound to ctx: what is buffered at the end is flushed.
			p.gate.Lock()
			p.client.Produce(context.WithoutCancel(ctx), &kgo.Record{Topic: topic, Partition: int32(random.IntN(3)), Value: wire}, func(r *kgo.Record, err error) {
				p.mu.Lock()
				defer p.mu.Unlock()
				if err != nil { // never acknowledged, so nothing is promised
					p.lost[err.Error()]++
					return
				}
				p.acked = append(p.acked, published{head.ID, wire, r.Partition, r.Offset})
			})
			p.gate.Unlock()
		}
	}
}

// acknowledged gives what was acknowledged so far, in the order of the
// acknowledgements.
func (p *producer) acknowledged() []published {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked[:len(p.acked):len(p.acked)]
}

// stop ends the producer and gives everything that was acknowledged.
func (p *producer) stop(t *testing.T) []published {
	t.Helper()
	p.cancel()
	if err := <-p.over; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.client.Flush(ctx); err != nil {
		t.Errorf("the producer did not come to an end: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for text, n := range p.lost {
		t.Logf("%d records were given up: %s", n, text)
	}
	return p.acked
}

// inTopic asserts that every acknowledged record is in the topic at its offset,
// byte for byte, and that acknowledgements of a partition came in its order. It gives
// the number of those that are not.
func (l *lab) inTopic(acked []published) (lost int) {
	l.t.Helper()
	topic := l.card().Simulator.Topic
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	ends, err := l.admin().ListEndOffsets(ctx, topic)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := ends.Error(); err != nil {
		l.t.Fatal(err)
	}
	waiting := map[int32]bool{}
	ends.Each(func(o kadm.ListedOffset) { waiting[o.Partition] = o.Offset > 0 })
	reader := l.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	values := map[int32]map[int64][]byte{}
	for some := true; some; {
		fetches := reader.PollFetches(ctx)
		if err := errors.Join(fetches.Err(), ctx.Err()); err != nil {
			l.t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if values[r.Partition] == nil {
				values[r.Partition] = map[int64][]byte{}
			}
			if _, twice := values[r.Partition][r.Offset]; twice {
				l.t.Errorf("partition %d has offset %d twice", r.Partition, r.Offset)
			}
			values[r.Partition][r.Offset] = r.Value
			end, _ := ends.Lookup(topic, r.Partition)
			waiting[r.Partition] = waiting[r.Partition] && r.Offset < end.Offset-1
		})
		some = false
		for _, w := range waiting {
			some = some || w
		}
	}
	last := map[int32]int64{}
	for _, r := range acked {
		if before, ok := last[r.partition]; ok && r.offset <= before {
			l.t.Errorf("partition %d: offset %d was acknowledged after %d", r.partition, r.offset, before)
		}
		last[r.partition] = r.offset
		switch got, ok := values[r.partition][r.offset]; {
		case !ok:
			lost++
			l.t.Errorf("alert %d was acknowledged at partition %d offset %d, and is lost", r.id, r.partition, r.offset)
		case !bytes.Equal(got, r.wire):
			lost++
			l.t.Errorf("alert %d was acknowledged at partition %d offset %d, where something else is (%d bytes, not %d)", r.id, r.partition, r.offset, len(got), len(r.wire))
		}
	}
	// A record whose acknowledgement was lost with the runner is sent again, and is
	// there twice where the brokers did not know its producer any more.
	outside := map[string]bool{}
	for _, r := range acked {
		outside[string(r.wire)] = true
	}
	found := 0
	for _, partition := range values {
		for _, v := range partition {
			if outside[string(v)] {
				found++
			}
		}
	}
	l.t.Logf("%d acknowledged records were looked for in the topic; %d of them more than once", len(acked), found-len(acked))
	return lost
}

// committed gives the ingester's offsets by partition.
func (l *lab) committed() map[int32]int64 {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	offsets, err := l.admin().FetchOffsets(ctx, "alertdb-ingester")
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[int32]int64{}
	offsets.Each(func(o kadm.OffsetResponse) { out[o.Partition] = o.At })
	return out
}

// caughtUp waits until the ingester has committed everything that is in the topic
// now.
func (l *lab) caughtUp() {
	l.t.Helper()
	topic := l.card().Simulator.Topic
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	ends, err := l.admin().ListEndOffsets(ctx, topic)
	if err != nil {
		l.t.Fatal(err)
	}
	l.eventually("the ingester caught up", func() (bool, string) {
		committed := l.committed()
		behind := ""
		ends.Each(func(o kadm.ListedOffset) {
			if o.Offset > committed[o.Partition] {
				behind += fmt.Sprintf(" partition %d: %d of %d;", o.Partition, committed[o.Partition], o.Offset)
			}
		})
		return behind == "", behind
	})
}

// archived asserts that the alert database has records as they were published, and
// gives the number of those that it has not.
func (l *lab) archived(records ...published) int {
	l.t.Helper()
	var lost atomic.Int64
	client := archive.Client{URL: l.card().AlertDB.URL}
	var group errgroup.Group
	group.SetLimit(8)
	for _, r := range records {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(l.t.Context(), patience)
			defer cancel()
			got, err := client.Alert(ctx, r.id)
			switch {
			case err != nil:
				lost.Add(1)
				l.t.Errorf("alert %d (partition %d, offset %d): %v", r.id, r.partition, r.offset, err)
			case !bytes.Equal(got, r.wire):
				lost.Add(1)
				l.t.Errorf("alert %d (partition %d, offset %d): %d bytes came back that are not the %d published", r.id, r.partition, r.offset, len(got), len(r.wire))
			}
			return nil
		})
	}
	_ = group.Wait() // what was found wrong is reported already
	return int(lost.Load())
}
