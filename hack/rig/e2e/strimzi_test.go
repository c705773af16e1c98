package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/internal/kube"
)

// kafkaImage is Strimzi's of Kafka: the operator's version, and Kafka's.
var kafkaImage = regexp.MustCompile(`/strimzi/kafka:([\d.]+)-kafka-([\d.]+)$`)

// TestFullKafka is the full stack's Kafka as Strimzi's operator makes it of our charts, six
// brokers of usdfdev under its ids, on one node: every broker at an address of MetalLB's,
// services by the certificates of Strimzi's authority, users and topics as its operators
// carry them out; stopped and started; deleted without a trace. Everything else is the
// light stack's. The images and the operator's chart are the user's: rig e2e --images.
func TestFullKafka(t *testing.T) {
	cache := need(t, "ALERTLAB_RIG_CACHE")
	folder := os.Getenv("ALERTLAB_RIG_STRIMZI")
	if folder == "" {
		t.Skip("images of Strimzi's operator and its Kafka are not to be had of package registries, and none were given: rig e2e --images FOLDER")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Minute)
	defer cancel()
	file, operator, version := withStrimzi(t, ctx, cache, folder)
	l, _ := newLab(t, ctx, "e2efull", append(onK3d(t), "ALERTLAB_BUNDLE="+file)...)

	// What two cores carry: one controller, brokers that share a node, and fewer partitions
	// of a topic that nobody plays to.
	profile := filepath.Join(t.TempDir(), "usdfdev.yaml")
	text := l.run(0, "profile", "show", "usdfdev")
	for was, is := range map[string]string{`version: "4.2.0"`: `version: "` + version + `"`, "antiAffinity: true": "antiAffinity: false",
		"partitions: 400": "partitions: 12", "controllers:\n    count: 3": "controllers:\n    count: 1"} {
		if strings.Count(text, was) != 1 {
			t.Fatalf("usdfdev has no %q any more", was)
		}
		text = strings.Replace(text, was, is, 1)
	}
	l.must(os.WriteFile(profile, []byte(text), 0o600))
	up := []string{"up", "--progress", "plain", "--profile", profile, "--stack", "alerts-strimzi",
		"--set", "simulator.alerts=50", "--set", "simulator.interval=30s", "--set", "alertDatabase.ingesters=2"}
	if said := l.timed("up", up...); !strings.Contains(said, "Strimzi "+operator) || !strings.Contains(said, "6 brokers, ids 6 to 11, and 1 controller, id 0, of Kafka "+version+" by Strimzi") {
		t.Errorf("up:\n%s", said)
	} else {
		t.Logf("up:\n%s", said)
	}
	if smoked := l.smoke("smoke"); !strings.Contains(smoked, "✓ every broker answers at its own address") {
		t.Errorf("smoke:\n%s", smoked)
	}
	if idle := l.timed("up with nothing to do", "up", "--progress", "plain"); !strings.Contains(idle, "nothing to do") {
		t.Errorf("the second up did something:\n%s", idle)
	}
	kubeconfig, err := os.ReadFile(strings.TrimSpace(l.run(0, "kubeconfig", "--path")))
	l.must(err)
	client, err := kube.New(kubeconfig)
	l.must(err)
	l.byCertificate(client, "strimzi.io/name=alert-broker-kafka,strimzi.io/broker-role=true", "alert-database-ingester", "lsst-alerts-v10.0", "alert-broker-kafka-6", "alert-broker-kafka-6")
	l.partitions(map[string]int{"alert-stream-test": 12, "latiss-alerts": 45, "lsst-alerts-v10.0": 45, "lsst-alerts-v11.0": 45,
		"lsst-alerts-reprocessed-v10.0": 45, "registry-schemas": 1})

	// A user and a topic come and go as objects of the cluster, and so do their logins.
	l.timed("topic add", "topic", "add", "visitors", "--partitions", "2")
	l.timed("user add", "user", "add", "bob", "--topic", "visitors")
	bob := l.login("bob")
	if _, err := bob.topics(ctx); err != nil {
		t.Errorf("bob: %v", err)
	}
	for _, one := range []struct {
		kind, name string
		remove     []string
	}{{"KafkaUser", "bob", []string{"user", "remove", "bob"}}, {"KafkaTopic", "visitors", []string{"topic", "remove", "visitors", "--allow-destroy"}}} {
		ref := kube.Object("kafka.strimzi.io/v1", one.kind, "alert-stream-broker", one.name)
		if o, err := client.Get(ctx, ref); err != nil || o == nil {
			t.Errorf("%s %s was added and is not there: %v", one.kind, one.name, err)
		}
		l.timed(strings.Join(one.remove, " "), one.remove...)
		if o, err := client.Get(ctx, ref); err != nil || o != nil {
			t.Errorf("%s %s is there after it was removed: %v", one.kind, one.name, err)
		}
	}
	// The user operator hears of it when the object is gone.
	refused, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for out := false; !out; {
		names, err := bob.topics(ctx)
		out = errors.Is(err, kerr.SaslAuthenticationFailed)
		select {
		case <-refused.Done():
			t.Errorf("bob after he was removed: %v, %v", names, err)
			out = true
		case <-again.C:
		}
	}
	if _, there := l.login("kafka-admin").must(l)["visitors"]; there {
		t.Error("the topic visitors is there after it was removed")
	}

	l.timed("down", "down")
	l.timed("up after down", "up", "--progress", "plain")
	l.smoke("smoke after down and up")
	if gone := l.timed("down --purge --verify", "down", "--purge", "--verify"); !strings.Contains(gone, "nothing of lab e2efull is left") {
		t.Errorf("after the purge:\n%s", gone)
	}
}

