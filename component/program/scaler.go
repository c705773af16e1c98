package program

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/alertlab/alertlab/alerts/kafka"
)

// Replicas is the number of pods that a Scaler steers.
type Replicas interface {
	Get(ctx context.Context) (int, error)
	Set(ctx context.Context, n int) error
}

// Scaler lets the number of ingesters follow the lag of their group: as many as there are
// alerts that wait, divided by Lag, and never more than the topics have partitions, since
// each is read by one of them.
type Scaler struct {
	Common
	Login  kafka.Login
	Group  string
	Topics []string
	// Least and Most bound the number; Lag is how many alerts may wait for each of them.
	Least, Most, Lag int
	// Cooldown is how long fewer must have been enough before there are fewer.
	Cooldown time.Duration
	// Every is the time between two looks; 0: ten seconds.
	Every    time.Duration
	Replicas Replicas
}

// lookTime bounds one look.
const lookTime = 20 * time.Second

// Run scales until ctx ends. A look that fails changes nothing and is logged.
func (p Scaler) Run(ctx context.Context) error {
	return p.serve(ctx, func(ctx context.Context, ready *readiness) error {
		client, err := kafka.NewClient(p.Login)
		if err != nil {
			return err
		}
		defer client.Close()
		var mu sync.Mutex
		last := errors.New("it has not looked yet")
		ready.is(func() (bool, string) {
			mu.Lock()
			defer mu.Unlock()
			return last == nil, fmt.Sprint(last)
		})
		every := p.Every
		if every == 0 {
			every = 10 * time.Second
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		s := scaling{least: p.Least, most: p.Most, lag: int64(p.Lag), cooldown: p.Cooldown}
		for {
			err := p.look(ctx, kadm.NewClient(client), &s)
			if err != nil && ctx.Err() == nil {
				p.Log.Warn("it cannot be told how many ingesters there should be", "error", err)
			}
			mu.Lock()
			last = err
			mu.Unlock()
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// look compares how many there are with how many there should be, once.
func (p Scaler) look(ctx context.Context, admin *kadm.Client, s *scaling) error {
	bound, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	lag, partitions, err := p.behind(bound, admin)
	if err != nil {
		return err
	}
	now, err := p.Replicas.Get(bound)
	if err != nil {
		return err
	}
	want := s.step(time.Now(), lag, partitions, now)
	if want == now {
		return nil
	}
	if err := p.Replicas.Set(bound, want); err != nil {
		return err
	}
	p.Log.Info("scaled", "from", now, "to", want, "lag", lag)
	return nil
}

// behind gives how many records of the topics the group has yet to commit, and how many
// partitions they have. Where it has committed nothing, all that there is waits.
func (p Scaler) behind(ctx context.Context, admin *kadm.Client) (lag int64, partitions int, err error) {
	committed, err := admin.FetchOffsets(ctx, p.Group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // nobody has joined it yet
		return 0, 0, fmt.Errorf("offsets of group %s: %w", p.Group, err)
	}
	starts, err := admin.ListStartOffsets(ctx, p.Topics...)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return 0, 0, fmt.Errorf("first offsets: %w", err)
	}
	ends, err := admin.ListEndOffsets(ctx, p.Topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, 0, fmt.Errorf("last offsets: %w", err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		partitions++
		from := int64(0)
		if start, ok := starts.Lookup(end.Topic, end.Partition); ok {
			from = start.Offset
		}
		if at, ok := committed.Lookup(end.Topic, end.Partition); ok && at.Err == nil {
			from = max(from, at.At)
		}
		lag += max(0, end.Offset-from)
	})
	return lag, partitions, nil
}

// scaling decides on a number, one look after the other.
type scaling struct {
	least, most int
	lag         int64
	cooldown    time.Duration

	fewer time.Time // since when fewer are enough; zero: they are not
	peak  int       // the most that were needed since
}

// step gives how many there should be: more at once, fewer when they were enough for the
// whole cooldown.
func (s *scaling) step(now time.Time, lag int64, partitions, current int) int {
	want := int(min((lag+s.lag-1)/s.lag, int64(s.most)))
	if partitions > 0 {
		want = min(want, partitions)
	}
	want = max(want, s.least)
	switch {
	case want >= current:
		s.fewer = time.Time{}
		return want
	case current > s.most: // somebody else's number
		s.fewer = time.Time{}
		return s.most
	case s.fewer.IsZero():
		s.fewer, s.peak = now, want
	}
	s.peak = max(s.peak, want)
	if now.Sub(s.fewer) < s.cooldown {
		return current
	}
	s.fewer = time.Time{}
	return s.peak
}
