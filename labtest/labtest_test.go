package labtest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/internal/poll"
	"github.com/alertlab/alertlab/labtest"
)

// visit lets a lab be used by a client of every kind: an alert comes, has a schema in
// the registry, and is in the alert database and in the object store.
func visit(t *testing.T, lab *labtest.Lab) {
	t.Helper()
	ctx := t.Context()
	client, err := lab.Kafka("alerce", kgo.ConsumeTopics(lab.Endpoints.Simulator.Topic))
	if err != nil {
		t.Fatal(err)
	}
	fetches := client.PollFetches(ctx)
	if err := fetches.Err(); err != nil || fetches.Empty() {
		t.Fatalf("no alert: %v", err)
	}
	value := fetches.Records()[0].Value
	id, body, err := packet.Unframe(value)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := lab.Registry()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.SchemaByID(ctx, int(id)); err != nil {
		t.Fatalf("the schema of an alert: %v", err)
	}
	schema, err := packet.Published(packet.VersionFromID(int(id)))
	if err != nil {
		t.Fatal(err)
	}
	head, err := schema.Head(body)
	if err != nil {
		t.Fatal(err)
	}
	db, err := lab.AlertDB()
	if err != nil {
		t.Fatal(err)
	}
	stored := func() (bool, error) {
		got, err := db.Alert(ctx, head.ID)
		if errors.Is(err, archive.ErrNotFound) {
			return false, nil
		}
		if err == nil && string(got) != string(value) {
			err = fmt.Errorf("alert %d: %d bytes stored, %d published", head.ID, len(got), len(value))
		}
		return err == nil, err
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for ok := false; !ok; {
		if ok, err = stored(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("alert %d was not stored: %v", head.ID, ctx.Err())
		case <-again.C:
		}
	}
	objects, err := lab.S3()
	if err != nil {
		t.Fatal(err)
	}
	bucket := lab.Endpoints.ObjectStore.AlertBucket
	listed, err := objects.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil || len(listed.Contents) == 0 {
		t.Errorf("bucket %s: %d objects, %v", bucket, len(listed.Contents), err)
	}
}

// A lab serves clients of every kind, and nothing of it is left: two at a time do not
// meet.
func TestStart(t *testing.T) {
	t.Parallel()
	var addresses []string
	for _, profile := range []string{"ci", "local"} {
		t.Run(profile, func(t *testing.T) {
			lab := labtest.Start(t, labtest.Profile(profile), labtest.Set("simulator.alerts", "5"), labtest.Set("simulator.interval", "2s"))
			beside := labtest.Start(t, labtest.Set("simulator.alerts", "5"))
			if lab.Endpoints.Kafka.Bootstrap == beside.Endpoints.Kafka.Bootstrap {
				t.Errorf("both labs are at %s", lab.Endpoints.Kafka.Bootstrap)
			}
			visit(t, lab)
			brokers := lab.Endpoints.Kafka.Brokers
			if err := lab.Endpoints.Handles.Brokers.KillBroker(t.Context(), brokers[0].ID); err != nil {
				t.Fatal(err)
			}
			if c, err := net.Dial("tcp", brokers[0].Address); err == nil {
				c.Close()
				t.Error("a killed broker answers")
			}
			if err := lab.Endpoints.Handles.Brokers.RestartBroker(t.Context(), brokers[0].ID); err != nil {
				t.Fatal(err)
			}
			if _, err := lab.Kafka("nobody"); err == nil || !strings.Contains(err.Error(), `no user "nobody"; it has [`) {
				t.Errorf("a user that there is not: %v", err)
			}
			store, err := url.Parse(lab.Endpoints.ObjectStore.URL)
			if err != nil {
				t.Fatal(err)
			}
			addresses = append(addresses, lab.Endpoints.Kafka.Bootstrap, store.Host)
		})
	}
	// A lab of another test may have the addresses now, but not for good.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, a := range addresses {
		err := poll.Until(ctx, 100*time.Millisecond, time.Second, func(string) {}, func(context.Context) (bool, string, error) {
			c, err := net.Dial("tcp", a)
			if err != nil {
				return true, "", nil
			}
			return false, a + " answers", c.Close()
		})
		if err != nil {
			t.Errorf("%s answers after its test: %v", a, err)
		}
	}
}

// A profile of one's own is a file; one that is wrong fails the test with its line.
func TestProfileFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mine.yaml")
	ci, err := os.ReadFile(filepath.Join("..", "profiles", "ci.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("name: ci", "name: mine", "brokers: {count: 1}", "brokers: {count: 3}", "topics: [alerts-simulated]}", "topics: [alerts-simulated]}").Replace(string(ci))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	lab := labtest.Start(t, labtest.Profile(file))
	if len(lab.Endpoints.Kafka.Brokers) != 3 || lab.Endpoints.Profile != file {
		t.Errorf("%d brokers of %s", len(lab.Endpoints.Kafka.Brokers), lab.Endpoints.Profile)
	}
	for _, test := range []struct {
		options []labtest.Option
		want    string
	}{
		{[]labtest.Option{labtest.Profile("nope")}, "nope"},
		{[]labtest.Option{labtest.Set("simulator.alerts", "-1")}, "simulator.alerts"},
		{[]labtest.Option{labtest.Set("simulator.alert", "1")}, "simulator.alert"},
	} {
		told := &teller{TB: t}
		told.run(func() { labtest.Start(told, test.options...) })
		if !strings.Contains(told.fatal, test.want) {
			t.Errorf("%q is not said: %s", test.want, told.fatal)
		}
	}
}

// teller is a test that fails on purpose.
type teller struct {
	testing.TB
	fatal string
}

func (f *teller) Helper() {}

func (f *teller) Fatalf(format string, args ...any) {
	f.fatal = fmt.Sprintf(format, args...)
	panic(f)
}

func (f *teller) run(do func()) {
	defer func() {
		if r := recover(); r != nil && r != any(f) {
			panic(r)
		}
	}()
	do()
}
