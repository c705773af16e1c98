package kubeadm

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it):\n%s", name, got)
	}
}

func node() Node {
	return Node{Name: "k3d-x-server-0", Address: "172.18.0.2", Secrets: Derive("sesame")}
}

func TestInit(t *testing.T) {
	got, err := Init(node(), Cluster{
		Version: "v1.35.4", PodSubnet: "10.42.0.0/16", ServiceSubnet: "10.43.0.0/16", DNSAddress: "10.43.0.10",
		CertSANs: []string{"0.0.0.0", "k3d-x-serverlb"}, APIServer: []Arg{{"audit-log-maxage", "3"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "init.yaml", got)
}

func TestJoin(t *testing.T) {
	n := node()
	n.Taints = []Taint{{"dedicated", "infra", "NoSchedule"}}
	agent, err := Join(n, "k3d-x-server-0:6443", false)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "join-agent.yaml", agent)
	server, err := Join(node(), "k3d-x-server-0:6443", true)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "join-server.yaml", server)
}

// Values that YAML would read as something else, or as more than one line,
// come back as the text they are.
func TestHostileValues(t *testing.T) {
	hostile := []string{
		"yes", "null", "~", "0777", "1e3", "1:30", "2020-01-01", "<<", "=", "*a", "&a", "!!int 1", "a: b", "- a", "#c",
		"a\n---\nkind: Evil", `"`, `\`, "'", "{x}", "[y]", "%z", "\u2028", "\x7f", "\u0081", "\u0085", "\ufeff", "é", "",
	}
	for _, h := range hostile {
		text, err := Init(node(), Cluster{Version: h, CertSANs: []string{h}, APIServer: []Arg{{h, h}}})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for docs := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var doc struct {
				Kind      string    `yaml:"kind"`
				Version   yaml.Node `yaml:"kubernetesVersion"`
				APIServer struct {
					SANs []string `yaml:"certSANs"`
					Args []Arg    `yaml:"extraArgs"`
				} `yaml:"apiServer"`
			}
			if docs.Decode(&doc) != nil {
				break
			}
			kinds = append(kinds, doc.Kind)
			if doc.Kind != "ClusterConfiguration" {
				continue
			}
			if doc.Version.Tag != "!!str" || doc.Version.Value != h {
				t.Errorf("%q came back as %s %q", h, doc.Version.Tag, doc.Version.Value)
			}
			if n := len(doc.APIServer.SANs); doc.APIServer.SANs[n-1] != h {
				t.Errorf("%q came back as %q", h, doc.APIServer.SANs)
			}
			if !reflect.DeepEqual(doc.APIServer.Args, []Arg{{h, h}}) {
				t.Errorf("%q came back as %q", h, doc.APIServer.Args)
			}
		}
		want := []string{"InitConfiguration", "ClusterConfiguration", "KubeletConfiguration", "KubeProxyConfiguration"}
		if !reflect.DeepEqual(kinds, want) {
			t.Errorf("%q: documents %q", h, kinds)
		}
	}
}

func TestDerive(t *testing.T) {
	// printf sesame | sha256sum
	got := Derive("sesame")
	want := Secrets{
		BootstrapToken: "d0c04f.4b1951e4aeaaec82",
		CertificateKey: "d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272",
	}
	if got != want {
		t.Errorf("%+v", got)
	}
}
