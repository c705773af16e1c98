package k3d

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/k3d-io/k3d/v5/pkg/client"
	"github.com/k3d-io/k3d/v5/pkg/config"
	k3dconfig "github.com/k3d-io/k3d/v5/pkg/config/v1alpha5"
	"github.com/k3d-io/k3d/v5/pkg/logger"
	"github.com/k3d-io/k3d/v5/pkg/runtimes"
	k3dtypes "github.com/k3d-io/k3d/v5/pkg/types"
	"github.com/sirupsen/logrus"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/nodes"
)

// maker is k3d, in words.
var maker = nodes.Maker{Name: "k3d", System: "k3s cluster", Delete: "k3d cluster delete"}

// DefaultImage is the node image that is run where none is named: k3s of the line of
// Kubernetes that the libraries here are made for.
const DefaultImage = "docker.io/rancher/k3s:v1.33.5-k3s1"

// Want describes the cluster of a profile.
func Want(p *profiles.Profile, lab, image string) plan.Want { return nodes.Want(maker, p, lab, image) }

// New makes the part of a lab's cluster; kubeconfig is the file that it writes.
func New(lab, kubeconfig string, d *Docker) *nodes.Cluster {
	return &nodes.Cluster{Maker: maker, Lab: lab, Kubeconfig: kubeconfig, Engine: d}
}

// Docker is the nodes.Engine that k3d uses: the one of DOCKER_HOST or of Docker's context.
type Docker struct {
	nodes.Connection

	Log *slog.Logger // what k3d says
	// Bundle is a file that may have what the engine lacks; empty: there is none.
	Bundle string
}

// Machine gives what the engine's machine has: processors in thousandths, memory in
// bytes.
func (d *Docker) Machine(ctx context.Context) (cpu, memory int64, err error) {
	api, err := d.Client(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer api.Close()
	info, err := api.Info(ctx)
	if err != nil {
		return 0, 0, err
	}
	return int64(info.NCPU) * 1000, info.MemTotal, nil
}

// ofCluster chooses by k3d's own label.
func ofCluster(name string) filters.Args {
	return filters.NewArgs(filters.Arg("label", k3dtypes.LabelClusterName+"="+name))
}

// Containers implements Engine.
func (d *Docker) Containers(ctx context.Context, cluster string) ([]nodes.Container, error) {
	return d.Inspect(ctx, ofCluster(cluster), func(c container.InspectResponse) nodes.Marks {
		labels := c.Config.Labels
		return nodes.Marks{Role: labels[k3dtypes.LabelRole], Lab: labels[nodes.LabelLab], Network: labels[k3dtypes.LabelNetwork]}
	})
}

// disabled are parts of k3s that a lab brings itself, or needs none of.
var disabled = []string{"traefik", "servicelb", "metrics-server"}

// createTime bounds a Create; with images at hand it takes half a minute.
const createTime = 5 * time.Minute

// Create implements Engine.
func (d *Docker) Create(ctx context.Context, spec nodes.Spec) error {
	api, err := d.Client(ctx)
	if err != nil {
		return err
	}
	defer d.listen()()
	if err := d.environment(); err != nil {
		return err
	}
	if err := d.provide(ctx, api, spec.Image, ToolsImage()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, createTime)
	defer cancel()
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	cfg, err := config.TransformSimpleToClusterConfig(ctx, runtimes.Docker, simple(spec, port), "")
	if err != nil {
		return err
	}
	dress(cfg, spec)
	if cfg, err = config.ProcessClusterConfig(*cfg); err != nil {
		return err
	}
	if err := config.ValidateClusterConfig(ctx, runtimes.Docker, *cfg); err != nil {
		return err
	}
	err = client.ClusterRun(ctx, runtimes.Docker, cfg)
	if err == nil {
		return nil
	}
	why := d.lastWords(context.WithoutCancel(ctx), spec.Name)
	begun, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	if left := d.Delete(begun, spec.Name); left != nil {
		err = errors.Join(err, left)
	}
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return fault.Wrap(fault.StepFailed, "the cluster could not be made", fmt.Errorf("%w%s", err, why), "alertlab logs cluster")
}

// lastWords are the last lines of the cluster's server, where it has one.
func (d *Docker) lastWords(ctx context.Context, cluster string) string {
	list, err := d.Containers(ctx, cluster)
	if err != nil {
		return ""
	}
	for _, c := range list {
		if c.Role != "server" {
			continue
		}
		r, err := d.API().ContainerLogs(ctx, c.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "5"})
		if err != nil {
			return ""
		}
		defer r.Close()
		const most = 2000
		b, err := io.ReadAll(io.LimitReader(r, most))
		if err != nil || len(b) == 0 {
			return ""
		}
		return "; " + c.Name + " said last: " + strings.Join(strings.Fields(string(b)), " ")
	}
	return ""
}

