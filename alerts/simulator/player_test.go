package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestPlayOnceCopiesValuesOnly(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, 6)
	_, want := c.fill(t, published(t, "7.4"), 200, 40_000, 1)
	p := c.play(t, -1)
	cycle := p.cycle(t)
	acked, err := p.end()
	if err != nil || acked != 200 {
		t.Fatalf("%d acknowledged, %v", acked, err)
	}
	if cycle.Alerts != 200 || cycle.N != 0 || cycle.Missed != 0 || cycle.Err != nil || cycle.Bytes < 200*30_000 {
		t.Errorf("%+v", cycle)
	}
	got := c.read(t, simulated)
	rank := make(map[string]int)
	for i, v := range want {
		rank[v] = i
	}
	for partition, records := range got {
		last := -1
		for _, r := range records {
			if r.Key != nil || len(r.Headers) != 0 {
				t.Fatalf("a record has key %q and headers %v", r.Key, r.Headers)
			}
			if at, known := rank[string(r.Value)]; !known || at <= last {
				t.Fatalf("partition %d: alert %d after alert %d", partition, at, last)
			} else {
				last = at
			}
		}
	}
	slices.Sort(want)
	if !slices.Equal(values(got), want) {
		t.Error("what was played is not what was loaded")
	}
	// 8 MB in turns of half a megabyte: every partition has its share.
	if len(got) != 6 {
		t.Errorf("alerts lie on %d partitions of 6", len(got))
	}
	for partition, records := range got {
		if len(records) < 200/6/2 || len(records) > 200/6*2 {
			t.Errorf("partition %d has %d alerts of 200", partition, len(records))
		}
	}
}

func TestVisitsBeginOnAGrid(t *testing.T) {
	t.Parallel()
	const interval = 200 * time.Millisecond
	c := startCluster(t, 2, 4)
	c.put(t, make([]float64, 50)...)
	p := c.play(t, interval)
	var origin time.Time
	played := 0
	for i := range 5 {
		cycle := p.cycle(t)
		if i == 0 {
			origin = cycle.Due
		}
		if cycle.Err != nil || cycle.Alerts != 50 {
			t.Fatalf("%+v", cycle)
		}
		// A busy machine may cost a visit, never shift one.
		if shift := cycle.Due.Sub(origin); shift != time.Duration(cycle.N)*interval {
			t.Errorf("visit %d is due after %v", cycle.N, shift)
		}
		if cycle.Started.Before(cycle.Due) || cycle.Lateness != cycle.Started.Sub(cycle.Due) || cycle.Finished.Before(cycle.Started) {
			t.Errorf("%+v", cycle)
		}
		played++
	}
	acked, err := p.end()
	if !errors.Is(err, context.Canceled) || acked < int64(50*played) {
		t.Errorf("%d acknowledged, %v", acked, err)
	}
	got := values(c.read(t, simulated))
	if int64(len(got)) != acked {
		t.Errorf("%d records, %d acknowledged", len(got), acked)
	}
	for i := range 50 {
		if n := count(got, strconv.Itoa(i)); n < played {
			t.Fatalf("an alert was played %d times in %d visits", n, played)
		}
	}
}

func count(sorted []string, v string) int {
	from, _ := slices.BinarySearch(sorted, v)
	to := from
	for to < len(sorted) && sorted[to] == v {
		to++
	}
	return to - from
}

func TestAlertsWaitForTheirOffset(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	offsets := []float64{0, 0.05, -3, 0.2, 0.1}
	c.put(t, offsets...)
	p := c.play(t, -1)
	cycle := p.cycle(t)
	if cycle.Err != nil || cycle.Alerts != 5 {
		t.Fatalf("%+v", cycle)
	}
	for i, r := range c.read(t, simulated)[0] {
		if string(r.Value) != strconv.Itoa(i) {
			t.Errorf("record %d is alert %s", i, r.Value)
		}
		due := cycle.Due.Add(time.Duration(offsets[i] * float64(time.Second)))
		// Kafka's timestamps are whole milliseconds, cut off.
		if r.Timestamp.Before(due.Truncate(time.Millisecond)) {
			t.Errorf("alert %d was sent at %v, before it was due at %v", i, r.Timestamp, due)
		}
	}
	if took := cycle.Finished.Sub(cycle.Due); took < 200*time.Millisecond {
		t.Errorf("the visit took %v", took)
	}
}

