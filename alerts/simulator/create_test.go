package simulator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/packet"
)

// bodiesAt gives alerts at these times after midpoint.
func bodiesAt(tb testing.TB, s *packet.Schema, seconds ...float64) [][]byte {
	tb.Helper()
	var bodies [][]byte
	for i, at := range seconds {
		body, err := newVisit(tb, s, 1, small, uint64(i)).Body(0)
		if err != nil {
			tb.Fatal(err)
		}
		a, err := s.Decode(body)
		if err != nil {
			tb.Fatal(err)
		}
		source := a["diaSource"].(map[string]any)
		for _, name := range []string{"midPointTai", "midpointMjdTai"} {
			if _, has := source[name]; has {
				source[name] = midpoint + at/secondsPerDay
			}
		}
		if body, err = s.Encode(a); err != nil {
			tb.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

func TestCreateFromSyntheticVisits(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.0", "4.0", "7.4", "8.0", "10.0", "11.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, 1, 1)
			schema := published(t, version)
			m, want := c.fill(t, schema, 25, small, 3)
			got := c.read(t, reservoir)[0]
			if len(got) != len(want) {
				t.Fatalf("%d records, want %d", len(got), len(want))
			}
			digest, size := sha256.New(), int64(0)
			for i, r := range got {
				if string(r.Value) != want[i] {
					t.Fatalf("record %d differs from alert %d", i, i)
				}
				if r.Key != nil {
					t.Errorf("record %d has a key", i)
				}
				if len(r.Headers) != 1 || r.Headers[0].Key != "alertsim-time-offset" {
					t.Fatalf("record %d has headers %v", i, r.Headers)
				}
				id, body, err := packet.Unframe(r.Value)
				if err != nil || int(id) != schema.ID() {
					t.Fatalf("record %d: schema id %d, %v", i, id, err)
				}
				if _, err := schema.Decode(body); err != nil {
					t.Fatalf("record %d: %v", i, err)
				}
				digest.Write(r.Value)
				size += int64(len(r.Value))
			}
			if first := string(got[0].Headers[0].Value); first != "0.0" {
				t.Errorf("the first alert's offset is %q, want 0.0", first)
			}
			if (m != Manifest{reservoir, 0, 25, 25, size, hex.EncodeToString(digest.Sum(nil)), schema.ID()}) {
				t.Errorf("manifest %+v", m)
			}
			if err := Verify(testContext(t), c.client(t), m, Deep()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCreateFromContainer(t *testing.T) {
	t.Parallel()
	for version, codec := range map[string]string{"4.0": "null", "7.4": "snappy", "10.0": "deflate"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, 1, 1)
			// An alert may be earlier than the first of its file.
			bodies := bodiesAt(t, published(t, version), 0, 1, 0.5, -2, 37, 0)
			file := container(t, published(t, version), codec, bodies)
			_, err := Create(testContext(t), CreateConfig{
				Login: c.login, Topic: reservoir, Source: Container(file), Schema: file.Schema(),
			})
			if err != nil {
				t.Fatal(err)
			}
			got := c.read(t, reservoir)[0]
			if len(got) != len(bodies) {
				t.Fatalf("%d records, want %d", len(got), len(bodies))
			}
			for i, want := range []float64{0, 1, 0.5, -2, 37, 0} {
				if _, body, _ := packet.Unframe(got[i].Value); string(body) != string(bodies[i]) {
					t.Errorf("alert %d is not as it is in the file", i)
				}
				offset, err := ParseOffset(got[i].Headers[0].Value)
				// MJD in a float64 resolves 0.6 µs.
				if d := offset.Seconds() - want; err != nil || d > 2e-6 || d < -2e-6 {
					t.Errorf("alert %d has offset %s, want %v s", i, got[i].Headers[0].Value, want)
				}
			}
		})
	}
}

func TestCreateRefusesAFilledReservoir(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	schema := published(t, "7.4")
	m, _ := c.fill(t, schema, 5, small, 1)
	_, err := Create(testContext(t), CreateConfig{
		Login: c.login, Topic: reservoir, Source: Visit(newVisit(t, schema, 5, small, 2), 0), Schema: schema,
	})
	var full *NotEmptyError
	if !errors.As(err, &full) || full.Start != 0 || full.End != 5 {
		t.Fatalf("got %v", err)
	}
	if err := Verify(testContext(t), c.client(t), m, Deep()); err != nil {
		t.Error(err)
	}
}

func TestReplaceVoidsTheEarlierManifest(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	c := startCluster(t, 1, 1)
	before, _ := c.fill(t, published(t, "7.4"), 10, small, 1)
	after, want := c.fill(t, published(t, "10.0"), 10, small, 2)
	if after.StartOffset != before.EndOffset {
		t.Errorf("the second load begins at %d, the first ended at %d", after.StartOffset, before.EndOffset)
	}
	if got := c.read(t, reservoir)[0]; len(got) != 10 || string(got[0].Value) != want[0] {
		t.Errorf("%d records", len(got))
	}
	if err := Verify(ctx, c.client(t), after, Deep()); err != nil {
		t.Error(err)
	}
	var differs *ManifestError
	if err := Verify(ctx, c.client(t), before); !errors.As(err, &differs) || differs.Field != "offsets" {
		t.Errorf("got %v", err)
	}
}

func TestVerifyFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	m, _ := c.fill(t, published(t, "7.4"), 10, small, 1)
	for field, change := range map[string]func(*Manifest){
		"offsets":   func(m *Manifest) { m.EndOffset++ },
		"alerts":    func(m *Manifest) { m.Alerts++ },
		"bytes":     func(m *Manifest) { m.Bytes-- },
		"sha256":    func(m *Manifest) { m.SHA256 = strings.Repeat("0", 64) },
		"schema id": func(m *Manifest) { m.SchemaID = 900 },
	} {
		other := m
		change(&other)
		var differs *ManifestError
		if err := Verify(testContext(t), c.client(t), other, Deep()); !errors.As(err, &differs) || differs.Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
	other := m
	other.Topic = "absent"
	var topic *TopicError
	if err := Verify(testContext(t), c.client(t), other); !errors.As(err, &topic) || !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("absent topic: got %v", err)
	}
}

