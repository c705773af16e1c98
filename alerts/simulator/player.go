package simulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/packet"
)

const (
	// DefaultAhead is the number of bytes of the coming visit that a player
	// holds ready.
	DefaultAhead = 32 << 20
	// lookAhead is how long before a visit the player makes sure that what
	// it holds ready is still what the reservoir holds.
	lookAhead = 50 * time.Millisecond
	// retryPause keeps a player without an interval from asking an empty
	// reservoir as fast as it can.
	retryPause = time.Second
)

// PlayConfig says what to play where.
type PlayConfig struct {
	Login  kafka.Login
	Source string // the reservoir (alerts-static at USDF)
	// Input, when set, is played instead of a reservoir; Source is then only its
	// name in errors. It is opened anew for every visit.
	Input       Input
	Destination string // the topic that the community reads (alerts-simulated at USDF)
	// Interval is the time from one visit's start to the next one's (37 s at
	// USDF). 0 plays without a pause, a negative one plays once.
	Interval time.Duration
	// Ahead bounds the bytes of the coming visit that are read before it is
	// due; 0 means DefaultAhead.
	Ahead int64
	// Observe, if set, is told of every visit when it has ended, one at a
	// time. The next visit waits for it to return.
	Observe func(Cycle)
	Log     *slog.Logger // nil discards
}

// Cycle is the account of one visit.
type Cycle struct {
	N        int       // number on the grid, from 0; a skipped grid point leaves a gap
	Due      time.Time // first visit's Due + N * interval
	Started  time.Time
	Finished time.Time // last acknowledgement
	Lateness time.Duration
	Alerts   int64 // acknowledged by all in-sync replicas
	Bytes    int64 // of their values
	Missed   int   // grid points that went by unplayed because this visit was still under way
	// Err is why the visit is not whole, the first cause if there are more:
	// ErrEmptyReservoir, *TopicError, *ReservoirChangedError, *OffsetHeaderError,
	// *RecordTooLargeError, *DeliveryError, or the context's.
	Err error
}

// Status is what a player is doing now.
type Status struct {
	Running  bool
	Paused   bool
	Since    time.Time // of the pause; zero unless paused
	Playing  bool      // a visit is under way
	Next     time.Time // when the coming or the present visit is or was due
	Visits   int64     // played since Run began, also those that broke off
	Missed   int64     // grid points that went by since then because a visit was still under way
	Skipped  int64     // grid points that went by since then because of a pause
	Acked    int64     // alerts acknowledged since Run began
	InFlight int64     // alerts sent and not yet acknowledged; stays high while brokers do not answer
	LastAck  time.Time // zero before the first
}

// Player plays a reservoir into a topic, over and over. Run does the work;
// the other methods may be called at any time from anywhere.
type Player struct {
	cfg      PlayConfig
	log      *slog.Logger
	inFlight int64 // bytes sent and not yet acknowledged, at most

	mu      sync.Mutex
	resumed chan struct{} // closed unless paused
	status  Status
}

// NewPlayer checks the configuration; it does not connect.
func NewPlayer(cfg PlayConfig) (*Player, error) {
	switch {
	case cfg.Source == "" || cfg.Destination == "":
		return nil, errors.New("a player needs the names of a source and a destination topic")
	case cfg.Source == cfg.Destination:
		return nil, fmt.Errorf("a player cannot play topic %s into itself", cfg.Source)
	case cfg.Ahead < 0:
		return nil, fmt.Errorf("a player cannot read %d bytes ahead", cfg.Ahead)
	}
	if cfg.Ahead == 0 {
		cfg.Ahead = DefaultAhead
	}
	open := make(chan struct{})
	close(open)
	return &Player{cfg: cfg, log: orDiscard(cfg.Log), inFlight: maxInFlightBytes, resumed: open}, nil
}

// Pause lets the visit under way finish and starts no other. The grid goes
// on: a player that is resumed starts at the next grid point. Grid points that
// pass meanwhile are not Missed.
func (p *Player) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.status.Paused {
		p.status.Paused, p.status.Since = true, time.Now()
		p.resumed = make(chan struct{})
	}
}

// Resume ends a pause.
func (p *Player) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.Paused {
		p.status.Paused, p.status.Since = false, time.Time{}
		close(p.resumed)
	}
}

