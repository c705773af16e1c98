package catalog

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/strimzikafka"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

// fullOnK3d describes a lab of a shipped profile on k3d, with the full stack.
func fullOnK3d(t *testing.T, name string) state.Description {
	t.Helper()
	desc := onK3d(t, name)
	desc.Stack, desc.Cluster.NodeImage = FullStack, "docker.io/rancher/k3s:v1.33.5-k3s1"
	return desc
}

// The plan of the full stack of every profile that can be one, as text.
func TestFullPlans(t *testing.T) {
	t.Parallel()
	for _, name := range runnable {
		w := wanted(t, fullOnK3d(t, name))
		fresh, _ := freshPlan(t, w)
		golden(t, filepath.Join("full", name+"-fresh.txt"), fresh.String())
	}
}

func profileIn(t *testing.T, desc state.Description) *profiles.Profile {
	t.Helper()
	p, err := profiles.Parse(desc.Profile, []byte(desc.Resolved))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// nodePorts is Kafka of usdfdev where every broker has a port of a node.
const nodePorts = "usdfdev-kafka-nodeports.yaml"

// What our charts make of the full stack of every shipped profile; of charts of others,
// the values that they are given.
func TestFullRendered(t *testing.T) {
	t.Parallel()
	var files []string
	for _, info := range profiles.List() {
		releases := allReleases(t, wanted(t, fullOnK3d(t, info.Name)))
		if len(releases) < 16 {
			t.Errorf("%s has the releases %q", info.Name, slices.Sorted(maps.Keys(releases)))
		}
		for key, input := range releases {
			r, err := component.Read(input)
			if err != nil {
				t.Fatal(err)
			}
			if r.Repository != "" {
				file := filepath.Join("full", info.Name+"-"+key+".values")
				files = append(files, file)
				text, err := yaml.Marshal(map[string]any{"chart": r.Chart, "version": r.Version, "repository": r.Repository,
					"definitions": r.Definitions, "release": r.Name, "namespace": r.Namespace, "values": r.Values})
				if err != nil {
					t.Fatal(err)
				}
				golden(t, file, string(text))
				continue
			}
			text, err := helm.Render(input)
			if err != nil {
				t.Fatalf("%s, %s: %v", info.Name, key, err)
			}
			file := filepath.Join("full", info.Name+"-"+key+".yaml")
			files = append(files, file)
			golden(t, file, text)
			if !strings.Contains(text, "strimzi.io/v1") && !strings.Contains(text, "roundtable.lsst.codes") {
				strictly(t, info.Name+" "+key, text)
			}
		}
	}
	// With ports of a node instead of addresses that MetalLB gives out.
	desc := fullOnK3d(t, "usdfdev")
	p, err := profiles.Override(profileIn(t, desc), nil, "kafka.listener.type=nodeport")
	if err != nil {
		t.Fatal(err)
	}
	desc.Resolved = string(p.Source())
	text, err := helm.Render(allReleases(t, wanted(t, desc))["kafka"])
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("full", nodePorts), text)
	// On a cluster that is there.
	guest := allReleases(t, wanted(t, fullGuest(t)))
	for _, key := range guestsOwn {
		text, err := helm.Render(guest[key])
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("full", "usdfdev-guest-"+key+".yaml")
		files = append(files, file)
		golden(t, file, text)
	}
	// Nothing lies there that no profile has any more.
	there, err := os.ReadDir(filepath.Join("testdata", "full"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range there {
		name := filepath.Join("full", f.Name())
		if !strings.HasSuffix(name, "-fresh.txt") && f.Name() != nodePorts && !slices.Contains(files, name) {
			t.Errorf("nothing makes %s", name)
		}
	}
}

// What runs pods is listened to, by whichever deployer and under whatever stands around it.
func TestAttended(t *testing.T) {
	t.Parallel()
	for _, deployer := range Deployers() {
		for _, desc := range []state.Description{onK3d(t, "ci"), fullOnK3d(t, "usdfdev")} {
			desc.Cluster.Deployer = deployer
			l := open(t, desc)
			for _, want := range wanted(t, desc).Parts {
				r, err := component.Read(want.Input)
				if err != nil || r.Chart == "" || want.Key == "argocd" || want.Key == "applications" {
					continue
				}
				if _, ok := l.Parts()[want.Key].(runner.Attender); !ok {
					t.Errorf("%s by %s: nobody listens to %s, a %T", desc.Stack, deployer, want.Key, l.Parts()[want.Key])
				}
			}
		}
	}
}

// With Kafka alone by an operator, what others publish is Strimzi's alone, and everything
// else is the light stack's, by the certificates that Strimzi makes.
func TestStrimziStack(t *testing.T) {
	t.Parallel()
	desc := fullOnK3d(t, "usdfdev")
	desc.Stack = StrimziStack
	w := wanted(t, desc)
	fresh, _ := freshPlan(t, w)
	golden(t, filepath.Join("strimzi", "usdfdev-fresh.txt"), fresh.String())
	need, err := NeededBy(desc)
	if err != nil {
		t.Fatal(err)
	}
	if got := References(need.Charts); !slices.Equal(got, []string{"metallb:0.15.2", "strimzi-kafka-operator:1.2.0"}) {
		t.Errorf("charts %q", got)
	}
	text, err := helm.Render(resolvedReleases(t, w)["schema-registry"])
	if err != nil {
		t.Fatal(err)
	}
	strictly(t, "schema-registry", text)
	if !strings.Contains(text, "--cert-file=/etc/kafka-client-secret/user.crt") || !strings.Contains(text, "alert-broker-kafka-bootstrap.alert-stream-broker.svc:9093") {
		t.Errorf("schema-registry:\n%s", text)
	}
}

// Node ids are each one's own, those of the brokers as the profile has them.
func TestNodeIDs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"ci": "[]", "local": "[6]", "summit": "[3,4,5]", "idfint": "[3,4,5]", "usdfdev": "[0,1,2]", "usdfprod": "[0,1,2,3,4]"} {
		p, err := profiles.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		ids := strimzikafka.Controllers(p)
		got, err := json.Marshal(append([]int{}, ids...))
		if err != nil || string(got) != want {
			t.Errorf("%s: controllers %s, %v, want %s", name, got, err, want)
		}
	}
}

// Services log in by certificate, and what is no service never does.
func TestFullLogins(t *testing.T) {
	t.Parallel()
	releases := resolvedReleases(t, wanted(t, fullOnK3d(t, "usdfdev")))
	for _, key := range []string{"alert-database-ingester", "simulator"} {
		text, err := helm.Render(releases[key])
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"--cert-file=/etc/kafka-client-secret/user.crt", "secretName: alert-broker-cluster-ca-cert", "readOnly: true"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %q", key, part)
			}
		}
		if strings.Contains(text, "KAFKA_PASSWORD") {
			t.Errorf("%s has a password too", key)
		}
	}
	text, err := helm.Render(releases["kafka-users"])
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(text, "type: tls") != 3 || strings.Count(text, "kind: KafkaUser") != 13 {
		t.Errorf("users:\n%s", text)
	}
}
