package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/internal/chaos"
	"github.com/alertlab/alertlab/internal/chaos/witness"
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
		acked := p.Acknowledged()
		k.killed(t, when, killed, len(acked)-known)
		done, known = done+killed, len(acked)
		// What the group has committed is stored: it would never be read again.
		committed := l.committed()
		var stored []witness.Published
		for _, r := range acked {
			if r.Offset < committed[r.Partition] && !checked[r.ID] {
				stored = append(stored, r)
				checked[r.ID] = true
			}
		}
		// A slow machine must not have more to check for every check it makes.
		release := p.Hold()
		lost := l.archived(stored...)
		release()
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
		n := len(p.Acknowledged())
		l.eventually("more is published", func() (bool, string) {
			now := len(p.Acknowledged())
			return now > n, strconv.Itoa(now)
		})
		l.caughtUp()
		l.archived(p.Acknowledged()[n])
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

// producer is a witness of a test: what cannot be looked at fails it.
type producer struct{ *witness.Producer }

// produce starts a producer of about fifty alerts a second.
func (l *lab) produce(seed uint64) *producer {
	l.t.Helper()
	return &producer{witness.Produce(l.t.Context(), l.client(witness.Options()...), witness.Load{Topic: l.card().Simulator.Topic, Partitions: 3,
		Every: 20 * time.Millisecond, Bytes: 30_000, Seed: seed})}
}

// stop ends the producer and gives everything that was acknowledged.
func (p *producer) stop(t *testing.T) []witness.Published {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	acked, err := p.Stop(ctx)
	if err != nil {
		t.Error(err)
	}
	for text, n := range p.GivenUp() {
		t.Logf("%d records were given up: %s", n, text)
	}
	return acked
}

// inTopic asserts that every acknowledged record is in the topic at its offset,
// byte for byte, and that acknowledgements of a partition came in its order. It gives
// the number of those that are not.
func (l *lab) inTopic(acked []witness.Published) int {
	l.t.Helper()
	topic := l.card().Simulator.Topic
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	reader := l.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	lost, again, err := witness.InTopic(ctx, l.admin(), reader, topic, acked)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, text := range lost {
		l.t.Error(text)
	}
	l.t.Logf("%d acknowledged records were looked for in the topic; %d of them more than once", len(acked), again)
	return len(lost)
}

// committed gives the ingester's offsets by partition.
func (l *lab) committed() map[int32]int64 {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	offsets, err := witness.Committed(ctx, l.admin(), archive.DefaultGroup)
	if err != nil {
		l.t.Fatal(err)
	}
	return offsets
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
		behind, err := witness.Behind(ctx, l.admin(), archive.DefaultGroup, ends)
		if err != nil {
			l.t.Fatal(err)
		}
		return behind == "", behind
	})
}

// archived asserts that the alert database has records as they were published, and
// gives the number of those that it has not.
func (l *lab) archived(records ...witness.Published) int {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	lost := witness.Archived(ctx, l.card().AlertDB.URL, records)
	for _, text := range lost {
		l.t.Error(text)
	}
	return len(lost)
}
