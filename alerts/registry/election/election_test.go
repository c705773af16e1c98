package election

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What Confluent's SchemaRegistryIdentity and SchemaRegistryProtocol.Assignment make
// (commit 794611bd86d of github.com/confluentinc/schema-registry, run with Jackson
// 2.21.2).
const (
	goldenIdentity   = `{"host":"registry-0.registry","port":8081,"master_eligibility":true,"scheme":"http","version":1,"leader":false}`
	goldenAssignment = `{"error":0,"master":"sr-1-abc","master_identity":` + goldenIdentity + `,"version":1}`
	goldenNobody     = `{"error":0,"version":1}`
	goldenDuplicate  = `{"error":1,"master":"sr-1-abc","master_identity":` + goldenIdentity + `,"version":1}`
)

func TestGolden(t *testing.T) {
	t.Parallel()
	i, err := Parse("http://registry-0.registry:8081/")
	if err != nil {
		t.Fatal(err)
	}
	for want, v := range map[string]any{
		goldenIdentity:   i,
		goldenAssignment: assignment{Version: 1, Leader: "sr-1-abc", Identity: &i},
		goldenNobody:     assignment{Version: 1},
		goldenDuplicate:  assignment{Version: 1, Error: duplicateURLs, Leader: "sr-1-abc", Identity: &i},
	} {
		if got := string(encode(v)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got, err := decodeMember([]byte(goldenIdentity)); err != nil || got != i {
		t.Errorf("identity %+v, %v", got, err)
	}
	if got, err := decodeAssignment([]byte(goldenAssignment)); err != nil || got.Leader != "sr-1-abc" || *got.Identity != i {
		t.Errorf("assignment %+v, %v", got, err)
	}
}

func TestAssign(t *testing.T) {
	t.Parallel()
	at := func(host string, eligible, leader bool) Identity {
		return Identity{Version: 1, Host: host, Port: 1, Scheme: "http", Eligible: eligible, Leader: leader}
	}
	for name, c := range map[string]struct {
		members map[string]Identity
		leader  string
		err     int
	}{
		"nobody":                 {nil, "", 0},
		"one":                    {map[string]Identity{"x": at("b", true, false)}, "x", 0},
		"the smallest address":   {map[string]Identity{"x": at("b", true, false), "y": at("a", true, false)}, "y", 0},
		"who leads stays":        {map[string]Identity{"x": at("b", true, true), "y": at("a", true, false)}, "x", 0},
		"two lead: the smallest": {map[string]Identity{"x": at("b", true, true), "y": at("a", true, true)}, "y", 0},
		"not eligible":           {map[string]Identity{"x": at("b", true, false), "y": at("a", false, true)}, "x", 0},
		"one address for two":    {map[string]Identity{"x": at("a", false, false), "y": at("a", true, false)}, "y", duplicateURLs},
	} {
		if got := assign(c.members); got.Leader != c.leader || got.Error != c.err || (got.Identity == nil) != (c.leader == "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// coordinator answers as a group's coordinator would for its only member, until a
// test says otherwise.
type coordinator struct {
	mu    sync.Mutex
	beat  func() (int16, error)
	joins int
	left  bool
}

func (c *coordinator) set(beat func() (int16, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beat = beat
}

func (c *coordinator) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch req := req.(type) {
	case *kmsg.JoinGroupRequest:
		resp := kmsg.NewPtrJoinGroupResponse()
		if req.MemberID == "" {
			c.joins++
			resp.ErrorCode, resp.MemberID = kerr.MemberIDRequired.Code, "me"
			return resp, nil
		}
		resp.MemberID, resp.LeaderID, resp.Generation = req.MemberID, req.MemberID, int32(c.joins)
		m := kmsg.NewJoinGroupResponseMember()
		m.MemberID, m.ProtocolMetadata = req.MemberID, req.Protocols[0].Metadata
		odd := kmsg.NewJoinGroupResponseMember()
		odd.MemberID, odd.ProtocolMetadata = "odd", []byte("what")
		resp.Members = append(resp.Members, m, odd)
		return resp, nil
	case *kmsg.SyncGroupRequest:
		resp := kmsg.NewPtrSyncGroupResponse()
		if len(req.GroupAssignment) == 2 {
			resp.MemberAssignment = req.GroupAssignment[0].MemberAssignment
		}
		return resp, nil
	case *kmsg.HeartbeatRequest:
		code, err := int16(0), error(nil)
		if c.beat != nil {
			code, err = c.beat()
		}
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.ErrorCode = code
		return resp, err
	case *kmsg.LeaveGroupRequest:
		c.left = len(req.Members) == 1 && req.Members[0].MemberID == "me"
		return kmsg.NewPtrLeaveGroupResponse(), nil
	}
	return nil, errors.New("not expected")
}

// TestMember follows one member: it leads, is forgotten, leads again, hears nothing
// for longer than its session, and leaves.
func TestMember(t *testing.T) {
	t.Parallel()
	c := &coordinator{}
	identity, err := Parse("http://127.0.0.1:8081")
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan Leader, 100)
	m := New(Config{Client: c, Identity: identity, Session: 40 * time.Millisecond, Heartbeat: time.Millisecond,
		Changed: func(l Leader) { told <- l }, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	leads, nobody := Leader{URL: "http://127.0.0.1:8081", Self: true}, Leader{}
	expect := func(want ...Leader) {
		t.Helper()
		for _, w := range want {
			select {
			case got := <-told:
				if got != w {
					t.Fatalf("told %+v, want %+v", got, w)
				}
			case <-time.After(time.Minute):
				t.Fatalf("never told %+v", w)
			}
		}
	}
	expect(leads)
	forgotten := false
	c.set(func() (int16, error) {
		if forgotten {
			return 0, nil
		}
		forgotten = true
		return kerr.UnknownMemberID.Code, nil
	})
	expect(nobody, leads)
	// A rebalance changes nothing by itself.
	rebalances := 0
	again := make(chan struct{})
	c.set(func() (int16, error) {
		if rebalances++; rebalances == 3 {
			close(again)
		}
		if rebalances > 3 {
			return 0, nil
		}
		return kerr.RebalanceInProgress.Code, nil
	})
	<-again
	c.set(func() (int16, error) { return 0, errors.New("the network is away") })
	expect(nobody)
	if m.Counted() {
		t.Error("it counts on a coordinator that it has not heard of")
	}
	// It is a member still: nobody took over in the meantime.
	c.set(nil)
	expect(leads)
	cancel()
	<-done
	expect(nobody)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.left {
		t.Error("it did not leave the group")
	}
}

// FuzzDecode reads what other members of the group may say.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{goldenIdentity, goldenAssignment, goldenNobody, goldenDuplicate, "null", `{"master":"x","master_identity":{}}`, `{"port":-1}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if i, err := decodeMember(text); err == nil {
			a := assign(map[string]Identity{"x": i, "y": i})
			if again, err := decodeMember(encode(i)); err != nil || again != i {
				t.Errorf("%s came back as %+v, %v", text, again, err)
			}
			if a.Error != duplicateURLs || i.Eligible && !slices.Contains([]string{"x", "y"}, a.Leader) {
				t.Errorf("%s: assignment %+v", text, a)
			}
		}
		if a, err := decodeAssignment(text); err == nil && a.Error == noError && a.Identity != nil && (a.Leader == "" || a.Identity.Host == "") {
			t.Errorf("%s names a leader that nobody reaches: %+v", text, a)
		}
	})
}