// A load that ends before its source does must not leave a part of a visit.
func TestCutShortLoadLeavesNothing(t *testing.T) {
	t.Parallel()
	schema := published(t, "7.4")
	broken := errors.New("disk on fire")
	good := bodiesAt(t, schema, 0, 0, 0)

	cancelled := func(t *testing.T) (context.Context, Source) {
		ctx, cancel := context.WithCancel(testContext(t))
		return ctx, cancelAfter{&sourceOf{bodies: good}, 3, cancel, new(int)}
	}
	for name, c := range map[string]struct {
		source func(*testing.T) (context.Context, Source)
		check  func(error) bool
	}{
		"source breaks": {
			func(t *testing.T) (context.Context, Source) {
				return testContext(t), &sourceOf{bodies: good, err: broken}
			},
			func(err error) bool {
				var at *SourceError
				return errors.As(err, &at) && at.Index == 3 && errors.Is(err, broken)
			},
		},
		"body is no alert": {
			func(t *testing.T) (context.Context, Source) {
				return testContext(t), &sourceOf{bodies: append(good[:3:3], []byte{1})}
			},
			func(err error) bool {
				var at *SourceError
				return errors.As(err, &at) && at.Index == 3
			},
		},
		"cancelled": {cancelled, func(err error) bool { return errors.Is(err, context.Canceled) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := startCluster(t, 1, 1)
			ctx, source := c.source(t)
			_, err := Create(ctx, CreateConfig{Login: lab.login, Topic: reservoir, Source: source, Schema: schema})
			if !c.check(err) {
				t.Errorf("got %v", err)
			}
			if left := lab.read(t, reservoir); len(left) != 0 {
				t.Errorf("%d alerts are left", len(left[0]))
			}
		})
	}
}