// simple is what a k3d user would write into k3d's configuration file.
func simple(spec nodes.Spec, port string) k3dconfig.SimpleConfig {
	s := k3dconfig.SimpleConfig{Servers: 1, Agents: len(spec.Agents), Image: spec.Image,
		// Addresses stay over a stop only where k3d hands them out itself, which it does
		// for a subnet that it chose.
		Subnet:    "auto",
		ExposeAPI: k3dconfig.SimpleExposureOpts{Host: "127.0.0.1", HostIP: "127.0.0.1", HostPort: port},
	}
	s.Name = spec.Name
	s.Options.K3dOptions.Wait = true
	s.Options.K3dOptions.DisableLoadbalancer = true
	s.Options.KubeconfigOptions.UpdateDefaultKubeconfig = false
	s.Options.KubeconfigOptions.SwitchCurrentContext = false
	for _, part := range disabled {
		s.Options.K3sOptions.ExtraArgs = append(s.Options.K3sOptions.ExtraArgs,
			k3dconfig.K3sArgWithNodeFilters{Arg: "--disable=" + part, NodeFilters: []string{"server:*"}})
	}
	return s
}

// dress gives the agents their labels and taints, and every container the lab's label.
func dress(cfg *k3dconfig.ClusterConfig, spec nodes.Spec) {
	agents := spec.Agents
	for _, n := range cfg.Nodes {
		if n.Role != k3dtypes.AgentRole || len(agents) == 0 {
			continue
		}
		a := agents[0] // k3d lists agents in the order of their numbers
		agents = agents[1:]
		if key, value, ok := strings.Cut(a.Label, "="); ok {
			if n.K3sNodeLabels == nil {
				n.K3sNodeLabels = map[string]string{}
			}
			n.K3sNodeLabels[key] = value
		}
		if a.Taint != "" {
			n.Args = append(n.Args, "--node-taint", a.Taint)
		}
	}
	cfg.ClusterCreateOpts.GlobalLabels[nodes.LabelLab] = spec.Lab
}

// socketVariable is where k3d reads the path of the engine's socket, which it mounts
// into a helper (k3d v5.8.3, pkg/runtimes/docker/docker.go). Without it, it mounts
// /var/run/docker.sock whatever DOCKER_HOST says.
const socketVariable = "DOCKER_SOCK"

func (d *Docker) environment() error {
	path, ok := strings.CutPrefix(d.API().DaemonHost(), "unix://")
	if !ok || os.Getenv(socketVariable) != "" {
		return nil
	}
	return os.Setenv(socketVariable, path)
}

// freePort picks a port of this machine for the API server. k3d would too, but another
// one each time that it is asked.
func freePort(ctx context.Context) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	at, err := netip.ParseAddrPort(ln.Addr().String())
	return fmt.Sprint(at.Port()), err
}

