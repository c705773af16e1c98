package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/k3d-io/k3d/v5/pkg/client"
	"github.com/k3d-io/k3d/v5/pkg/config"
	k3dconfig "github.com/k3d-io/k3d/v5/pkg/config/v1alpha5"
	"github.com/k3d-io/k3d/v5/pkg/logger"
	"github.com/k3d-io/k3d/v5/pkg/runtimes"
	k3dtypes "github.com/k3d-io/k3d/v5/pkg/types"
	"github.com/sirupsen/logrus"
	"k8s.io/client-go/tools/clientcmd"
)

// k3dMaker makes clusters through k3d's Go module, unchanged.
type k3dMaker struct{}

// Parts of k3s that the rig's node image does not have, and that no lab uses.
var k3sDisabled = []string{"traefik", "servicelb", "metrics-server"}

func (k3dMaker) make(ctx context.Context, j *job, apiPort int) ([]byte, error) {
	defer listenToK3d(j.say)()
	for name, value := range j.k3dEnvironment() {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	cfg, err := config.TransformSimpleToClusterConfig(ctx, runtimes.Docker, k3dSimple(j.cfg, apiPort), "")
	if err != nil {
		return nil, err
	}
	k3dNodes(cfg, j.cfg)
	if cfg, err = config.ProcessClusterConfig(*cfg); err != nil {
		return nil, err
	}
	if err := config.ValidateClusterConfig(ctx, runtimes.Docker, *cfg); err != nil {
		return nil, err
	}
	if err := client.ClusterRun(ctx, runtimes.Docker, cfg); err != nil {
		return nil, err
	}
	kubeconfig, err := client.KubeconfigGet(ctx, runtimes.Docker, &cfg.Cluster)
	if err != nil {
		return nil, err
	}
	return clientcmd.Write(*kubeconfig)
}

// k3dSocket is the variable with the path of the engine's socket, which k3d mounts
// into its tools node (k3d v5.8.3, pkg/runtimes/docker/docker.go).
const k3dSocket = "DOCKER_SOCK"

// k3dEnvironment is what k3d takes from the environment only. It is the same for
// every cluster of one process.
func (j *job) k3dEnvironment() map[string]string {
	tools, proxy := j.helpers(j.cfg.Image)
	env := map[string]string{k3dtypes.K3dEnvImageTools: tools, k3dtypes.K3dEnvImageLoadbalancer: proxy}
	// Without it k3d mounts /var/run/docker.sock, whatever DOCKER_HOST says; where
	// nothing is, the engine makes a folder of that name, which keeps a Docker of the
	// machine from ever listening there.
	if path, ok := strings.CutPrefix(j.docker.DaemonHost(), "unix://"); ok {
		env[k3dSocket] = path
	}
	return env
}

// k3dSimple is what a k3d user would write into k3d's configuration file.
func k3dSimple(c Config, apiPort int) k3dconfig.SimpleConfig {
	simple := k3dconfig.SimpleConfig{
		Servers: c.Servers, Agents: len(c.mustAgents()), Image: c.Image,
		ExposeAPI: k3dconfig.SimpleExposureOpts{Host: "127.0.0.1", HostIP: "127.0.0.1", HostPort: fmt.Sprint(apiPort)},
	}
	simple.Name = c.Name
	simple.Options.K3dOptions.Wait = true
	for _, part := range k3sDisabled {
		simple.Options.K3sOptions.ExtraArgs = append(simple.Options.K3sOptions.ExtraArgs,
			k3dconfig.K3sArgWithNodeFilters{Arg: "--disable=" + part, NodeFilters: []string{"server:*"}})
	}
	return simple
}

// k3dNodes gives the agents their labels and taints, and every container the label
// that makes it the rig's.
func k3dNodes(cfg *k3dconfig.ClusterConfig, c Config) {
	agents := c.mustAgents()
	for _, n := range cfg.Nodes {
		if n.Role != k3dtypes.AgentRole || len(agents) == 0 {
			continue
		}
		a := agents[0] // k3d lists agents in the order of their numbers
		agents = agents[1:]
		if n.K3sNodeLabels == nil {
			n.K3sNodeLabels = map[string]string{}
		}
		for k, v := range a.labels {
			n.K3sNodeLabels[k] = v
		}
		for _, t := range a.taints {
			n.Args = append(n.Args, "--node-taint", taintText(t.Key, t.Value, string(t.Effect)))
		}
	}
	cfg.ClusterCreateOpts.GlobalLabels[LabelCluster] = c.Name
}

// taintText writes a taint as k3s takes it.
func taintText(key, value, effect string) string {
	if value != "" {
		key += "=" + value
	}
	return key + ":" + effect
}

func (k3dMaker) remove(ctx context.Context, j *job) error {
	defer listenToK3d(j.say)()
	err := client.ClusterDelete(ctx, runtimes.Docker, &k3dtypes.Cluster{Name: j.cfg.Name}, k3dtypes.ClusterDeleteOpts{})
	if errors.Is(err, client.ClusterGetNoNodesFoundError) {
		return nil // begun, but no container yet
	}
	return err
}

// listenToK3d turns k3d's logger, of which there is one in a process, to say. The
// function that it returns turns it back. Of two clusters at once in one process
// the later one hears the lines of both.
func listenToK3d(say func(string, ...any)) (restore func()) {
	log := logger.Log()
	out := log.Out
	hooks := logrus.LevelHooks{}
	hooks.Add(sayHook{say})
	log.SetOutput(io.Discard)
	before := log.ReplaceHooks(hooks)
	return func() {
		log.ReplaceHooks(before)
		log.SetOutput(out)
	}
}

type sayHook struct{ say func(string, ...any) }

func (sayHook) Levels() []logrus.Level {
	return []logrus.Level{logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel, logrus.WarnLevel, logrus.InfoLevel}
}

func (h sayHook) Fire(e *logrus.Entry) error {
	text := strings.TrimSpace(e.Message)
	if e.Level < logrus.InfoLevel {
		text = e.Level.String() + ": " + text
	}
	h.say("k3d: %s", text)
	return nil
}