// cancelAfter cancels its reader's context in the call after the n-th.
type cancelAfter struct {
	Source
	n      int
	cancel context.CancelFunc
	calls  *int
}

func (c cancelAfter) Next(ctx context.Context) ([]byte, error) {
	if *c.calls++; *c.calls > c.n {
		c.cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return c.Source.Next(ctx)
}

func TestBrokenSourceDeletesNothing(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	schema := published(t, "7.4")
	m, _ := c.fill(t, schema, 5, small, 1)
	for _, source := range []*sourceOf{{}, {err: io.ErrUnexpectedEOF}} {
		_, err := Create(testContext(t), CreateConfig{
			Login: c.login, Topic: reservoir, Source: source, Schema: schema, Replace: true,
		})
		var at *SourceError
		if !errors.Is(err, ErrEmptySource) && !errors.As(err, &at) {
			t.Errorf("got %v", err)
		}
	}
	if err := Verify(testContext(t), c.client(t), m, Deep()); err != nil {
		t.Error(err)
	}
}

func TestCreateNamesTheAlertThatIsTooLarge(t *testing.T) {
	t.Parallel()
	schema := published(t, "7.4")
	large, err := newVisit(t, schema, 1, 300_000, 9).Body(0)
	if err != nil {
		t.Fatal(err)
	}
	head, err := schema.Head(large)
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{100_000, len(large)} { // far too large; too large for its overhead only
		c := startCluster(t, 1, 1)
		c.setConfig(t, reservoir, "max.message.bytes", fmt.Sprint(limit))
		_, err := Create(testContext(t), CreateConfig{
			Login: c.login, Topic: reservoir, Schema: schema,
			Source: &sourceOf{bodies: append(bodiesAt(t, schema, 0, 0), large)},
		})
		var refused *RecordTooLargeError
		if !errors.As(err, &refused) {
			t.Fatalf("got %v", err)
		}
		if refused.AlertID != head.ID || refused.Index != 2 || refused.Size != len(large)+packet.HeaderSize || refused.Limit != limit {
			t.Errorf("got %+v", refused)
		}
		if left := c.read(t, reservoir); len(left) != 0 {
			t.Errorf("%d alerts are left", len(left[0]))
		}
	}
}

func TestCreateTakesWhatTheTopicTakes(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	c.setConfig(t, reservoir, "max.message.bytes", "4194304")
	schema := published(t, "7.4")
	m, want := c.fill(t, schema, 1, 3_000_000, 1)
	if got := c.read(t, reservoir)[0]; m.Alerts != 1 || len(got) != 1 || string(got[0].Value) != want[0] {
		t.Errorf("%d alerts", m.Alerts)
	}
}

func TestCreateWantsOnePartition(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 3)
	schema := published(t, "7.4")
	for _, topic := range []string{simulated, "absent"} {
		_, err := Create(testContext(t), CreateConfig{
			Login: c.login, Topic: topic, Source: &sourceOf{bodies: bodiesAt(t, schema, 0)}, Schema: schema,
		})
		var refused *TopicError
		if !errors.As(err, &refused) || refused.Topic != topic {
			t.Errorf("%s: got %v", topic, err)
		}
	}
}

func TestCreateSeesAnotherWriter(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	schema := published(t, "7.4")
	other := c.client(t)
	intruding := intruder{&sourceOf{bodies: bodiesAt(t, schema, 0, 0, 0)}, func() {
		if err := other.ProduceSync(testContext(t), &kgo.Record{Topic: reservoir, Value: []byte("mine")}).FirstErr(); err != nil {
			t.Error(err)
		}
	}, make(chan struct{}, 10)}
	_, err := Create(testContext(t), CreateConfig{
		Login: c.login, Topic: reservoir, Source: intruding, Schema: schema,
		Progress: func(int64, int64, int64) { intruding.acked <- struct{}{} },
	})
	var foreign *ForeignWriteError
	if !errors.As(err, &foreign) {
		t.Fatalf("got %v", err)
	}
}

