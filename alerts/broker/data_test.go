package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestSecretsArePrivate(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	if err := os.Chmod(cfg.DataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		for path, want := range map[string]fs.FileMode{cfg.DataDir: 0o700, filepath.Join(cfg.DataDir, credentialsFile): 0o600} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("%s: %s has mode %o, want %o", when, path, got, want)
			}
		}
	}
	c := startTest(t, cfg)
	check("started")
	_, err := kadm.NewClient(client(t, c)).AlterUserSCRAMs(deadline(t), nil, []kadm.UpsertSCRAM{{
		User: "reader", Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "pw",
	}})
	if err != nil {
		t.Fatal(err)
	}
	check("with a user")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	check("closed")

	cfg.Password = "another"
	c = startTest(t, cfg)
	check("started again")
	if err := clientAs(t, c, testUser, "another").Ping(deadline(t)); err != nil {
		t.Errorf("new password: %v", err)
	}
	if err := clientAs(t, c, testUser, testPassword).Ping(deadline(t)); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("old password: %v", err)
	}
	if err := clientAs(t, c, "reader", "pw").Ping(deadline(t)); err != nil {
		t.Errorf("another user: %v", err)
	}
}

// Limits that the brokers give to topics can be changed while they run, and those
// that are not set any more are Kafka's defaults, also after a restart.
func TestSetRetention(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Settings["log.retention.hours"] = "1"
	c := startTest(t, cfg)
	makeTopic(t, client(t, c), "inherits", 1, nil)
	// kept writes records that are 45 minutes old, applies retention, and says how
	// many of the topic's are there then.
	kept := func(c *Cluster) int64 {
		t.Helper()
		cl := client(t, c, kgo.ProducerBatchCompression(kgo.NoCompression()))
		for range 5 {
			r := &kgo.Record{Topic: "inherits", Value: make([]byte, 1000), Timestamp: time.Now().Add(-45 * time.Minute)}
			if err := cl.ProduceSync(deadline(t), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.ApplyRetention(); err != nil {
			t.Fatal(err)
		}
		adm := kadm.NewClient(client(t, c))
		start, err := adm.ListStartOffsets(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		end, err := adm.ListEndOffsets(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		from, _ := start.Lookup("inherits", 0)
		to, _ := end.Lookup("inherits", 0)
		return to.Offset - from.Offset
	}
	if got := kept(c); got != 5 {
		t.Errorf("within an hour: %d", got)
	}
	if err := c.SetRetention(map[string]string{"log.retention.minutes": "30", "log.segment.bytes": "1"}); err != nil {
		t.Fatal(err)
	}
	if got := kept(c); got != 0 {
		t.Errorf("within half an hour: %d", got)
	}
	if err := c.SetRetention(map[string]string{"log.retention.ms": "-1", "log.retention.bytes": "1"}); err != nil {
		t.Fatal(err)
	}
	if got := kept(c); got != 0 {
		t.Errorf("within a byte: %d", got)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.SetRetention(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	delete(cfg.Settings, "log.retention.hours")
	if got := kept(startTest(t, cfg)); got < 5 {
		t.Errorf("started without: %d", got)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Settings["log.retention.minutes"] = "60"
	cfg.Settings["log.segment.bytes"] = "20000"
	c := startTest(t, cfg)
	cl := client(t, c, kgo.ProducerBatchCompression(kgo.NoCompression()))
	makeTopic(t, cl, "by-age", 1, nil)
	makeTopic(t, cl, "by-size", 1, map[string]string{"retention.bytes": "50000", "retention.ms": "-1"})
	makeTopic(t, cl, "compacted", 1, map[string]string{"cleanup.policy": "compact"})
	makeTopic(t, cl, "both", 1, map[string]string{"cleanup.policy": "compact,delete"})
	old := time.Now().Add(-2 * time.Hour)
	for i := range 20 {
		for _, topic := range []string{"by-age", "by-size", "compacted", "both"} {
			r := &kgo.Record{Topic: topic, Key: fmt.Append(nil, i%2), Value: make([]byte, 10_000), Timestamp: old}
			if err := cl.ProduceSync(deadline(t), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	bounds := func() map[string][2]int64 {
		t.Helper()
		adm := kadm.NewClient(client(t, c))
		start, err := adm.ListStartOffsets(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		end, err := adm.ListEndOffsets(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string][2]int64)
		for topic := range start {
			s, _ := start.Lookup(topic, 0)
			e, _ := end.Lookup(topic, 0)
			got[topic] = [2]int64{s.Offset, e.Offset}
		}
		return got
	}
	makeTopic(t, cl, "deleted", 1, nil)
	for range 20 {
		if err := cl.ProduceSync(deadline(t), &kgo.Record{Topic: "deleted", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var all kadm.Offsets
	all.AddOffset("deleted", 0, 20, -1)
	if _, err := kadm.NewClient(cl).DeleteRecords(deadline(t), all); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := c.ApplyRetention(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		got := bounds()
		for topic, want := range map[string][2]int64{"by-age": {20, 20}, "deleted": {20, 20}, "compacted": {0, 20}, "both": {20, 20}} {
			// What stands for an emptied partition on disk is one empty batch.
			if when != "live" && want[0] == 20 {
				want[0] = 19
			}
			if got[topic] != want {
				t.Errorf("%s: %s is from and to %v, want %v", when, topic, got[topic], want)
			}
		}
		if s := got["by-size"]; s[1] != 20 || s[0] == 0 && when == "live" {
			t.Errorf("%s: by-size is from and to %v", when, s)
		}
	}
	check("live")
	// Offsets go on after retention took everything, however it ends.
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = startTest(t, cfg)
	check("closed and started")
	if err := client(t, c).ProduceSync(deadline(t), &kgo.Record{Topic: "by-age", Value: []byte("next")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, r := range consume(t, c, "by-age", 1) {
		if r.Offset != 20 || string(r.Value) != "next" {
			t.Errorf("the next record is %q at %d", r.Value, r.Offset)
		}
	}
	if n := len(consume(t, c, "compacted", 20)); n != 20 {
		t.Errorf("%d records are left in the compacted topic", n)
	}
}

func TestRetentionRunsByItself(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Settings["log.cleaner.backoff.ms"] = "20"
	c := startTest(t, cfg)
	cl := client(t, c)
	makeTopic(t, cl, "alerts", 1, map[string]string{"retention.ms": "1"})
	if err := cl.ProduceSync(deadline(t), &kgo.Record{Topic: "alerts", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for ctx := deadline(t); ; {
		starts, err := kadm.NewClient(cl).ListStartOffsets(ctx, "alerts")
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := starts.Lookup("alerts", 0); o.Offset == 1 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("the record is still there")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// What kfake writes only when it is closed.
func TestKilledProcessGoesOnFromWhereItWas(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Nodes = cfg.Nodes[:1]
	cfg.Settings = map[string]string{"auto.create.topics.enable": "true", "log.cleaner.backoff.ms": "20"}
	p := startProcess(t, &cfg)
	cl := loginTo(t, &cfg, kgo.AllowAutoTopicCreation())
	makeTopic(t, cl, "expired", 1, map[string]string{"retention.ms": "1"})
	ctx := deadline(t)
	for _, topic := range []string{"surprise", "expired"} {
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("kept")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	adm := kadm.NewClient(cl)
	offset := func(list func(kadm.ListedOffsets, error) kadm.ListedOffsets, end bool) int64 {
		var listed kadm.ListedOffsets
		if end {
			listed = list(adm.ListEndOffsets(ctx, "expired"))
		} else {
			listed = list(adm.ListStartOffsets(ctx, "expired"))
		}
		o, _ := listed.Lookup("expired", 0)
		return o.Offset
	}
	must := func(l kadm.ListedOffsets, err error) kadm.ListedOffsets {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for offset(must, false) != 1 {
		select {
		case <-ctx.Done():
			t.Fatal("retention does not run")
		case <-time.After(5 * time.Millisecond):
		}
	}
	for range 3 {
		p.kill()
		p = startProcess(t, &cfg)
		// 1, or further if it was killed in the middle of retention.
		if end := offset(must, true); end != 1 && end < room {
			t.Errorf("the expired topic ends at %d", end)
		}
	}
	reader := loginTo(t, &cfg, kgo.ConsumeTopics("surprise"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	fetches := reader.PollFetches(ctx)
	if rs := fetches.Records(); len(rs) != 1 || string(rs[0].Value) != "kept" {
		t.Errorf("a topic made on the fly has %v, %v", rs, fetches.Err())
	}
}

// Clients that outlive the cluster take no leader of an epoch that they have
// seen the end of. kfake keeps epochs with batches only.
func TestLeaderEpochsOnlyGrow(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	c := startTest(t, cfg)
	cl := client(t, c)
	topics := []string{"empty", "filled"}
	for _, topic := range topics {
		makeTopic(t, cl, topic, 2, nil)
	}
	if err := cl.ProduceSync(deadline(t), &kgo.Record{Topic: "filled", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := errors.Join(c.Kill(1), c.Restart(t.Context(), 1)); err != nil {
			t.Fatal(err)
		}
	}
	epochs := func(c *Cluster) map[string][2]int32 {
		got := make(map[string][2]int32)
		for _, topic := range topics {
			infos := c.fake.PartitionInfos(topic)
			got[topic] = [2]int32{infos[0].Epoch, infos[1].Epoch}
		}
		return got
	}
	before := epochs(c)
	crashed := cfg
	crashed.DataDir = t.TempDir()
	if err := os.CopyFS(crashed.DataDir, os.DirFS(cfg.DataDir)); err != nil { // as a kill would leave it
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for how, cfg := range map[string]Config{"closed": cfg, "killed": crashed} {
		after := epochs(startTest(t, cfg))
		for _, topic := range topics {
			for p := range 2 {
				if after[topic][p] <= before[topic][p] {
					t.Errorf("%s: leader epoch of %s[%d] was %d, is %d", how, topic, p, before[topic][p], after[topic][p])
				}
			}
		}
	}
}