// Status returns a copy.
func (p *Player) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Run plays until ctx ends, or once if the interval is negative, and returns
// how many alerts were acknowledged. When ctx ends, what was already sent is
// given 10 s to be acknowledged, nothing more is sent, and the error is the
// context's.
//
// Before the first visit any error ends Run: a topic that is absent or may not
// be read is a mistake in the configuration. Later ones are reported with
// their Cycle and the next grid point is tried; while brokers do not answer,
// sending is retried without end. A player that plays once returns its Cycle's
// error. Run must not be called while it is running.
func (p *Player) Run(ctx context.Context) (acked int64, err error) {
	defer p.update(func(s *Status) { s.Running = false })
	p.update(func(s *Status) { *s = Status{Running: true, Paused: s.Paused, Since: s.Since} })

	w, err := newWriter(ctx, p.cfg.Login, p.cfg.Destination, p.log, kgo.RecordPartitioner(inTurn{chunkBytes}))
	if err != nil {
		return 0, err
	}
	defer w.close()
	s := &session{player: p, writer: w, room: newRoom(p.inFlight)}
	if p.cfg.Input != nil {
		s.stock = fileStock{p.cfg.Source, p.cfg.Input, p.cfg.Ahead}
	} else {
		s.stock = topicStock{p.cfg.Source, w.admin, append(p.cfg.Login.Options(), kgo.WithLogger(clientLog{p.log})), p.cfg.Ahead}
	}
	now, err := s.stock.look(ctx)
	if err != nil {
		return 0, err
	}
	s.prepare(ctx, now)
	defer func() { s.ahead.discard() }()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.ahead.ready:
		// A reservoir can be mended while it is played; a file is read as it is.
		if p.cfg.Input != nil && s.ahead.failed() {
			return 0, s.ahead.err
		}
	}

	schedule := grid{time.Now(), p.cfg.Interval}
	for n := 0; ; {
		if n, err = p.await(ctx, schedule, n); err != nil {
			return acked, err
		}
		p.update(func(s *Status) { s.Playing = true })
		c := s.visit(ctx, n, schedule)
		acked += c.Alerts
		p.update(func(s *Status) {
			s.Playing = false
			s.Visits++
			s.Missed += int64(c.Missed)
		})
		played := []any{"visit", c.N + 1, "alerts", c.Alerts, "bytes", c.Bytes,
			"seconds", c.Finished.Sub(c.Started).Seconds(), "late", c.Lateness, "missed", c.Missed}
		if c.Err != nil {
			played = append(played, "error", c.Err)
		}
		p.log.Info("visit played", played...)
		if p.cfg.Observe != nil {
			p.cfg.Observe(c)
		}
		switch {
		case ctx.Err() != nil:
			return acked, ctx.Err()
		case p.cfg.Interval < 0:
			return acked, c.Err
		case p.cfg.Interval == 0 && c.Alerts == 0:
			if err := sleepUntil(ctx, time.Now().Add(retryPause)); err != nil {
				return acked, err
			}
		}
		n = schedule.after(n, time.Now())
	}
}

// await sleeps until shortly before visit n, longer if the player is paused,
// and returns which visit that is in the end.
func (p *Player) await(ctx context.Context, g grid, n int) (int, error) {
	for {
		due := g.due(n, time.Now())
		p.update(func(s *Status) { s.Next = due })
		if err := sleepUntil(ctx, due.Add(-lookAhead)); err != nil {
			return n, err
		}
		p.mu.Lock()
		paused, resumed := p.status.Paused, p.resumed
		p.mu.Unlock()
		if !paused {
			return n, nil
		}
		select {
		case <-ctx.Done():
			return n, ctx.Err()
		case <-resumed:
			if g.interval > 0 {
				at := g.after(n-1, time.Now())
				p.update(func(s *Status) { s.Skipped += int64(at - n) })
				n = at
			}
		}
	}
}

func (p *Player) update(change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
}

// session is one Run: the clients, and what is held ready for the next visit.
type session struct {
	player *Player
	writer *writer
	room   *room
	stock  stock
	ahead  *pass
	seen   any // the stamp of what ahead reads
}

// prepare begins to read what a look saw, in place of what was held ready.
func (s *session) prepare(ctx context.Context, stamp any) {
	if s.ahead != nil {
		s.ahead.discard()
	}
	s.ahead, s.seen = s.stock.read(ctx, stamp), stamp
}