// A visit longer than the interval costs the grid points that it covers.
func TestOverrunSkipsToTheNextGridPoint(t *testing.T) {
	t.Parallel()
	const interval = 100 * time.Millisecond
	c := startCluster(t, 1, 1)
	c.put(t, 0, 0.25)
	p := c.play(t, interval)
	first, second := p.cycle(t), p.cycle(t)
	if first.Err != nil || first.Alerts != 2 || first.N != 0 {
		t.Fatalf("%+v", first)
	}
	if first.Missed < 2 {
		t.Errorf("a visit of 250 ms missed %d points of %v", first.Missed, interval)
	}
	if second.N < first.N+1+first.Missed {
		t.Errorf("visit %d follows visit %d, which missed %d", second.N, first.N, first.Missed)
	}
	if shift := second.Due.Sub(first.Due); shift != time.Duration(second.N)*interval {
		t.Errorf("visit %d is due after %v", second.N, shift)
	}
}

func TestPlayWithoutPause(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 2)
	c.put(t, 0, 0, 0)
	p := c.play(t, 0)
	for n := range 5 {
		if cycle := p.cycle(t); cycle.N != n || cycle.Alerts != 3 || cycle.Missed != 0 || cycle.Err != nil {
			t.Fatalf("%+v", cycle)
		}
	}
}

func TestPauseKeepsTheGrid(t *testing.T) {
	t.Parallel()
	const interval = 100 * time.Millisecond
	c := startCluster(t, 1, 1)
	c.put(t, 0)
	p := c.play(t, interval)
	first := p.cycle(t)
	p.Pause()
	p.Pause() // twice is once
	// A visit is let go up to lookAhead before it is due.
	last := time.Now().Add(lookAhead)
	if s := p.Status(); !s.Paused || !s.Running {
		t.Errorf("%+v", s)
	}
	deadline := time.After(4 * interval)
	for waiting := true; waiting; {
		select {
		case cycle := <-p.cycles:
			if cycle.Due.After(last) {
				t.Errorf("visit %d began in the pause", cycle.N)
			}
		case <-deadline:
			waiting = false
		}
	}
	resumed := time.Now()
	p.Resume()
	p.Resume()
	next := p.cycle(t)
	for !next.Due.After(last) {
		next = p.cycle(t)
	}
	if next.Due.Before(resumed) {
		t.Errorf("a visit that was due at %v began after the pause, which ended at %v", next.Due, resumed)
	}
	if shift := next.Due.Sub(first.Due); shift != time.Duration(next.N)*interval {
		t.Errorf("visit %d is due after %v", next.N, shift)
	}
	st := p.Status()
	// On a machine that is busy a visit before or in the pause may have run over.
	if st.Paused || !st.Since.IsZero() || st.Skipped < 1 || st.Skipped+st.Missed < 3 {
		t.Errorf("after a pause of four intervals: %+v", st)
	}
	if st.Visits+st.Skipped+st.Missed < int64(next.N) {
		t.Errorf("visit %d, and %d played, %d skipped, %d missed", next.N, st.Visits, st.Skipped, st.Missed)
	}
}

func TestPausedPlayerCanBeEnded(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	c.put(t, 0)
	p := c.play(t, -1, func(p *Player) { p.cfg.Observe = nil })
	p.Pause()
	p.end()
	if p.acked > 1 {
		t.Errorf("%d acknowledged", p.acked)
	}
}

