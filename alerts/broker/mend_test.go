package broker

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.TLS = testTLS(t)
	c := startTest(t, cfg)
	cl := client(t, c)
	makeTopic(t, cl, "alerts", 3, map[string]string{"message.timestamp.type": "LogAppendTime"})
	value := strings.Repeat("x", 80_000)
	for range 20 {
		cl.Produce(deadline(t), &kgo.Record{Topic: "alerts", Value: []byte(value)}, nil)
	}
	if err := cl.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	for _, r := range consume(t, c, "alerts", 20) {
		if string(r.Value) != value {
			t.Fatalf("read %d bytes", len(r.Value))
		}
	}
	plain, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap()), kgo.RequestRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.Ping(deadline(t)); err == nil {
		t.Error("a TLS address answers without TLS")
	}
}

func testTLS(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func testRoots(t testing.TB, c *Cluster) *x509.CertPool {
	t.Helper()
	cert, err := x509.ParseCertificate(c.cfg.TLS.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

func TestHandshakeNamesItsMechanism(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	for asked, code := range map[string]int16{
		"SCRAM-SHA-512": 0,
		"SCRAM-SHA-256": kerr.UnsupportedSaslMechanism.Code,
		"PLAIN":         kerr.UnsupportedSaslMechanism.Code,
		"GSSAPI":        kerr.UnsupportedSaslMechanism.Code,
	} {
		req := kmsg.NewPtrSASLHandshakeRequest()
		req.Version, req.Mechanism = 1, asked
		a := raw(t, dialTest(t, c), req).(*kmsg.SASLHandshakeResponse)
		if a.ErrorCode != code || !slices.Equal(a.SupportedMechanisms, []string{"SCRAM-SHA-512"}) {
			t.Errorf("%s: error %d, mechanisms %q", asked, a.ErrorCode, a.SupportedMechanisms)
		}
	}
}

func TestWrongPasswordIsRefusedInWords(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	for user, password := range map[string]string{testUser: "wrong", "nobody": testPassword} {
		if err := clientAs(t, c, user, password).Ping(deadline(t)); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s with %q: %v", user, password, err)
		}
	}
}

func TestAnswersThatJavaClientsTake(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	cl := client(t, c)
	ctx := deadline(t)

	create := kmsg.NewPtrCreateTopicsRequest()
	create.TimeoutMillis = 5000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "alerts", 1, 1
	config := kmsg.NewCreateTopicsRequestTopicConfig()
	config.Name, config.Value = "retention.ms", kmsg.StringPtr("1000")
	topic.Configs = append(topic.Configs, config)
	create.Topics = append(create.Topics, topic)
	created, err := create.RequestWith(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	if len(created.Topics) != 1 || len(created.Topics[0].Configs) != 1 {
		t.Fatalf("created %+v", created.Topics)
	}
	if s := created.Topics[0].Configs[0].Source; s != int8(kmsg.ConfigSourceDynamicTopicConfig) {
		t.Errorf("a created topic's config has source %d", s)
	}

	create.Topics[0].Topic, create.Topics[0].Configs = "plain", nil
	if created, err = create.RequestWith(ctx, cl); err != nil {
		t.Fatal(err)
	}
	if created.Topics[0].ErrorCode != 0 || created.Topics[0].Configs == nil {
		t.Errorf("a topic without settings of its own: error %d, settings %v, where Java wants a list", created.Topics[0].ErrorCode, created.Topics[0].Configs)
	}

	for name, users := range map[string][]kmsg.DescribeUserSCRAMCredentialsRequestUser{
		"null": nil, "an empty list": {}, "its name": {{Name: testUser}},
	} {
		describe := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		describe.Users = users
		described, err := describe.RequestWith(ctx, cl)
		if err != nil {
			t.Fatal(err)
		}
		if len(described.Results) != 1 || described.Results[0].User != testUser || len(described.Results[0].CredentialInfos) != 1 {
			t.Errorf("asked for users by %s: %+v", name, described.Results)
		}
	}

	quotas, err := kmsg.NewPtrDescribeClientQuotasRequest().RequestWith(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	if quotas.Entries == nil {
		t.Error("client quotas are null, not an empty list")
	}

	versions, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range versions.ApiKeys {
		if kmsg.Key(k.ApiKey) == kmsg.DescribeTopicPartitions {
			t.Error("DescribeTopicPartitions is advertised")
		}
	}

	cluster, err := kmsg.NewPtrDescribeClusterRequest().RequestWith(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(cluster.Brokers, func(b kmsg.DescribeClusterResponseBroker) bool { return b.NodeID == cluster.ControllerID }) {
		t.Errorf("controller %d is not a broker", cluster.ControllerID)
	}
}

// kcat of Debian, by librdkafka 2.0, finds no SASL and no compression otherwise.
func TestVersionsThatOlderLibrdkafkaTakes(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	for _, version := range []int16{0, 1, 2, 3, 4} {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = version, "test", "1"
		a := raw(t, dialTest(t, c), req).(*kmsg.ApiVersionsResponse)
		offered := map[kmsg.Key][2]int16{}
		for _, k := range a.ApiKeys {
			offered[kmsg.Key(k.ApiKey)] = [2]int16{k.MinVersion, k.MaxVersion}
		}
		if got := offered[kmsg.SASLHandshake]; got != [2]int16{0, 1} {
			t.Errorf("v%d: SaslHandshake is offered in versions %d", version, got)
		}
		if got := offered[kmsg.Produce]; got[0] != 0 || got[1] < 9 {
			t.Errorf("v%d: Produce is offered in versions %d", version, got)
		}
		if got := offered[kmsg.Fetch]; got[0] != 4 {
			t.Errorf("v%d: Fetch, of which nobody needs version 0, is offered in versions %d", version, got)
		}
		if a.ErrorCode != 0 || version >= 3 && len(a.SupportedFeatures) == 0 {
			t.Errorf("v%d: error %d, %d features", version, a.ErrorCode, len(a.SupportedFeatures))
		}
	}
}

// A client of the future asks in a version that nobody knows yet, and asks again
// in the one that the answer names.
func TestAnUnknownApiVersionsIsAnsweredInVersionZero(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	s := dialTest(t, c)
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = req.MaxVersion(), "test", "1"
	frame := kmsg.NewRequestFormatter().AppendRequest(nil, req, 7)
	binary.BigEndian.PutUint16(frame[6:], 99)
	if _, err := s.Write(frame); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 10)
	if _, err := io.ReadFull(s, head); err != nil {
		t.Fatal(err)
	}
	if correlation, code := binary.BigEndian.Uint32(head[4:]), int16(binary.BigEndian.Uint16(head[8:])); correlation != 7 || code != kerr.UnsupportedVersion.Code {
		t.Errorf("answer %d: error %d", correlation, code)
	}
}

// Requests for the controller are answered in their turn and with the rights of
// the user who sent them.
func TestForwardingKeepsOrderAndRights(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	root := client(t, c)
	admin := kadm.NewClient(root)
	ctx := deadline(t)
	answers, err := admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{
		User: "reader,=odd", Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "pw",
	}})
	if err = errors.Join(err, answers.Error()); err != nil {
		t.Fatal(err)
	}
	reader := clientAs(t, c, "reader,=odd", "pw")
	if _, err := kadm.NewClient(reader).CreateTopic(ctx, 1, 1, nil, "mine"); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("a user without rights made a topic: %v", err)
	}
	altered, err := kadm.NewClient(reader).AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{
		User: testUser, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "stolen",
	}})
	if err == nil && altered.Ok() {
		t.Error("a user without rights changed the superuser's password")
	}

	// On one connection, without waiting for answers.
	s := dialTest(t, c)
	l := &link{Conn: s}
	secret, err := readCredentials(c.cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.login(testUser, secret.Scram512[testUser]); err != nil {
		t.Fatal(err)
	}
	var frames []byte
	f := kmsg.NewRequestFormatter()
	for i := range int32(12) {
		var req kmsg.Request = kmsg.NewPtrMetadataRequest()
		if i%3 == 1 {
			d := kmsg.NewPtrDeleteTopicsRequest()
			d.Version = 3
			d.TopicNames = []string{"none"}
			req = d
		}
		frames = append(frames, f.AppendRequest(nil, req, 100+i)...)
	}
	if _, err := s.Write(frames); err != nil {
		t.Fatal(err)
	}
	for i := range int32(12) {
		head := make([]byte, 8)
		if _, err := io.ReadFull(s, head); err != nil {
			t.Fatal(err)
		}
		if got := int32(binary.BigEndian.Uint32(head[4:])); got != 100+i {
			t.Fatalf("answer %d is to request %d", i, got-100)
		}
		if _, err := io.CopyN(io.Discard, s, int64(binary.BigEndian.Uint32(head))-4); err != nil {
			t.Fatal(err)
		}
	}
}

