package broker

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// disk stands for fsync: it keeps, of each file, what was in it when it was synced
// last, which is all that a loss of power would leave.
type disk struct {
	mu    sync.Mutex
	files map[string][]byte
	count map[string]int
	fail  error
}

func (d *disk) fsync(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	d.count[filepath.Base(path)]++
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return err
	}
	d.files[path], err = os.ReadFile(path)
	return err
}

// holds says whether text stands in a synced file whose name ends so.
func (d *disk) holds(suffix, text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for path, content := range d.files {
		if strings.HasSuffix(path, suffix) && bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}

func withDisk(t testing.TB, on bool) (*Cluster, *disk) {
	d := &disk{files: map[string][]byte{}, count: map[string]int{}}
	cfg := testConfig(t)
	cfg.Sync, cfg.fsync = on, d.fsync
	cfg.Settings["log.segment.bytes"] = "20000" // a new segment after a few records
	return startTest(t, cfg), d
}

// Whatever is acknowledged has been on disk before: by several producers at once,
// over new segments, with and without append time.
func TestSync(t *testing.T) {
	t.Parallel()
	c, d := withDisk(t, true)
	admin := client(t, c)
	makeTopic(t, admin, "plain", 2, nil)
	makeTopic(t, admin, "stamped/%", 2, map[string]string{"message.timestamp.type": "LogAppendTime"})
	if !d.holds("topics.json", "stamped/%") {
		t.Error("a topic was made, and not on disk")
	}
	if err := admin.Ping(deadline(t)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for producer := range 4 {
		cl := client(t, c, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		wg.Go(func() {
			for i := range 30 {
				name := fmt.Sprintf("record-%d-%d-", producer, i)
				topic := []string{"plain", "stamped/%"}[i%2]
				value := name + strings.Repeat("x", 2000)
				if err := cl.ProduceSync(deadline(t), &kgo.Record{Topic: topic, Partition: int32(i / 2 % 2), Value: []byte(value)}).FirstErr(); err != nil {
					t.Error(err)
					return
				}
				if !d.holds(".dat", name) {
					t.Errorf("%s was acknowledged before it was on disk", name)
				}
			}
		})
	}
	wg.Wait()
	d.mu.Lock()
	for _, folder := range []string{"plain-0", "stamped%2F%25-1", "partitions", filepath.Base(c.cfg.DataDir)} {
		if d.count[folder] == 0 {
			t.Errorf("the folder %s was not synced", folder)
		}
	}
	// Several segments were begun, and each one's index is there too.
	var segments []string
	for path := range d.files {
		if name, ok := strings.CutSuffix(path, ".dat"); ok {
			segments = append(segments, name)
			if _, ok := d.files[name+".idx"]; !ok {
				t.Errorf("the index of %s was not synced", name)
			}
		}
	}
	d.mu.Unlock()
	if len(segments) < 8 {
		t.Errorf("only %d segments were begun", len(segments))
	}

	// So are commits and users.
	offsets := make(kadm.Offsets)
	offsets.Add(kadm.Offset{Topic: "plain", Partition: 0, At: 1, LeaderEpoch: -1})
	adm := kadm.NewClient(admin)
	if _, err := adm.CommitOffsets(deadline(t), "committed-group", offsets); err != nil {
		t.Fatal(err)
	}
	if !d.holds("groups.log", "committed-group") {
		t.Error("a commit was acknowledged before it was on disk")
	}
	if _, err := adm.AlterUserSCRAMs(deadline(t), nil, []kadm.UpsertSCRAM{{User: "synced-user", Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "secret"}}); err != nil {
		t.Fatal(err)
	}
	if !d.holds(credentialsFile, "synced-user") {
		t.Error("a user was acknowledged before it was on disk")
	}

	// A disk that fails is not taken for one that has stored it.
	d.mu.Lock()
	d.fail = syscall.EIO
	d.mu.Unlock()
	cl := client(t, c, slices.Concat(impatient(), []kgo.Opt{kgo.RecordRetries(0), kgo.DisableIdempotentWrite()})...)
	err := cl.ProduceSync(deadline(t), &kgo.Record{Topic: "plain", Value: []byte("lost")}).FirstErr()
	if !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("on a disk that fails: %v", err)
	}
}

func TestNoSync(t *testing.T) {
	t.Parallel()
	c, d := withDisk(t, false)
	cl := client(t, c)
	makeTopic(t, cl, "plain", 1, nil)
	if err := cl.ProduceSync(deadline(t), &kgo.Record{Topic: "plain", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if len(d.count) > 0 {
		t.Errorf("synced without being asked to: %v", d.count)
	}
}

// The system's own fsync, of a file, of a folder, and of what is not there.
func TestFsync(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fsync(file), fsync(dir)); err != nil {
		t.Error(err)
	}
	if err := fsync(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// What comes with acks=0 is never answered, so that nothing may be kept until it is.
func TestSyncWithoutAcks(t *testing.T) {
	t.Parallel()
	c, _ := withDisk(t, true)
	makeTopic(t, client(t, c), "plain", 1, nil)
	const sent = 50
	cl := client(t, c, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	for range sent { // each a request of its own
		if err := cl.ProduceSync(deadline(t), &kgo.Record{Topic: "plain", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	ctx := deadline(t)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for c.fake.PartitionInfos("plain")[0].HighWatermark < sent {
		select {
		case <-ctx.Done():
			t.Fatal("what was sent did not come")
		case <-tick.C:
		}
	}
	for _, n := range c.nodes {
		n.mu.Lock()
		defer n.mu.Unlock()
		for conn := range n.conns {
			conn.mu.Lock()
			if got := len(conn.expects); got > 1 {
				t.Errorf("a connection waits for %d answers", got)
			}
			conn.mu.Unlock()
		}
	}
}

// Two clients that changed something at once: neither is answered before the folder
// that names the new file is on disk, whoever of them syncs it.
func TestSyncOfAFolderForTwo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "topics.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSyncer(dir, slog.New(slog.DiscardHandler))
	folders := 0
	s.fsync = func(path string) error {
		if path != dir {
			return nil
		}
		if folders++; folders == 1 { // the other one comes while this one's is not done
			if err := s.changed(); err != nil {
				t.Error(err)
			}
			if folders != 2 {
				t.Error("the other one was answered before the folder was on disk")
			}
		}
		return nil
	}
	if err := s.changed(); err != nil {
		t.Error(err)
	}
}

// A file that is replaced by another one of its size, so soon that the clock shows
// the same time, is another file.
func TestSyncOfAFileThatLooksTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, next := filepath.Join(dir, "sasl.json"), filepath.Join(dir, "next")
	at := time.Now()
	d := &disk{files: map[string][]byte{}, count: map[string]int{}}
	s := newSyncer(dir, slog.New(slog.DiscardHandler))
	s.fsync = d.fsync
	for _, content := range []string{"first", "other"} {
		err := errors.Join(os.WriteFile(next, []byte(content), 0o600), os.Chtimes(next, at, at), os.Rename(next, file), s.changed())
		if err != nil {
			t.Fatal(err)
		}
		if !d.holds("sasl.json", content) {
			t.Errorf("%q was not synced", content)
		}
	}
	before := d.count["sasl.json"]
	if err := s.changed(); err != nil || d.count["sasl.json"] != before {
		t.Errorf("what has not changed was synced again (%v)", err)
	}
}

// What the system could not write once it takes for written when it is asked again
// (fsync(2)): a producer that tries again must not be told that its record is safe.
func TestSyncThatFailedOnce(t *testing.T) {
	t.Parallel()
	c, d := withDisk(t, true)
	makeTopic(t, client(t, c), "plain", 1, nil)
	fail := func(err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.fail = err
	}
	impatient := client(t, c, slices.Concat(impatient(), []kgo.Opt{kgo.RecordRetries(0), kgo.DisableIdempotentWrite()})...)
	send := func() error {
		return impatient.ProduceSync(deadline(t), &kgo.Record{Topic: "plain", Value: []byte("x")}).FirstErr()
	}
	// That a file cannot be opened now says nothing of what is in it.
	fail(&fs.PathError{Op: "open", Path: "x", Err: syscall.EMFILE})
	if err := send(); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("a file that cannot be opened: %v", err)
	}
	fail(nil)
	if err := send(); err != nil {
		t.Errorf("a file that can be opened again: %v", err)
	}
	fail(syscall.EIO)
	if err := send(); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("on a disk that fails: %v", err)
	}
	fail(nil)
	if err := send(); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("to the same file, once the disk has failed: %v", err)
	}
}