func TestCancelInTheMiddleOfAVisit(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 3)
	// Ten at once, and one that never comes.
	c.put(t, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3600)
	p := c.play(t, time.Hour)
	p.until(t, func(s Status) bool { return s.Acked == 10 })
	acked, err := p.end()
	if !errors.Is(err, context.Canceled) || acked != 10 {
		t.Errorf("%d acknowledged, %v", acked, err)
	}
	cycle := p.cycle(t)
	if !errors.Is(cycle.Err, context.Canceled) || cycle.Alerts != 10 {
		t.Errorf("%+v", cycle)
	}
	if got := values(c.read(t, simulated)); len(got) != 10 {
		t.Errorf("%d records", len(got))
	}
}

// What is in flight when the context ends still counts.
func TestCancelWaitsForAcknowledgements(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	c.put(t, 0, 0, 0, 3600)
	asked, answer := c.holdProduce()
	p := c.play(t, time.Hour)
	<-asked
	p.once.Do(p.stop)
	if s := p.Status(); s.Acked != 0 || s.InFlight != 3 {
		t.Errorf("%+v", s)
	}
	close(answer)
	if acked, err := p.end(); acked != 3 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d acknowledged, %v", acked, err)
	}
}

func TestReplacedReservoirIsPlayedNext(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*testing.T, cluster) []string{
		"deleted records": func(t *testing.T, c cluster) []string {
			_, want := c.fill(t, published(t, "10.0"), 30, small, 2)
			return want
		},
		// As the reference does; the offsets are then the same again.
		"topic created again": func(t *testing.T, c cluster) []string {
			admin, ctx := kadm.NewClient(c.client(t)), testContext(t)
			if _, err := admin.DeleteTopic(ctx, reservoir); err != nil {
				t.Fatal(err)
			}
			if _, err := admin.CreateTopic(ctx, 1, 1, nil, reservoir); err != nil {
				t.Fatal(err)
			}
			_, want := c.fill(t, published(t, "10.0"), 40, small, 2)
			return want
		},
	}
	for name, replace := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, 1, 2)
			_, before := c.fill(t, published(t, "7.4"), 40, small, 1)
			p := c.play(t, 150*time.Millisecond)
			if first := p.cycle(t); first.Alerts != 40 || first.Err != nil {
				t.Fatalf("%+v", first)
			}
			after := replace(t, c)
			replaced := time.Now()
			for {
				cycle := p.cycle(t)
				if cycle.Due.Add(-lookAhead).Before(replaced) {
					continue // it may have begun before
				}
				if cycle.Err != nil || cycle.Alerts != int64(len(after)) {
					t.Fatalf("%+v", cycle)
				}
				break
			}
			p.end()
			// From the first new alert on there is no old one.
			old := make(map[string]bool)
			for _, v := range before {
				old[v] = true
			}
			for partition, records := range c.read(t, simulated) {
				replayed := false
				for _, r := range records {
					if old[string(r.Value)] && replayed {
						t.Fatalf("partition %d: an old alert after a new one", partition)
					}
					replayed = replayed || !old[string(r.Value)]
				}
			}
		})
	}
}

// The records that a visit under way still needs are gone: it ends, says so,
// and the next one plays what is there.
func TestReservoirReplacedUnderAVisit(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	const alerts, size = 40, 400_000 // far more than is read ahead and in flight
	c.fill(t, published(t, "7.4"), alerts, size, 1)
	// Hold the destination, so that the visit cannot get ahead.
	asked, answer := c.holdProduce()
	p := c.play(t, 100*time.Millisecond, func(p *Player) { p.cfg.Ahead, p.inFlight = 1<<20, 2<<20 })
	<-asked
	if err := c.DeleteRecords(reservoir, 0, alerts); err != nil {
		t.Fatal(err)
	}
	close(answer)
	cycle := p.cycle(t)
	var changed *ReservoirChangedError
	if !errors.As(cycle.Err, &changed) {
		t.Errorf("%d of %d alerts, %v", cycle.Alerts, alerts, cycle.Err)
	}
	if cycle.Alerts == 0 || cycle.Alerts == alerts {
		t.Errorf("%d of %d alerts", cycle.Alerts, alerts)
	}
	if cycle = p.cycle(t); !errors.Is(cycle.Err, ErrEmptyReservoir) {
		t.Errorf("%+v", cycle)
	}
	c.put(t, 0, 0, 0)
	for cycle = p.cycle(t); cycle.Err != nil; cycle = p.cycle(t) {
		if !errors.Is(cycle.Err, ErrEmptyReservoir) {
			t.Fatalf("%+v", cycle)
		}
	}
	if cycle.Alerts != 3 {
		t.Errorf("%+v", cycle)
	}
}