// Nobody who has only begun to log in may pass as the user it names.
func TestHalfALoginForwardsNothing(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	l := &link{Conn: dialTest(t, c)}
	shake := kmsg.NewPtrSASLHandshakeRequest()
	shake.Version, shake.Mechanism = 1, mechanism
	if _, err := l.ask(shake); err != nil {
		t.Fatal(err)
	}
	auth := kmsg.NewPtrSASLAuthenticateRequest()
	auth.SASLAuthBytes = []byte("n,,n=" + testUser + ",r=abcdef")
	if _, err := l.ask(auth); err != nil {
		t.Fatal(err)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "intruder", 1, 1
	create.Topics = append(create.Topics, topic)
	if a, err := l.ask(create); err == nil {
		t.Errorf("answered %+v", a)
	}
	topics, err := kadm.NewClient(client(t, c)).ListTopics(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	if topics.Has("intruder") {
		t.Error("a topic was made by someone who is not logged in")
	}
}

// Anything may connect to a port: an HTTP client, a scanner, a client of a
// version to come.
func TestNonsenseClosesOnlyItsConnection(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	for name, bytes := range map[string]string{
		"HTTP":        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"TLS":         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00",
		"short":       "\x00\x00\x00\x02\x00\x12\x00\x00\x00\x00\x00\x00",
		"unknown key": "\x00\x00\x00\x0a\x7f\xff\x00\x00\x00\x00\x00\x01\xff\xff",
		"version":     "\x00\x00\x00\x0a\x00\x12\xff\xff\x00\x00\x00\x01\xff\xff",
		"produce":     "\x00\x00\x00\x0c\x00\x00\x00\x09\x00\x00\x00\x01\xff\xff\xff\xff",
		"login":       "\x00\x00\x00\x0c\x00\x24\x00\x02\x00\x00\x00\x01\xff\xff\xff\xff",
		"zero":        strings.Repeat("\x00", 64),
	} {
		s := dialTest(t, c)
		if _, err := io.WriteString(s, bytes); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(s); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: read %q, %v", name, b, err)
		}
	}
	if err := client(t, c).Ping(deadline(t)); err != nil {
		t.Error(err)
	}
}

func dialTest(t testing.TB, c *Cluster) net.Conn {
	t.Helper()
	s, err := net.Dial("tcp", c.Bootstrap())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.SetDeadline(time.Now().Add(time.Minute))
	return s
}

func raw(t testing.TB, s net.Conn, req kmsg.Request) kmsg.Response {
	t.Helper()
	a, err := (&link{Conn: s}).ask(req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func FuzzScramUser(f *testing.F) {
	f.Add("n,,n=a=2Cb=3Dc,r=nonce")
	f.Add("y,,n=a,r=b")
	f.Add("n,a=x,n=x,r=")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if user, ok := scramUser([]byte(s)); ok && !strings.HasPrefix(s, "n,") {
			t.Errorf("%q names %q", s, user)
		}
	})
}

func FuzzProduceRequest(f *testing.F) {
	req := kmsg.NewPtrProduceRequest()
	req.Version = 9
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "alerts"
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = make([]byte, batchHeader)
	p.Records[batchMagic] = 2
	seal(p.Records)
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	f.Add(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)[headSize:], int16(9))
	f.Add([]byte{0xff, 0xff}, int16(13))
	s := &stamps{names: map[string]bool{"alerts": true}}
	f.Fuzz(func(t *testing.T, b []byte, version int16) {
		if version < 0 || version > 13 {
			return
		}
		n := len(b)
		s.request(b, version, 1)
		if len(b) != n {
			t.Error("length changed")
		}
	})
}

