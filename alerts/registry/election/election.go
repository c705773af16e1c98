package election

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Times of Confluent's registry (SchemaRegistryConfig, kafkagroup.*), but for the
// heartbeat, which there is every 3 s.
const (
	DefaultGroup     = "schema-registry"
	DefaultSession   = 10 * time.Second
	DefaultHeartbeat = 2 * time.Second
	// rebalance is how long the coordinator waits for members to join again.
	rebalance = 60 * time.Second
	// again is the pause after a failure that no waiting on an event mends.
	again = 250 * time.Millisecond
	// leaving bounds the goodbye.
	leaving = 3 * time.Second
)

// Requester sends a request to the broker that answers it.
type Requester interface {
	Request(context.Context, kmsg.Request) (kmsg.Response, error)
}

// Leader is what a member knows.
type Leader struct {
	// URL is where the leader is reached; empty while none is known.
	URL string
	// Self is whether this member leads.
	Self bool
}

// Config is what a Member needs.
type Config struct {
	Client Requester
	// Group is the Kafka group's name; empty means DefaultGroup.
	Group string
	// Identity is what the others get to know.
	Identity Identity
	// Session is how long a silent member stays in the group, from 6 s (Apache
	// Kafka's default minimum); zero means DefaultSession.
	Session time.Duration
	// Heartbeat is the time between two signs of life; zero means
	// DefaultHeartbeat.
	Heartbeat time.Duration
	// Changed hears who leads, each time that this changes, one call at a time.
	Changed func(Leader)
	// Log takes what goes on.
	Log *slog.Logger
}

// New makes a member that has not joined yet.
func New(cfg Config) *Member {
	if cfg.Group == "" {
		cfg.Group = DefaultGroup
	}
	if cfg.Session == 0 {
		cfg.Session = DefaultSession
	}
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = DefaultHeartbeat
	}
	return &Member{Config: cfg}
}

// Run joins the group and stays in it until the context ends; then it leaves, so
// that another member can lead at once. It returns only then. A member runs once.
func (m *Member) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := m.stay(ctx)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, kerr.RebalanceInProgress):
			// Who leads goes on leading until the group has decided.
		case errors.Is(err, kerr.MemberIDRequired):
		case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.IllegalGeneration), errors.Is(err, kerr.FencedInstanceID):
			m.Log.Warn("the group of schema registries went on without this one", "group", m.Group, "error", err)
			m.id = ""
			m.tell(Leader{})
		default:
			if !m.failing {
				m.Log.Error("the group of schema registries cannot be joined", "group", m.Group, "error", err)
			}
			m.failing = true
			m.expire()
			_ = pause(ctx) // whether ctx ended is looked at next
		}
	}
	m.leave(ctx)
	m.tell(Leader{})
}

// Member is one registry in the group.
type Member struct {
	Config
	id   string
	told Leader
	// assigned is what the current generation says, whether it was told or not.
	assigned Leader
	// heard is when the coordinator was last known to count on this member: the
	// time at which a request was sent that it answered well.
	mu    sync.Mutex
	heard time.Time
	// failing is whether the last failure has been logged already.
	failing bool
}

func (m *Member) tell(l Leader) {
	if l == m.told {
		return
	}
	m.told = l
	m.Changed(l)
}

// Counted reports whether the coordinator still counts on this member, as far as
// that can be known without asking: a process that was frozen may have been given
// up in the meantime.
func (m *Member) Counted() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	// The wall clock too: the monotonic one stands still while a machine sleeps.
	return time.Since(m.heard) <= m.Session && time.Now().Round(0).Sub(m.heard.Round(0)) <= m.Session
}

func (m *Member) hear(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = at
}

// expire stops leading when the coordinator may have given this member up.
func (m *Member) expire() {
	if m.told.Self && !m.Counted() {
		m.tell(Leader{})
	}
}

// stay joins the group and sends heartbeats. It returns when the group, or what
// it knows of this member, must be asked anew.
func (m *Member) stay(ctx context.Context) error {
	generation, err := m.join(ctx)
	if err != nil {
		return err
	}
	beat := time.NewTicker(m.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
		}
		if err := m.beat(ctx, generation); err != nil {
			return err
		}
	}
}