func TestAlertTooLargeForTheDestination(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 2)
	c.setConfig(t, reservoir, "max.message.bytes", "2000000")
	c.setConfig(t, simulated, "max.message.bytes", "50000")
	schema := published(t, "7.4")
	large, err := newVisit(t, schema, 1, 150_000, 5).Body(0)
	if err != nil {
		t.Fatal(err)
	}
	bodies := append(bodiesAt(t, schema, 0, 0, 0), large)
	bodies = append(bodies, bodiesAt(t, schema, 0)...)
	if _, err := Create(testContext(t), CreateConfig{
		Login: c.login, Topic: reservoir, Source: &sourceOf{bodies: bodies}, Schema: schema,
	}); err != nil {
		t.Fatal(err)
	}
	p := c.play(t, -1)
	acked, err := p.wait()
	var refused *RecordTooLargeError
	if !errors.As(err, &refused) || acked != 4 {
		t.Fatalf("%d acknowledged, %v", acked, err)
	}
	head, _ := schema.Head(large)
	if refused.Topic != simulated || refused.AlertID != head.ID || refused.Index != 3 || refused.Limit != 50_000 || refused.Size != len(large)+5 {
		t.Errorf("%+v", refused)
	}
}

// until waits for a status; there is no event for one alert's acknowledgement.
func (p *playing) until(tb testing.TB, good func(Status) bool) {
	tb.Helper()
	for !good(p.Status()) {
		select {
		case <-p.ended:
			tb.Fatalf("the player ended: %v", p.err)
		case <-time.After(time.Millisecond):
		}
	}
}

// wait lets the player end by itself.
func (p *playing) wait() (int64, error) {
	<-p.ended
	return p.end()
}

func TestRecordWithoutOffsetIsReported(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]kgo.RecordHeader{
		"absent": nil,
		"binary": {{Key: OffsetHeader, Value: make([]byte, 8)}},
		"other":  {{Key: "other", Value: []byte("0.0")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, 1, 1)
			c.put(t, 0)
			if err := c.client(t).ProduceSync(testContext(t), &kgo.Record{
				Topic: reservoir, Value: []byte("x"), Headers: headers,
			}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			c.put(t, 0)
			acked, err := c.play(t, -1).wait()
			var bad *OffsetHeaderError
			if !errors.As(err, &bad) || bad.Offset != 1 || acked != 2 {
				t.Errorf("%d acknowledged, %v", acked, err)
			}
		})
	}
}