// The simulator asks what a topic takes before it loads it.
func TestATopicInheritsTheBrokersMessageLimit(t *testing.T) {
	t.Parallel()
	for configured, want := range map[string]string{"4194304": "4194304", "": "1048588"} {
		cfg := testConfig(t)
		cfg.Settings = map[string]string{}
		if configured != "" {
			cfg.Settings["message.max.bytes"] = configured
		}
		c := startTest(t, cfg)
		cl := client(t, c)
		adm, ctx := kadm.NewClient(cl), deadline(t)
		small := "50000"
		for topic, settings := range map[string]map[string]*string{"plain": nil, "own": {"max.message.bytes": &small}} {
			if _, err := adm.CreateTopic(ctx, 1, 1, settings, topic); err != nil {
				t.Fatal(err)
			}
		}
		for _, names := range [][]string{nil, {"max.message.bytes"}} {
			for topic, want := range map[string]string{"plain": want, "own": small} {
				req := kmsg.NewPtrDescribeConfigsRequest()
				r := kmsg.NewDescribeConfigsRequestResource()
				r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, names
				req.Resources = append(req.Resources, r)
				answer, err := req.RequestWith(ctx, cl)
				if err != nil {
					t.Fatal(err)
				}
				got := ""
				for _, config := range answer.Resources[0].Configs {
					if config.Name == "max.message.bytes" {
						got = *config.Value
					}
				}
				if got != want {
					t.Errorf("brokers with %q, topic %s, asked for %v: %q, want %q", configured, topic, names, got, want)
				}
			}
		}
	}
}

