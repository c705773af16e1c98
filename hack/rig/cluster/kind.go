package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/log"
	"sigs.k8s.io/yaml"
)

// kindMaker makes clusters through kind's Go module, unchanged.
type kindMaker struct{}

// kindNetwork is the one network of all of kind's clusters
// (sigs.k8s.io/kind v0.33.0, pkg/cluster/internal/providers/docker/network.go).
const kindNetwork = "kind"

func (kindMaker) make(ctx context.Context, j *job, apiPort int) ([]byte, error) {
	cfg, err := kindConfig(j.cfg, apiPort)
	if err != nil {
		return nil, err
	}
	provider := kind.NewProvider(kind.ProviderWithDocker(), kind.ProviderWithLogger(kindLog{j.say}))
	// kind takes no context. Its nodes are kept when it fails, for their logs.
	result := make(chan error, 1)
	go func() {
		result <- provider.Create(j.cfg.Name, kind.CreateWithV1Alpha4Config(cfg), kind.CreateWithRetain(true),
			kind.CreateWithKubeconfigPath(j.state.kubeconfig(j.cfg.Name)))
	}()
	select {
	case err = <-result:
	case <-ctx.Done():
		j.say("interrupting kind's step")
		return nil, errors.Join(context.Cause(ctx), j.interruptKind(ctx, result, kindGrace))
	}
	if err != nil {
		return nil, err
	}
	text, err := provider.KubeConfig(j.cfg.Name, false)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := clientcmd.Load([]byte(text))
	if err != nil {
		return nil, err
	}
	return clientcmd.Write(*kubeconfig)
}

// kindGrace is how long an interrupted step of kind may take to end; it takes less
// than 2 s when the engine does what it is told.
const kindGrace = 20 * time.Second

// stillGoing says that a step of kind did not end although it was interrupted, so
// that it may make containers yet.
type stillGoing struct {
	grace time.Duration
	nodes []string // that still run
	last  error    // of the engine, if any
}

func (s *stillGoing) Error() string {
	text := fmt.Sprintf("kind's step had not ended %s after its interruption, and may make nodes yet", s.grace)
	if len(s.nodes) > 0 {
		text += "; still running: " + strings.Join(s.nodes, ", ")
	}
	if s.last != nil {
		text += " (" + s.last.Error() + ")"
	}
	return text
}

func (s *stillGoing) Unwrap() error { return s.last }

// interruptKind makes kind's step end by stopping the nodes it works in, until its
// Create has returned: only then nothing more is made. The error is a *stillGoing
// when that takes longer than grace.
func (j *job) interruptKind(ctx context.Context, result <-chan error, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	mine := filters.NewArgs(filters.Arg("label", kindLabelCluster+"="+j.cfg.Name))
	going := &stillGoing{grace: grace}
	for {
		list, err := j.docker.ContainerList(ctx, container.ListOptions{Filters: mine})
		if ctx.Err() == nil { // else it is the deadline's, and says nothing of the engine
			going.nodes, going.last = nil, err
		}
		for _, s := range list {
			going.nodes = append(going.nodes, strings.TrimPrefix(s.Names[0], "/"))
			// One that has ended meanwhile is as good as killed.
			if err := j.docker.ContainerKill(ctx, s.ID, "KILL"); err != nil && ctx.Err() == nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) {
				going.last = err
			}
		}
		select {
		case <-result:
			return nil
		case <-ctx.Done():
			return going
		case <-tick.C:
		}
	}
}

// kindConfig is what a kind user would write into kind's configuration file.
func kindConfig(c Config, apiPort int) (*v1alpha4.Cluster, error) {
	cfg := &v1alpha4.Cluster{
		TypeMeta:   v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Networking: v1alpha4.Networking{IPFamily: v1alpha4.IPv4Family, APIServerAddress: "127.0.0.1", APIServerPort: int32(apiPort)},
	}
	for range c.Servers {
		cfg.Nodes = append(cfg.Nodes, v1alpha4.Node{Role: v1alpha4.ControlPlaneRole, Image: c.Image})
	}
	for _, a := range c.mustAgents() {
		n := v1alpha4.Node{Role: v1alpha4.WorkerRole, Image: c.Image, Labels: a.labels}
		if len(a.taints) > 0 {
			patch, err := joinPatch(a.taints)
			if err != nil {
				return nil, err
			}
			n.KubeadmConfigPatches = []string{patch}
		}
		cfg.Nodes = append(cfg.Nodes, n)
	}
	return cfg, nil
}

// joinPatch gives a node taints from its first moment on, as a patch of kubeadm's
// configuration; kind has no field for them.
func joinPatch(taints []corev1.Taint) (string, error) {
	b, err := yaml.Marshal(map[string]any{
		"kind":             "JoinConfiguration",
		"nodeRegistration": map[string]any{"taints": taints},
	})
	return string(b), err
}

func (kindMaker) remove(ctx context.Context, j *job) error {
	provider := kind.NewProvider(kind.ProviderWithDocker(), kind.ProviderWithLogger(kindLog{j.say}))
	result := make(chan error, 1)
	go func() { result <- provider.Delete(j.cfg.Name, j.state.kubeconfig(j.cfg.Name)) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// kindLog hands kind's lines on.
type kindLog struct{ say func(string, ...any) }

func (l kindLog) Warn(m string)            { l.say("kind: warning: %s", strings.TrimSpace(m)) }
func (l kindLog) Warnf(f string, a ...any) { l.Warn(fmt.Sprintf(f, a...)) }

func (l kindLog) Error(m string)            { l.say("kind: error: %s", strings.TrimSpace(m)) }
func (l kindLog) Errorf(f string, a ...any) { l.Error(fmt.Sprintf(f, a...)) }

// V gives the lines for users; the more talkative levels are dropped.
func (l kindLog) V(level log.Level) log.InfoLogger {
	if level > 0 {
		return log.NoopInfoLogger{}
	}
	return kindInfo(l)
}

type kindInfo struct{ say func(string, ...any) }

func (kindInfo) Enabled() bool { return true }
func (i kindInfo) Info(m string) {
	if m = kindLine(m); m != "" {
		i.say("kind: %s", m)
	}
}
func (i kindInfo) Infof(f string, a ...any) { i.Info(fmt.Sprintf(f, a...)) }

// kindLine takes the pictures out of a line. Of the two lines of a step, its begin
// and its end, only the begin is kept, and an end that is a failure.
func kindLine(m string) string {
	m = strings.TrimSpace(m)
	if strings.HasPrefix(m, "✓") {
		return ""
	}
	failed := strings.HasPrefix(m, "✗")
	m = strings.Map(func(r rune) rune {
		if r > unicode.MaxLatin1 {
			return -1
		}
		return r
	}, m)
	m = strings.Join(strings.Fields(strings.TrimSuffix(strings.TrimSpace(m), "...")), " ")
	if failed {
		return "failed: " + m
	}
	return m
}