// Delete implements Engine.
func (d *Docker) Delete(ctx context.Context, cluster string) error {
	if _, err := d.Client(ctx); err != nil {
		return err
	}
	defer d.listen()()
	err := client.ClusterDelete(ctx, runtimes.Docker, &k3dtypes.Cluster{Name: cluster}, k3dtypes.ClusterDeleteOpts{})
	if err != nil && !errors.Is(err, client.ClusterGetNoNodesFoundError) {
		return err
	}
	// k3d only warns of a network or a volume that it could not delete, and knows none
	// of a cluster whose nodes were never made.
	nets, err := d.networks(ctx, cluster)
	for _, id := range nets {
		err = errors.Join(err, gone(d.API().NetworkRemove(ctx, id)))
	}
	vols, failed := d.volumes(ctx, cluster)
	err = errors.Join(err, failed)
	for _, name := range vols {
		err = errors.Join(err, gone(d.API().VolumeRemove(ctx, name, false)))
	}
	return err
}

// gone takes "there is no such thing" for success.
func gone(err error) error {
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// networks gives the ids of the cluster's network, of which k3d makes one.
func (d *Docker) networks(ctx context.Context, cluster string) ([]string, error) {
	name := k3dtypes.DefaultObjectNamePrefix + "-" + cluster
	list, err := d.API().NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("name", name))})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, n := range list {
		if n.Name == name && n.Labels["app"] == "k3d" { // the filter finds parts of names too
			ids = append(ids, n.ID)
		}
	}
	return ids, nil
}

func (d *Docker) volumes(ctx context.Context, cluster string) ([]string, error) {
	list, err := d.API().VolumeList(ctx, volume.ListOptions{Filters: ofCluster(cluster)})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range list.Volumes {
		names = append(names, v.Name)
	}
	return names, nil
}

// Left implements Engine. Of a cluster that no lab made nothing is listed.
func (d *Docker) Left(ctx context.Context, cluster string) ([]string, error) {
	list, err := d.Containers(ctx, cluster)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, c := range list {
		if c.Lab == "" {
			return nil, nil // a cluster of that name that no lab made, and so its network
		}
		left = append(left, "container "+c.Name)
	}
	nets, err := d.networks(ctx, cluster)
	for range nets {
		left = append(left, "network "+k3dtypes.DefaultObjectNamePrefix+"-"+cluster)
	}
	vols, failed := d.volumes(ctx, cluster)
	for _, v := range vols {
		left = append(left, "volume "+v)
	}
	return left, errors.Join(err, failed)
}

// Kubeconfig implements Engine.
func (d *Docker) Kubeconfig(ctx context.Context, cluster string) ([]byte, error) {
	if _, err := d.Client(ctx); err != nil {
		return nil, err
	}
	kubeconfig, err := client.KubeconfigGet(ctx, runtimes.Docker, &k3dtypes.Cluster{Name: cluster})
	if err != nil {
		return nil, err
	}
	return clientcmd.Write(*kubeconfig)
}

// Nodes gives the running nodes of a cluster, to bring images into.
func (d *Docker) Nodes(ctx context.Context, cluster string) ([]bundle.Node, error) {
	list, err := d.Containers(ctx, cluster)
	if err != nil {
		return nil, err
	}
	return d.Running(ctx, list)
}

// listen turns k3d's logger, of which there is one in a process, to the lab's log.
// The function that it returns turns it back.
func (d *Docker) listen() (restore func()) {
	log := logger.Log()
	out := log.Out
	hooks := logrus.LevelHooks{}
	hooks.Add(hook{d.Log})
	log.SetOutput(io.Discard)
	before := log.ReplaceHooks(hooks)
	return func() {
		log.ReplaceHooks(before)
		log.SetOutput(out)
	}
}

type hook struct{ log *slog.Logger }

func (hook) Levels() []logrus.Level {
	return []logrus.Level{logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel, logrus.WarnLevel, logrus.InfoLevel}
}

func (h hook) Fire(e *logrus.Entry) error {
	level := slog.LevelInfo
	switch {
	case e.Level <= logrus.ErrorLevel:
		level = slog.LevelError
	case e.Level == logrus.WarnLevel:
		level = slog.LevelWarn
	}
	h.log.Log(context.Background(), level, "k3d: "+strings.TrimSpace(e.Message))
	return nil
}

var _ nodes.Engine = (*Docker)(nil)

// NetworkName is the network that k3d makes for a cluster's nodes.
func NetworkName(cluster string) string { return k3dtypes.DefaultObjectNamePrefix + "-" + cluster }