// A refused login is answered no sooner than Kafka's
// connection.failed.authentication.delay.ms; a right one at the same time goes on.
func TestRefusalWaits(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	began := time.Now()
	err := clientAs(t, c, testUser, "wrong", kgo.RequestRetries(0)).Ping(deadline(t))
	if took := time.Since(began); !errors.Is(err, kerr.SaslAuthenticationFailed) || took < refusalDelay {
		t.Errorf("refused after %v: %v", took, err)
	}
	if err := client(t, c).Ping(deadline(t)); err != nil {
		t.Error(err)
	}
}

// A consumer that has read all goes on where it was, whatever happens to leaders, and
// does not take it for lost records.
func TestReadersOfAllOutliveTheirLeaders(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	c := startTest(t, cfg)
	cl := client(t, c)
	makeTopic(t, cl, "alerts", 3, nil)
	send := func(value string) {
		t.Helper()
		for p := range int32(3) {
			r := &kgo.Record{Topic: "alerts", Partition: p, Value: []byte(value)}
			sender := client(t, c, kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err := sender.ProduceSync(deadline(t), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
			sender.Close()
		}
	}
	reader := client(t, c, kgo.ConsumeTopics("alerts"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(20*time.Millisecond), kgo.MetadataMaxAge(200*time.Millisecond), kgo.FetchMaxWait(100*time.Millisecond))
	read := func(value string) {
		t.Helper()
		for left := 3; left > 0; {
			fetches := reader.PollFetches(deadline(t))
			for _, fe := range fetches.Errors() {
				t.Fatalf("%s[%d]: %v", fe.Topic, fe.Partition, fe.Err)
			}
			for _, r := range fetches.Records() {
				if string(r.Value) != value {
					t.Fatalf("partition %d offset %d: %q, not %q", r.Partition, r.Offset, r.Value, value)
				}
				left--
			}
		}
	}
	send("one")
	read("one")
	nodes := c.Nodes()
	for _, n := range nodes {
		if err := c.Kill(n.ID); err != nil {
			t.Fatal(err)
		}
		// Before anything is written in the new leaders' epochs.
		if fetches := reader.PollFetches(within(t, 500*time.Millisecond)); len(fetches.Records()) > 0 {
			t.Fatalf("read again: %v", fetches.Records())
		}
		if err := c.Restart(t.Context(), n.ID); err != nil {
			t.Fatal(err)
		}
	}
	send("two")
	read("two")

	cfg.Nodes, cfg.Bootstrap = nodes, c.Bootstrap()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = startTest(t, cfg)
	if fetches := reader.PollFetches(within(t, time.Second)); len(fetches.Records()) > 0 {
		t.Fatalf("read again after the restart: %v", fetches.Records())
	}
	send("three")
	read("three")

	// Of an epoch that is still to come there is nothing to say.
	adm := kadm.NewClient(client(t, c))
	req := kadm.OffsetForLeaderEpochRequest{}
	req.Add("alerts", 0, 1_000_000)
	ends, err := adm.OffsetForLeaderEpoch(deadline(t), req)
	if err != nil {
		t.Fatal(err)
	}
	if end := ends["alerts"][0]; end.Err != nil || end.EndOffset != -1 {
		t.Errorf("epoch 1000000 ends at %d, %v", end.EndOffset, end.Err)
	}
}

// within is a context that ends, for polling what should not come.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
