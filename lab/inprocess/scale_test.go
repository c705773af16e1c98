package inprocess

import (
	"strings"
	"testing"

	"github.com/alertlab/alertlab/profiles"
)

// local is a shipped profile with parts of its text replaced.
func local(t *testing.T, replace ...string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load("local")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(p.Source()), replace[i]) {
			t.Fatalf("the profile does not say %q", replace[i])
		}
	}
	if p, err = profiles.Parse("local", []byte(strings.NewReplacer(replace...).Replace(string(p.Source())))); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	plain := local(t, "replicas: 3", "replicas: 1")
	if got := absent(plain); len(got) != 1 || !strings.Contains(got[0], "SCRAM") {
		t.Errorf("got %q", got)
	}
	p := local(t, "tls: false", "tls: true, type: nodeport", "brokers: {count: 6, firstID: 0}",
		"brokers: {count: 6, storage: {size: 1GiB, class: gone}, nodePool: {label: a=b}, resources: {limits: {cpu: 1, memory: 1GiB}}}\n  version: 4.2.0\n  controllers: {count: 3}",
		"compatibility: NONE", "compatibility: NONE\n  host: registry.example\n  replicas: 3",
		"group: alertdb-ingester", "group: alertdb-ingester\n  ingesters: 24\n  purgeAfterDays: 28\n  scope: read:alertdb")
	got := strings.Join(absent(p), "\n")
	for _, word := range []string{"SCRAM", "own authority", "stored once", "Kafka 4.2.0", "no controllers", "storage class gone", "processors", "nodes of their own",
		"node ports", "not announced", "one registry", "not 24", "read:alertdb"} {
		if !strings.Contains(got, word) {
			t.Errorf("%q is not said:\n%s", word, got)
		}
	}
	if strings.Contains(got, "28 days") { // the lab does purge
		t.Errorf("what is done is conceded:\n%s", got)
	}
}
