package manifests

import (
	"bytes"
	"embed"
	"encoding/json"
	"text/template"
)

//go:embed *.yaml
var files embed.FS

// Net is the pod network of a cluster. For kind, PodSubnet is the text that
// kind itself replaces, and Endpoint is empty: kind adds it to the container's
// environment.
type Net struct {
	NetImage  string
	PodSubnet string
	Endpoint  string // host:port of an API server
}

// KindPodSubnet is what kind v0.33 replaces in the manifest of its pod network.
const KindPodSubnet = "{{.PodSubnet}}"

// Render gives the manifest.
func (n Net) Render() ([]byte, error) { return render("net.yaml", n) }

// DNS is the cluster's name service. Its ConfigMap has the key NodeHosts, which
// k3d fills.
type DNS struct {
	DNSImage   string
	DNSAddress string
	Domain     string
}

// Render gives the manifest.
func (d DNS) Render() ([]byte, error) { return render("coredns.yaml", d) }

// Storage is the local-path provisioner with one default storage class. Without
// its images there is only the namespace: kind insists on applying something.
type Storage struct {
	Provisioner string // image; empty: none
	Helper      string // image of the pods that make and remove folders
	Class       string
}

// Render gives the manifest.
func (s Storage) Render() ([]byte, error) { return render("storage.yaml", s) }

// render fills a template whose marks are not those of Go's templates, because
// kind fills one of the files a second time. Values are written as JSON
// strings, which YAML reads as the same text.
func render(name string, data any) ([]byte, error) {
	quote := func(s string) (string, error) {
		b, err := json.Marshal(s)
		return string(b), err
	}
	t, err := template.New(name).Delims("[[", "]]").Funcs(template.FuncMap{"quote": quote}).ParseFS(files, name)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
