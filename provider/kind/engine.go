package kind

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"sigs.k8s.io/kind/pkg/apis/config/defaults"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	library "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/yaml"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/internal/node"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/nodes"
)

// DefaultImage is the node image that is run where none is named: kind's own default.
const DefaultImage = defaults.Image

// StorageClass is the default class of kind's clusters.
const StorageClass = "standard"

// maker is kind, in words.
var maker = nodes.Maker{Name: "kind", System: "kind cluster", Delete: "kind delete cluster --name"}

// Want describes the cluster of a profile.
func Want(p *profiles.Profile, lab, image string) plan.Want { return nodes.Want(maker, p, lab, image) }

// New makes the part of a lab's cluster; kubeconfig is the file that it writes.
func New(lab, kubeconfig string, d *Docker) *nodes.Cluster {
	return &nodes.Cluster{Maker: maker, Lab: lab, Kubeconfig: kubeconfig, Engine: d}
}

// Labels of kind's containers, and their network (sigs.k8s.io/kind v0.33.0,
// pkg/cluster/internal/providers/docker/constants.go and network.go).
const (
	labelCluster = "io.x-k8s.kind.cluster"
	labelRole    = "io.x-k8s.kind.role"
)

// NetworkName is the network of all clusters' nodes.
const NetworkName = "kind"

// mark is the folder of a node in which a mount is called as its lab.
const mark = "/etc/alertlab/lab/"

// Docker is the nodes.Engine that kind uses: the one of DOCKER_HOST or of Docker's
// context.
type Docker struct {
	nodes.Connection

	Log *slog.Logger // what kind says

	// create and remove are kind's own; tests have others.
	create func(name string, options ...library.CreateOption) error
	remove func(name, kubeconfig string) error
	pause  time.Duration // between two tries to interrupt; 0: half a second

	once sync.Once
}

// ready finds kind's program and makes its library. Everything that kind does goes
// through the docker program.
func (d *Docker) ready() (*library.Provider, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, fault.Wrap(fault.StepFailed, "kind needs the docker program", err, "install Docker's command-line program, or use k3d, which needs none: alertlab up --lab ANOTHER --provider k3d")
	}
	p := library.NewProvider(library.ProviderWithDocker(), library.ProviderWithLogger(logger{d.log()}))
	d.once.Do(func() {
		if d.create == nil {
			d.create, d.remove = p.Create, p.Delete
		}
	})
	return p, nil
}

func (d *Docker) log() *slog.Logger {
	if d.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return d.Log
}

func ofCluster(name string) filters.Args {
	return filters.NewArgs(filters.Arg("label", labelCluster+"="+name))
}

// roles translates kind's.
var roles = map[string]string{"control-plane": nodes.Server, "worker": nodes.Agent}

// Containers implements nodes.Engine.
func (d *Docker) Containers(ctx context.Context, cluster string) ([]nodes.Container, error) {
	list, err := d.Inspect(ctx, ofCluster(cluster), func(c container.InspectResponse) nodes.Marks {
		return nodes.Marks{Role: roles[c.Config.Labels[labelRole]], Lab: marked(c.Mounts), Network: NetworkName}
	})
	if err != nil {
		return nil, err
	}
	for i, c := range list {
		if c.Role != nodes.Server {
			continue
		}
		_, err := d.API().ContainerStatPath(ctx, c.ID, made)
		if err != nil && !cerrdefs.IsNotFound(err) {
			return nil, err
		}
		list[i].Half = err != nil
	}
	return list, nil
}

// marked reads whose a node is; "" when it is nobody's.
func marked(mounts []container.MountPoint) string {
	for _, m := range mounts {
		if lab, ok := strings.CutPrefix(m.Destination, mark); ok {
			return lab
		}
	}
	return ""
}

// createTime bounds a Create; with images at hand it takes half a minute. What is
// interrupted has endTime to end: it takes less than 2 s where the engine does what it is
// told.
const (
	createTime = 5 * time.Minute
	endTime    = 30 * time.Second
)

// Create implements nodes.Engine.
func (d *Docker) Create(ctx context.Context, spec nodes.Spec) error {
	if _, err := d.Client(ctx); err != nil {
		return err
	}
	if _, err := d.ready(); err != nil {
		return err
	}
	cfg, err := configuration(spec)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, createTime)
	defer cancel()
	after := context.WithoutCancel(ctx)
	// The user's kubeconfig is kind's to write unless it is given another one; the lab's
	// is read from the cluster afterwards.
	dir, err := os.MkdirTemp("", "alertlab-kind-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "kubeconfig")
	result := make(chan error, 1)
	go func() {
		result <- d.create(spec.Name, library.CreateWithV1Alpha4Config(cfg), library.CreateWithRetain(true), library.CreateWithKubeconfigPath(file),
			library.CreateWithDisplayUsage(false), library.CreateWithDisplaySalutation(false))
	}()
	select {
	case err = <-result:
	case <-ctx.Done():
		d.log().Info("interrupting kind's step")
		if going := d.interrupt(after, spec.Name, result); going != nil {
			return errors.Join(context.Cause(ctx), going)
		}
		err = context.Cause(ctx)
	}
	if err == nil {
		err = d.whole(ctx, spec.Name)
	}
	if err == nil {
		return nil
	}
	bound, stop := context.WithTimeout(after, time.Minute)
	defer stop()
	if left := d.Delete(bound, spec.Name); left != nil {
		err = errors.Join(err, left)
	}
	if ctx.Err() != nil {
		return err
	}
	return fault.Wrap(fault.StepFailed, "the cluster could not be made", err, "alertlab logs cluster")
}