func TestRunRefusesAtOnce(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	for _, change := range []func(*Player){
		func(p *Player) { p.cfg.Source = "absent" },
		func(p *Player) { p.cfg.Destination = "absent" },
	} {
		_, err := c.play(t, time.Hour, change).wait()
		var topic *TopicError
		if !errors.As(err, &topic) || topic.Topic != "absent" || !errors.Is(err, kerr.UnknownTopicOrPartition) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := c.play(t, -1).wait(); !errors.Is(err, ErrEmptyReservoir) {
		t.Errorf("got %v", err)
	}
	for _, cfg := range []PlayConfig{{}, {Source: "a"}, {Source: "a", Destination: "a"}, {Source: "a", Destination: "b", Ahead: -1}} {
		if _, err := NewPlayer(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

// A visit larger than all buffers passes through them.
func TestVisitLargerThanItsBuffers(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2, 4)
	_, want := c.fill(t, published(t, "7.4"), 300, 20_000, 1)
	// Less than one alert read ahead, and a few in flight.
	p := c.play(t, -1, func(p *Player) { p.cfg.Ahead, p.inFlight = 5_000, 100_000 })
	if acked, err := p.wait(); acked != 300 || err != nil {
		t.Fatalf("%d acknowledged, %v", acked, err)
	}
	slices.Sort(want)
	if !slices.Equal(values(c.read(t, simulated)), want) {
		t.Error("what was played is not what was loaded")
	}
}

// Every source partition is played, whatever made them.
func TestSourceOfManyPartitions(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2, 4)
	if err := c.CreateTopic("many", 5, nil); err != nil {
		t.Fatal(err)
	}
	client := c.client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	var want []string
	for i := range 37 {
		v := fmt.Sprintf("alert %02d", i)
		want = append(want, v)
		if err := client.ProduceSync(testContext(t), &kgo.Record{
			Topic: "many", Partition: int32(i % 4), Value: []byte(v), // the fifth stays empty
			Headers: []kgo.RecordHeader{{Key: OffsetHeader, Value: []byte("0.0")}},
		}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if acked, err := c.play(t, -1, func(p *Player) { p.cfg.Source = "many" }).wait(); acked != 37 || err != nil {
		t.Fatalf("%d acknowledged, %v", acked, err)
	}
	if got := values(c.read(t, simulated)); !slices.Equal(got, want) {
		t.Errorf("got %s", strings.Join(got, ", "))
	}
}

// Brokers that go away and come back cost a visit time, and no alert.
func TestBrokersRestartUnderAVisit(t *testing.T) {
	t.Parallel()
	// An address of its own, so that no other test can take the ports while
	// the brokers are away.
	where := []kfake.Opt{kfake.DataDir(t.TempDir()), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return net.Listen(network, net.JoinHostPort("127.0.77.1", port))
	})}
	c := startCluster(t, 2, 4, where...)
	var ports []int
	for _, address := range c.ListenAddrs() {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, n)
	}
	offsets := make([]float64, 40)
	for i := 20; i < 40; i++ {
		offsets[i] = 1
	}
	c.put(t, offsets...)
	p := c.play(t, -1)
	p.until(t, func(s Status) bool { return s.Acked == 20 })
	c.Close()
	p.until(t, func(s Status) bool { return s.InFlight == 20 })
	startCluster(t, 2, 4, append(where, kfake.Ports(ports...))...)
	if acked, err := p.wait(); acked != 40 || err != nil {
		t.Errorf("%d acknowledged, %v", acked, err)
	}
	if got := values(c.read(t, simulated)); len(got) != 40 {
		t.Errorf("%d records of 40", len(got))
	}
}

// A user who may not write is told so with every visit, and the player stays.
func TestRefusedDeliveriesAreReported(t *testing.T) {
	t.Parallel()
	const user, password = "alertlab-player", "secret"
	allow := func(topic string, op kadm.ACLOperation) kfake.ACL {
		return kfake.ACL{
			Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral,
			Operation: op, Allow: true,
		}
	}
	c := startCluster(t, 1, 2, kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.Superuser("SCRAM-SHA-512", "admin", "admin"),
		kfake.User("SCRAM-SHA-512", user, password, allow(reservoir, kadm.OpRead), allow(simulated, kadm.OpDescribe),
			// Some topic to write to, or the broker gives out no producer id.
			allow("other", kadm.OpWrite)),
	)
	c.login.User, c.login.Password = "admin", "admin"
	c.put(t, 0, 0, 0)
	p := c.play(t, 50*time.Millisecond, func(p *Player) { p.cfg.Login.User, p.cfg.Login.Password = user, password })
	for range 3 {
		cycle := p.cycle(t)
		var lost *DeliveryError
		if !errors.As(cycle.Err, &lost) || lost.Failed != 3 || !errors.Is(lost, kerr.TopicAuthorizationFailed) || cycle.Alerts != 0 {
			t.Fatalf("%+v", cycle)
		}
	}
	if acked, _ := p.end(); acked != 0 {
		t.Errorf("%d acknowledged", acked)
	}
}
