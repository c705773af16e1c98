package archive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/registry"
)

// childConfig is what the crash test tells its ingester process.
type childConfig struct {
	Bootstrap       []string
	Store, Registry string
	Topic           string
}

// ingestAsChild ingests until it is killed or its parent is gone.
func ingestAsChild(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var c childConfig
	in := json.NewDecoder(os.Stdin)
	if err := in.Decode(&c); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	schemas, err := registry.NewClient(c.Registry)
	if err != nil {
		return err
	}
	ingester, err := archive.NewIngester(archive.IngesterConfig{
		Login: kafka.Login{Bootstrap: c.Bootstrap}, Topics: []string{c.Topic},
		Objects: store(c.Store), Buckets: buckets, Schemas: schemas,
		CommitInterval: 5 * time.Millisecond, Workers: 16,
		KafkaOptions: []kgo.Opt{kgo.InstanceID("crash-test")},
		OnStored:     func(s archive.Stored) { fmt.Println(s.ID) },
	})
	if err != nil {
		return err
	}
	return ingester.Run(ctx)
}

// TestCrash kills an ingester process at random moments: nothing may be
// committed that is not stored, and in the end everything is.
func TestCrash(t *testing.T) {
	t.Parallel()
	const partitions, perPartition, kills = 3, 600, 5
	r := newRig(t, map[string]int32{"alerts": partitions})
	ids := map[int32][]int64{}
	for p := range int32(partitions) {
		var values [][]byte
		for i := range int64(perPartition) {
			id := int64(p)*1_000_000 + i
			ids[p] = append(ids[p], id)
			values = append(values, wire(schemaID, id, noise(uint64(id), 2000)))
		}
		r.send("alerts", p, values...)
	}
	config, err := json.Marshal(childConfig{r.login.Bootstrap, r.child.Endpoint(), r.registry.URL, "alerts"})
	must(t, err)

	// An object that can be seen is whole, at whatever moment the ingester was killed.
	whole := map[string]bool{}
	visible := func() {
		t.Helper()
		key := map[string]int64{}
		for _, list := range ids {
			for _, id := range list {
				key[archive.AlertKey(id)] = id
			}
		}
		for o, err := range r.objects.List(timeout(t), buckets.Alerts, "v2/alerts/") {
			must(t, err)
			id, ours := key[o.Key]
			if !ours {
				t.Errorf("an object that no alert has: %s", o.Key)
			} else if !whole[o.Key] && !bytes.Equal(r.alert(id), wire(schemaID, id, noise(uint64(id), 2000))) {
				t.Errorf("%s is not the alert that was published", o.Key)
			}
			whole[o.Key] = true
		}
	}

	seen := map[int64]bool{}
	for n := range kills {
		cmd := exec.Command(os.Args[0], ingesterArg)
		cmd.Stderr = os.Stderr
		stdin, err := cmd.StdinPipe()
		must(t, err)
		stdout, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		_, err = stdin.Write(config)
		must(t, err)
		// Killed after some more alerts, in the middle of whatever it does.
		after := 1 + rand.IntN(partitions*perPartition/(2*kills))
		for range after {
			var id int64
			if _, err := fmt.Fscan(stdout, &id); err != nil {
				t.Fatalf("run %d: the ingester ended by itself: %v", n, err)
			}
			seen[id] = true
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		r.checkCommitted(ids)
		visible()
	}

	cfg := r.config("alerts")
	cfg.KafkaOptions = append(cfg.KafkaOptions, kgo.InstanceID("crash-test"))
	in := run(t, cfg)
	in.until("the end of each partition", func(s archive.Stats) bool {
		for p := range int32(partitions) {
			if s.Committed["alerts"][p] != perPartition {
				return false
			}
		}
		return true
	})
	in.stop()
	r.checkCommitted(ids)
	if visible(); len(whole) != partitions*perPartition {
		t.Errorf("%d objects of %d alerts", len(whole), partitions*perPartition)
	}
	if redone := in.Stats().Stored; redone >= partitions*perPartition {
		t.Errorf("%d alerts stored after %d kills: no progress was kept", redone, kills)
	}
	if len(seen) == 0 {
		t.Error("nothing was stored before the kills")
	}
}