// made is the file of a server that says that its cluster was made to the end.
const made = "/etc/alertlab/made"

// whole writes made. kind sets its nodes up by commands from outside: who finds a cluster
// without the file finds one that will never be whole.
func (d *Docker) whole(ctx context.Context, cluster string) error {
	list, err := d.Containers(ctx, cluster)
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.Role == nodes.Server {
			_, err = node.Node{Label: c.Name, Container: c.ID, Docker: d.API()}.Exec(ctx, nil, "touch", made)
		}
	}
	return err
}

// interrupt makes a Create end by ending the containers in which it works, and waits
// until it has returned: only then nothing more is made.
func (d *Docker) interrupt(ctx context.Context, cluster string, result <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	pause := d.pause
	if pause == 0 {
		pause = 500 * time.Millisecond
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	var last error
	for {
		list, err := d.API().ContainerList(ctx, container.ListOptions{Filters: ofCluster(cluster)})
		if ctx.Err() == nil {
			last = err
		}
		for _, c := range list {
			// One that has ended meanwhile is as good as killed.
			if err := d.API().ContainerKill(ctx, c.ID, "KILL"); err != nil && ctx.Err() == nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) {
				last = err
			}
		}
		select {
		case <-result:
			return nil
		case <-ctx.Done():
			why := fmt.Errorf("kind's step had not ended %s after its interruption, and may make nodes yet", endTime)
			return fault.Wrap(fault.StepFailed, "the cluster's making could not be ended", errors.Join(why, last), "alertlab down --purge --verify   # in a minute")
		case <-tick.C:
		}
	}
}

// configuration is what a kind user would write into kind's configuration file.
func configuration(spec nodes.Spec) (*v1alpha4.Cluster, error) {
	whose := []v1alpha4.Mount{{HostPath: "/dev/null", ContainerPath: mark + spec.Lab, Readonly: true}}
	server := v1alpha4.Node{Role: v1alpha4.ControlPlaneRole, Image: spec.Image, ExtraMounts: whose}
	if len(spec.Agents) > 0 {
		// kind keeps everything off a control plane that has workers. A lab's workers are
		// for its brokers; what else there is runs on the server.
		open, err := registration("InitConfiguration", []any{})
		if err != nil {
			return nil, err
		}
		server.KubeadmConfigPatches = []string{open}
	}
	cfg := &v1alpha4.Cluster{
		TypeMeta:   v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Networking: v1alpha4.Networking{IPFamily: v1alpha4.IPv4Family, APIServerAddress: "127.0.0.1"},
		Nodes:      []v1alpha4.Node{server},
	}
	for _, a := range spec.Agents {
		n := v1alpha4.Node{Role: v1alpha4.WorkerRole, Image: spec.Image, ExtraMounts: whose}
		if key, value, ok := strings.Cut(a.Label, "="); ok {
			n.Labels = map[string]string{key: value}
		}
		if head, effect, ok := strings.Cut(a.Taint, ":"); ok {
			key, value, _ := strings.Cut(head, "=")
			patch, err := registration("JoinConfiguration", []any{map[string]string{"key": key, "value": value, "effect": effect}})
			if err != nil {
				return nil, err
			}
			n.KubeadmConfigPatches = []string{patch}
		}
		cfg.Nodes = append(cfg.Nodes, n)
	}
	return cfg, nil
}

// registration gives a node its taints from its first moment on, as a patch of
// kubeadm's configuration; kind has no field for them.
func registration(kind string, taints []any) (string, error) {
	b, err := yaml.Marshal(map[string]any{"kind": kind, "nodeRegistration": map[string]any{"taints": taints}})
	return string(b), err
}

// Delete implements nodes.Engine.
func (d *Docker) Delete(ctx context.Context, cluster string) error {
	if _, err := d.Client(ctx); err != nil {
		return err
	}
	if _, err := d.ready(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "alertlab-kind-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	result := make(chan error, 1)
	go func() { result <- d.remove(cluster, filepath.Join(dir, "kubeconfig")) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Left implements nodes.Engine. A node's volume goes with its container, and kind's
// network is all clusters'.
func (d *Docker) Left(ctx context.Context, cluster string) ([]string, error) {
	list, err := d.Containers(ctx, cluster)
	var left []string
	for _, c := range list {
		left = append(left, "container "+c.Name)
	}
	return left, err
}

// Kubeconfig implements nodes.Engine.
func (d *Docker) Kubeconfig(ctx context.Context, cluster string) ([]byte, error) {
	if _, err := d.Client(ctx); err != nil {
		return nil, err
	}
	provider, err := d.ready()
	if err != nil {
		return nil, err
	}
	text, err := provider.KubeConfig(cluster, false)
	return []byte(text), err
}

// Nodes gives the running nodes of a cluster, to bring images into.
func (d *Docker) Nodes(ctx context.Context, cluster string) ([]bundle.Node, error) {
	list, err := d.Containers(ctx, cluster)
	if err != nil {
		return nil, err
	}
	return d.Running(ctx, list)
}

var _ nodes.Engine = (*Docker)(nil)