// beat sends signs of life until one is answered.
func (m *Member) beat(ctx context.Context, generation int32) error {
	for {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.Generation, req.MemberID = m.Group, generation, m.id
		sent := time.Now()
		// A broker that does not answer must not keep a leader from noticing
		// that its time is over.
		bound, cancel := context.WithTimeout(ctx, m.Session/2)
		resp, err := m.Client.Request(bound, req)
		cancel()
		if err == nil {
			answer := resp.(*kmsg.HeartbeatResponse)
			err = kerr.ErrorForCode(answer.ErrorCode)
			if err == nil || errors.Is(err, kerr.RebalanceInProgress) {
				m.hear(sent)
			}
			if err == nil {
				// After a silence, the generation and its leader hold still.
				m.tell(m.assigned)
			}
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.Log.Warn("the group of schema registries does not answer", "group", m.Group, "error", err)
		m.expire()
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// join takes part in one generation of the group and tells who leads it.
func (m *Member) join(ctx context.Context) (generation int32, err error) {
	self := m.Identity
	self.Leader = m.told.Self
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.ProtocolType = m.Group, m.id, protocolType
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(m.Session.Milliseconds()), int32(rebalance.Milliseconds())
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = protocol, encode(self)
	req.Protocols = append(req.Protocols, p)
	resp, err := m.Client.Request(ctx, req)
	if err != nil {
		return 0, err
	}
	joined := resp.(*kmsg.JoinGroupResponse)
	if err := kerr.ErrorForCode(joined.ErrorCode); err != nil {
		if errors.Is(err, kerr.MemberIDRequired) {
			m.id = joined.MemberID
		}
		return 0, err
	}
	m.id = joined.MemberID

	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.Generation, sync.MemberID = m.Group, joined.Generation, m.id
	kind, name := protocolType, protocol
	sync.ProtocolType, sync.Protocol = &kind, &name
	if joined.LeaderID == m.id {
		if sync.GroupAssignment, err = m.share(joined.Members); err != nil {
			return 0, err
		}
	}
	sent := time.Now()
	resp, err = m.Client.Request(ctx, sync)
	if err != nil {
		return 0, err
	}
	synced := resp.(*kmsg.SyncGroupResponse)
	if err := kerr.ErrorForCode(synced.ErrorCode); err != nil {
		return 0, err
	}
	m.hear(sent)
	m.failing = false
	a, err := decodeAssignment(synced.MemberAssignment)
	switch {
	case err != nil:
	case a.Error == duplicateURLs:
		err = fmt.Errorf("two members of the group tell the same address; this one tells %s", m.Identity.URL())
	case a.Error != noError:
		err = fmt.Errorf("the group's assignment has the unknown error %d", a.Error)
	}
	m.assigned = Leader{}
	switch {
	case err != nil:
		// No other generation comes by itself: stay a member, and lead nothing.
		m.Log.Error("the group of schema registries has no leader", "group", m.Group, "error", err)
	case a.Identity == nil:
		m.Log.Warn("no member of the group of schema registries may lead it", "group", m.Group)
	default:
		m.assigned = Leader{URL: a.Identity.URL(), Self: a.Leader == m.id}
	}
	m.tell(m.assigned)
	return joined.Generation, nil
}

// share makes the assignment that every member gets. A member whose identity
// cannot be read gets it too, and leads nothing.
func (m *Member) share(members []kmsg.JoinGroupResponseMember) ([]kmsg.SyncGroupRequestGroupAssignment, error) {
	known := make(map[string]Identity)
	for _, other := range members {
		identity, err := decodeMember(other.ProtocolMetadata)
		if err != nil {
			m.Log.Warn("a member of the group of schema registries cannot be understood", "group", m.Group, "member", other.MemberID, "error", err)
			continue
		}
		known[other.MemberID] = identity
	}
	text := encode(assign(known))
	var out []kmsg.SyncGroupRequestGroupAssignment
	for _, other := range members {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = other.MemberID, text
		out = append(out, a)
	}
	return out, nil
}

// leave says goodbye, so that nobody waits for the session to end.
func (m *Member) leave(ctx context.Context) {
	if m.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaving)
	defer cancel()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = m.Group, m.id
	one := kmsg.NewLeaveGroupRequestMember()
	one.MemberID = m.id
	req.Members = append(req.Members, one)
	if _, err := m.Client.Request(ctx, req); err != nil {
		m.Log.Warn("the group of schema registries could not be left", "group", m.Group, "error", err)
	}
}

// pause waits before something is tried again. Its error is the context's.
func pause(ctx context.Context) error {
	timer := time.NewTimer(again)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
