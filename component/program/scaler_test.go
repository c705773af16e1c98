package program

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/alerts/kafka"
)

// More come at once, fewer when they were enough for the whole cooldown, and then as many
// as were needed in it.
func TestScaling(t *testing.T) {
	t.Parallel()
	s := scaling{least: 2, most: 6, lag: 100, cooldown: time.Minute}
	now, clock := 0, time.Unix(1000, 0)
	for i, step := range []struct {
		after int // seconds since the one before
		lag   int64
		want  int
	}{
		{0, 0, 2},       // it was at nothing: a Deployment that was just made, or scaled to zero
		{10, 200, 2},    // two can have as much
		{10, 201, 3},    // and no more
		{10, 10_000, 6}, // no more than the most
		{10, 0, 6},      // they may be needed in a moment
		{30, 350, 6},    // four were
		{29, 0, 6},      // not a minute yet
		{1, 0, 4},       // as many as were needed meanwhile
		{10, 0, 4},
		{30, 401, 5}, // more in between: the minute begins anew
		{20, 0, 5},
		{59, 0, 5},
		{1, 0, 2},
	} {
		clock = clock.Add(time.Duration(step.after) * time.Second)
		if now = s.step(clock, step.lag, 12, now); now != step.want {
			t.Fatalf("step %d: %d, want %d", i, now, step.want)
		}
	}
	if n := s.step(clock, 10_000, 3, 2); n != 3 {
		t.Errorf("%d ingesters for three partitions", n)
	}
	if n := s.step(clock, 0, 12, 9); n != 6 {
		t.Errorf("of somebody else's nine there are %d", n)
	}
	if n := s.step(clock, 0, 1, 1); n != 2 {
		t.Errorf("%d are fewer than the least", n)
	}
}

// replicas is a number that is steered.
type replicas struct {
	n     int
	sets  int
	fails error
}

func (r *replicas) Get(context.Context) (int, error) { return r.n, r.fails }
func (r *replicas) Set(_ context.Context, n int) error {
	r.n = n
	r.sets++
	return nil
}

// A backlog that nobody has read is one, what was committed is not; who cannot look
// changes nothing.
func TestScalerLooks(t *testing.T) {
	t.Parallel()
	cluster, err := broker.Start(t.Context(), broker.Config{Nodes: []broker.Node{{ID: 0, Address: "127.0.0.1:0"}}, Bootstrap: "127.0.0.1:0", DataDir: t.TempDir(), Superuser: "admin", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	client, err := kafka.NewClient(kafka.Login{Bootstrap: []string{cluster.Bootstrap()}, User: "admin", Password: "secret"}, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	admin := kadm.NewClient(client)
	steered := &replicas{n: 1}
	p := Scaler{Common: Common{Log: slog.New(slog.DiscardHandler)}, Group: "g", Topics: []string{"alerts"}, Least: 1, Most: 6, Lag: 10, Replicas: steered}
	s := scaling{least: p.Least, most: p.Most, lag: int64(p.Lag)}
	if err := p.look(t.Context(), admin, &s); err == nil || steered.sets != 0 {
		t.Errorf("a topic that there is not: %v, %d", err, steered.n)
	}
	if _, err := admin.CreateTopic(t.Context(), 4, 1, nil, "alerts"); err != nil {
		t.Fatal(err)
	}
	var records []*kgo.Record
	for i := range 25 {
		records = append(records, &kgo.Record{Topic: "alerts", Partition: int32(i % 2), Value: []byte("one")})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := p.look(t.Context(), admin, &s); err != nil || steered.n != 3 {
		t.Errorf("25 records wait: %d, %v", steered.n, err)
	}
	var committed kadm.Offsets
	committed.AddOffset("alerts", 0, 13, -1)
	committed.AddOffset("alerts", 1, 2, -1)
	if err := admin.CommitAllOffsets(t.Context(), "g", committed); err != nil {
		t.Fatal(err)
	}
	if lag, partitions, err := p.behind(t.Context(), admin); err != nil || lag != 10 || partitions != 4 {
		t.Errorf("%d of %d partitions, %v", lag, partitions, err)
	}
	if err := p.look(t.Context(), admin, &s); err != nil || steered.n != 1 {
		t.Errorf("ten records wait: %d, %v", steered.n, err)
	}
	steered.fails = errors.New("forbidden")
	if err := p.look(t.Context(), admin, &s); !errors.Is(err, steered.fails) || steered.sets != 2 {
		t.Errorf("%v, %d times", err, steered.sets)
	}
}

// The program ends when it is told to, also while nobody answers.
func TestScalerEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := Scaler{Common: Common{Health: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}, Login: kafka.Login{Bootstrap: []string{"127.0.0.1:1"}}, Group: "g", Topics: []string{"alerts"}, Least: 1, Most: 1, Lag: 1, Replicas: &replicas{}}
	if err := p.Run(ctx); err != nil {
		t.Error(err)
	}
}