// visit plays the reservoir once.
func (s *session) visit(ctx context.Context, n int, g grid) Cycle {
	cfg := s.player.cfg
	c := Cycle{N: n}
	now, err := s.stock.look(ctx)
	observed := err == nil
	if observed && (s.ahead.failed() || !sameStamp(now, s.seen)) {
		s.prepare(ctx, now)
	}
	if c, ok := now.(seenContent); observed && ok && c.empty() {
		err = ErrEmptyReservoir
	}
	c.Due = g.due(n, time.Now())
	if late := sleepUntil(ctx, c.Due); err == nil {
		err = late
	}
	c.Started = time.Now()
	c.Lateness = c.Started.Sub(c.Due)

	t := &tally{player: s.player, room: s.room, topic: cfg.Destination, limit: s.writer.limit}
	if err == nil {
		err = s.send(ctx, c.Due, t)
	}
	if drained := s.writer.drain(ctx); err == nil {
		err = drained
	}
	c.Finished = time.Now()
	c.Alerts, c.Bytes, c.Err = t.result(err)
	if cfg.Interval > 0 {
		c.Missed = g.after(n, c.Finished) - n - 1
	}
	// What was read is used up, or the rest of a visit that broke off.
	if observed && ctx.Err() == nil && cfg.Interval >= 0 {
		s.prepare(ctx, now)
	}
	return c
}

// send hands every alert to the client when it is due.
func (s *session) send(ctx context.Context, start time.Time, t *tally) error {
	// What was handed over is to arrive even if ctx ends: drain waits for it.
	sending := context.WithoutCancel(ctx)
	for {
		r, err := s.ahead.next(ctx)
		if err != nil || r == nil {
			return err
		}
		offset, err := offsetOf(r, s.stock.name())
		if err != nil {
			s.ahead.release(r)
			t.refuse(err)
			continue
		}
		if err := sleepUntil(ctx, start.Add(offset)); err != nil {
			return err
		}
		if err := s.room.enter(ctx, len(r.Value)); err != nil {
			return err
		}
		s.ahead.release(r)
		t.sent()
		index := r.Offset
		s.writer.client.Produce(sending, &kgo.Record{Value: r.Value}, func(r *kgo.Record, err error) {
			t.done(r.Value, index, err)
		})
	}
}

// offsetOf reads the time offset of a reservoir record.
func offsetOf(r *kgo.Record, topic string) (time.Duration, error) {
	for _, h := range r.Headers {
		if h.Key == OffsetHeader {
			d, err := ParseOffset(h.Value)
			if err != nil {
				return 0, &OffsetHeaderError{topic, r.Partition, r.Offset, err}
			}
			return d, nil
		}
	}
	return 0, &OffsetHeaderError{topic, r.Partition, r.Offset, errors.New("absent")}
}

// tally counts the answers to one visit.
type tally struct {
	player *Player
	room   *room
	topic  string
	limit  int

	mu      sync.Mutex
	alerts  int64
	bytes   int64
	failed  int64
	failure error // the first failed delivery
	refused error // the first record that was not sent, or is too large ever to be
}

func (t *tally) sent() { t.player.update(func(s *Status) { s.InFlight++ }) }

func (t *tally) refuse(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refused == nil {
		t.refused = err
	}
}

func (t *tally) done(value []byte, index int64, err error) {
	t.room.leave(len(value))
	t.player.update(func(s *Status) {
		s.InFlight--
		if err == nil {
			s.Acked++
			s.LastAck = time.Now()
		}
	})
	switch {
	case isTooLarge(err, value, t.limit):
		t.refuse(&RecordTooLargeError{t.topic, alertID(value), index, len(value), t.limit, err})
		return
	case err != nil:
		t.player.log.Warn("alert not delivered", "topic", t.topic, "offset", index, "error", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		if t.failed++; t.failure == nil {
			t.failure = err
		}
		return
	}
	t.alerts++
	t.bytes += int64(len(value))
}

// result is the account of the visit; broke is why it broke off, if it did.
func (t *tally) result(broke error) (alerts, bytes int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case broke != nil:
		err = broke
	case t.refused != nil:
		err = t.refused
	case t.failure != nil:
		err = &DeliveryError{t.topic, t.failed, t.failure}
	}
	return t.alerts, t.bytes, err
}

// alertID reads the id of a wire-format alert whose schema is published.
func alertID(value []byte) int64 {
	id, body, err := packet.Unframe(value)
	if err != nil {
		return 0
	}
	schema, err := packet.Published(packet.VersionFromID(int(id)))
	if err != nil {
		return 0
	}
	head, err := schema.Head(body)
	if err != nil {
		return 0
	}
	return head.ID
}

// sleepUntil waits for a time on the monotonic clock. A past one costs nothing
// but a look at the context.
func sleepUntil(ctx context.Context, at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
