package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/alertlab/alertlab/hack/rig/node/kubeadm"
)

// kubeConfig is the part of a kubeconfig that is read here.
type kubeConfig struct {
	Clusters []struct {
		Cluster struct {
			CA     string `yaml:"certificate-authority-data"`
			Server string `yaml:"server"`
		} `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		User struct {
			Cert     string `yaml:"client-certificate-data"`
			Key      string `yaml:"client-key-data"`
			CertFile string `yaml:"client-certificate"` // kubelet's, which it renews
			KeyFile  string `yaml:"client-key"`
		} `yaml:"user"`
	} `yaml:"users"`
}

func readConfig(file string) (kubeConfig, error) {
	var c kubeConfig
	text, err := os.ReadFile(file)
	if err != nil {
		return c, err
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	if len(c.Clusters) != 1 || len(c.Users) != 1 {
		return c, fmt.Errorf("%s: expected one cluster and one user, found %d and %d", file, len(c.Clusters), len(c.Users))
	}
	return c, nil
}

// kubeconfig gives the configuration as k3s leaves it: the server is the
// node's own, and cluster, user and context are all called default. k3d
// rewrites just that.
func (c kubeConfig) kubeconfig() ([]byte, error) {
	type named map[string]any
	cluster, user := c.Clusters[0].Cluster, c.Users[0].User
	return yaml.Marshal(named{
		"apiVersion":      "v1",
		"kind":            "Config",
		"preferences":     named{},
		"current-context": "default",
		"clusters":        []named{{"name": "default", "cluster": named{"certificate-authority-data": cluster.CA, "server": localServer}}},
		"users":           []named{{"name": "default", "user": named{"client-certificate-data": user.Cert, "client-key-data": user.Key}}},
		"contexts":        []named{{"name": "default", "context": named{"cluster": "default", "user": "default"}}},
	})
}

const localServer = "https://127.0.0.1:6443"

// api speaks to an API server as the user of a kubeconfig.
type api struct {
	client *http.Client
	server string
}

func (c kubeConfig) api(server string) (*api, error) {
	user := c.Users[0].User
	var pem [3][]byte
	for i, source := range []struct{ data, file string }{
		{c.Clusters[0].Cluster.CA, ""}, {user.Cert, user.CertFile}, {user.Key, user.KeyFile},
	} {
		var err error
		if source.data == "" && source.file != "" {
			pem[i], err = os.ReadFile(source.file)
		} else {
			pem[i], err = base64.StdEncoding.DecodeString(source.data)
		}
		if err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(pem[1], pem[2])
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem[0]) {
		return nil, errors.New("the kubeconfig holds no certificate of an authority")
	}
	return &api{server: server, client: &http.Client{
		Timeout: 5 * time.Second, // of one request
		Transport: &http.Transport{
			Proxy:           nil, // the node's own server is never behind one
			TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		},
	}}, nil
}

// openCluster gives a question to ask again and again: whether the cluster at
// an endpoint can be joined with these secrets. That is so once its public
// configuration is signed with the bootstrap token. kubeadm asks the same, but
// only every five seconds.
func openCluster(endpoint string, secrets kubeadm.Secrets) func(context.Context) error {
	a := &api{server: "https://" + endpoint, client: &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			Proxy: nil,
			// Nothing secret is sent, and nothing of the answer is used.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		},
	}}
	id, _, _ := strings.Cut(secrets.BootstrapToken, ".")
	return func(ctx context.Context) error {
		text, err := a.ask(ctx, http.MethodGet, "/api/v1/namespaces/kube-public/configmaps/cluster-info", "", nil)
		if err != nil {
			return err
		}
		if !strings.Contains(text, `"jws-kubeconfig-`+id+`"`) {
			return errors.New("the cluster does not know the token (yet)")
		}
		return nil
	}
}

func (a *api) do(ctx context.Context, method, path, contentType string, body any) error {
	_, err := a.ask(ctx, method, path, contentType, body)
	return err
}

// ask sends one request and returns the text of a good answer.
func (a *api) ask(ctx context.Context, method, path, contentType string, body any) (string, error) {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return "", err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.server+path, in)
	if err != nil {
		return "", err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	answer, err := a.client.Do(req)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil {
		return "", err
	}
	if answer.StatusCode/100 != 2 {
		return "", fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, strings.TrimSpace(string(text)))
	}
	return string(text), nil
}

// ready asks whether the server is.
func (a *api) ready(ctx context.Context) error { return a.do(ctx, http.MethodGet, "/readyz", "", nil) }

// node asks whether a node is registered.
func (a *api) node(ctx context.Context, name string) error {
	return a.do(ctx, http.MethodGet, "/api/v1/nodes/"+name, "", nil)
}

// markServer gives a node the label of a server as k3s has it, and takes back
// the one by which load balancers leave it out: servers run workloads here.
func (a *api) markServer(ctx context.Context, name string) error {
	return a.do(ctx, http.MethodPatch, "/api/v1/nodes/"+name, "application/merge-patch+json", map[string]any{
		"metadata": map[string]any{"labels": map[string]any{
			"node-role.kubernetes.io/control-plane":                   "true",
			"node.kubernetes.io/exclude-from-external-load-balancers": nil,
		}},
	})
}

// until calls f every interval until it succeeds or ctx ends; then the last
// error of f is returned.
func until(ctx context.Context, interval time.Duration, f func(context.Context) error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; at last: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}