// intruder has someone else write once the second alert has arrived.
type intruder struct {
	*sourceOf
	write func()
	acked chan struct{}
}

func (s intruder) Next(ctx context.Context) ([]byte, error) {
	if s.at == 2 {
		<-s.acked
		<-s.acked
		s.write()
	}
	return s.sourceOf.Next(ctx)
}

func TestCreateTellsItsProgress(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	schema := published(t, "7.4")
	bodies := bodiesAt(t, schema, 0, 0, 0, 0)
	var done, total, size int64
	m, err := Create(testContext(t), CreateConfig{
		Login: c.login, Topic: reservoir, Source: &sourceOf{bodies: bodies}, Schema: schema, Total: 4,
		Progress: func(d, n, b int64) {
			if d != done+1 || b <= size {
				t.Errorf("%d alerts, %d bytes after %d, %d", d, b, done, size)
			}
			done, total, size = d, n, b
		},
	})
	if err != nil || done != 4 || total != 4 || size != m.Bytes {
		t.Errorf("%d of %d, %d bytes, %v", done, total, size, err)
	}
}

// A user who may not read the topic's configuration can still load it.
func TestCreateWithoutDescribeConfigs(t *testing.T) {
	t.Parallel()
	const user, password = "alertlab-loader", "secret"
	allow := func(op kadm.ACLOperation) kfake.ACL {
		return kfake.ACL{
			Resource: kmsg.ACLResourceTypeTopic, Name: reservoir, Pattern: kmsg.ACLResourcePatternTypeLiteral,
			Operation: op, Allow: true,
		}
	}
	c := startCluster(t, 1, 1, kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.Superuser("SCRAM-SHA-512", "admin", "admin"),
		kfake.User("SCRAM-SHA-512", user, password, allow(kadm.OpWrite), allow(kadm.OpDescribe), allow(kadm.OpDelete)),
	)
	c.login = kafka.Login{Bootstrap: c.login.Bootstrap, User: user, Password: password}
	schema := published(t, "7.4")
	load := func(bodies [][]byte) error {
		_, err := Create(testContext(t), CreateConfig{
			Login: c.login, Topic: reservoir, Source: &sourceOf{bodies: bodies}, Schema: schema, Replace: true,
		})
		return err
	}
	if err := load(bodiesAt(t, schema, 0, 1)); err != nil {
		t.Fatal(err)
	}
	large, err := newVisit(t, schema, 1, 1_500_000, 1).Body(0)
	if err != nil {
		t.Fatal(err)
	}
	var refused *RecordTooLargeError
	if err := load([][]byte{large}); !errors.As(err, &refused) || refused.Limit != defaultMessageBytes {
		t.Errorf("got %v", err)
	}
}

func TestVisitSourceKeepsOrderAndBound(t *testing.T) {
	t.Parallel()
	v := newVisit(t, published(t, "7.4"), 12, small, 1)
	for _, ahead := range []int{0, 1, 7, 100} {
		source := Visit(v, ahead)
		for i := range v.Len() {
			want, err := v.Body(i)
			if err != nil {
				t.Fatal(err)
			}
			got, err := source.Next(t.Context())
			if err != nil || string(got) != string(want) {
				t.Fatalf("ahead %d: body %d is another one (%v)", ahead, i, err)
			}
			if vs := source.(*visitSource); vs.begun-vs.yielded >= len(vs.slots) {
				t.Fatalf("ahead %d: %d bodies wait", len(vs.slots), vs.begun-vs.yielded)
			}
		}
		for range 2 {
			if _, err := source.Next(t.Context()); !errors.Is(err, io.EOF) {
				t.Fatalf("at the end: %v", err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Container(container(t, published(t, "7.4"), "null", bodiesAt(t, published(t, "7.4"), 0))).Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