// withStrimzi writes a bundle with what a folder has of Strimzi, and what a lab takes
// besides of the rig. It gives the versions of the operator and of Kafka, too.
func withStrimzi(t *testing.T, ctx context.Context, cache, folder string) (file, operator, version string) {
	t.Helper()
	platform, err := v1.ParsePlatform(bundle.DefaultPlatform)
	if err != nil {
		t.Fatal(err)
	}
	archives, _ := filepath.Glob(filepath.Join(folder, "*.tar"))
	charts, _ := filepath.Glob(filepath.Join(folder, "*.tgz"))
	given, err := bundle.Archives(archives).Artifacts(ctx, *platform)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range given {
		if m := kafkaImage.FindStringSubmatch(a.Reference); m != nil {
			operator, version = m[1], m[2]
		}
	}
	if version == "" || len(charts) == 0 {
		t.Fatalf("%s has no image quay.io/strimzi/kafka:VERSION-kafka-KAFKA, or no chart", folder)
	}
	all, err := bundle.Layout{Dir: filepath.Join(cache, "images")}.Artifacts(ctx, *platform)
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(a bundle.Artifact) bool { return !strings.HasPrefix(a.Reference, "quay.io/metallb/") })
	own, _ := filepath.Glob(filepath.Join(cache, "charts", "metallb-*.tgz"))
	file = filepath.Join(t.TempDir(), "strimzi.bundle")
	_, err = bundle.Save(ctx, file, bundle.Contents{About: bundle.About{Stack: "alerts-strimzi", Profile: "usdfdev", CreatedBy: "hack/rig"},
		Sources: []bundle.Source{bundle.Images(given), bundle.Images(all), bundle.Charts(append(charts, own...))}}, func(bundle.Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	return file, operator, version
}

// login is how a user gets at the lab's Kafka from outside.
type login struct{ Bootstrap, User, Password string }

func (l *lab) login(user string) login {
	l.Helper()
	var out login
	l.must(json.Unmarshal([]byte(l.run(0, "user", "export", user, "-o", "json")), &out))
	return out
}

// topics gives the partitions of the topics that a user sees.
func (g login) topics(ctx context.Context) (map[string]int, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(g.Bootstrap), kgo.SASL(scram.Auth{User: g.User, Pass: g.Password}.AsSha512Mechanism()),
		kgo.RequestTimeoutOverhead(30*time.Second))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	list, err := kadm.NewClient(client).ListTopics(ctx)
	out := map[string]int{}
	for name, topic := range list {
		out[name] = len(topic.Partitions)
	}
	return out, err
}

func (g login) must(l *lab) map[string]int {
	l.Helper()
	out, err := g.topics(l.ctx)
	l.must(err)
	return out
}

// partitions holds what Kafka has against what is wanted.
func (l *lab) partitions(want map[string]int) {
	l.Helper()
	got := l.login("kafka-admin").must(l)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			l.Errorf("topic %s has %d partitions, not %d", name, got[name], want[name])
		}
	}
}
