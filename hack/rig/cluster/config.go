package cluster

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/alertlab/alertlab/lab/fault"
)

// Maker says what makes the cluster.
type Maker string

// The makers.
const (
	K3d   Maker = "k3d"   // k3d's Go module
	Kind  Maker = "kind"  // kind's Go module, and the docker command beneath it
	Plain Maker = "plain" // the engine's API only
)

// makers are all of them, in the order in which they are offered.
var makers = []Maker{K3d, Kind, Plain}

// NodePool is a group of equal agents.
type NodePool struct {
	Agents int // how many; zero is an empty pool
	// Labels that the nodes have in Kubernetes.
	Labels map[string]string
	// Taints as kubectl writes them: KEY[=VALUE]:EFFECT, e.g. kafka=ok:NoSchedule.
	Taints []string
}

// Progress is one line of what is being done.
type Progress struct {
	Cluster string
	Text    string
	Elapsed time.Duration // since the operation began
}

// Config says what cluster to make.
type Config struct {
	Name    string // a small letter, then small letters, digits and hyphens; at most 30
	Maker   Maker
	Servers int // at least 1; kind: exactly 1
	Pools   []NodePool
	Image   string // of the nodes
	// Timeout bounds the whole Create; zero: 5 minutes.
	Timeout time.Duration
	// Report is told what is being done, from several goroutines but never two at
	// a time; nil: nobody.
	Report func(Progress)
}

// defaultTimeout is an order of magnitude above what a Create takes.
const defaultTimeout = 5 * time.Minute

// Names stay below k3d's bound of 32 characters and, with the longest suffix of a
// node, below the 63 of a host name.
var nameRule = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$`)

// agent is one agent of a pool.
type agent struct {
	labels map[string]string
	taints []corev1.Taint
}

// agents lays the pools out, one entry for each agent in the order of the pools.
func (c Config) agents() ([]agent, error) {
	var all []agent
	for i, p := range c.Pools {
		if p.Agents < 0 {
			return nil, fmt.Errorf("pool %d has %d agents", i+1, p.Agents)
		}
		for key, value := range p.Labels {
			problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...)
			if len(problems) > 0 {
				return nil, fmt.Errorf("label %s=%s of pool %d: %s", key, value, i+1, problems[0])
			}
		}
		var taints []corev1.Taint
		for _, text := range p.Taints {
			t, err := ParseTaint(text)
			if err != nil {
				return nil, err
			}
			taints = append(taints, t)
		}
		for range p.Agents {
			all = append(all, agent{labels: p.Labels, taints: taints})
		}
	}
	return all, nil
}

// ParseTaint reads KEY[=VALUE]:EFFECT, as `kubectl taint` takes it.
func ParseTaint(text string) (corev1.Taint, error) {
	head, effect, found := strings.Cut(text, ":")
	if !found {
		return corev1.Taint{}, fmt.Errorf("taint %q has no effect: write KEY[=VALUE]:EFFECT", text)
	}
	key, value, _ := strings.Cut(head, "=")
	if problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(problems) > 0 {
		return corev1.Taint{}, fmt.Errorf("taint %q: %s", text, problems[0])
	}
	t := corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}
	switch t.Effect {
	case corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute:
		return t, nil
	}
	return corev1.Taint{}, fmt.Errorf("taint %q: the effect is one of NoSchedule, PreferNoSchedule, NoExecute", text)
}

// labelList writes labels as KEY=VALUE, sorted.
func labelList(labels map[string]string) []string {
	var list []string
	for k, v := range labels {
		list = append(list, k+"="+v)
	}
	slices.Sort(list)
	return list
}

// nodeNames are the names of the nodes, which are those of the containers as
// well: servers first, then agents.
func nodeNames(m Maker, cluster string, servers, agents int) []string {
	var names []string
	for i := range servers {
		switch m {
		case Kind:
			names = append(names, cluster+"-control-plane"+kindSuffix(i))
		default:
			names = append(names, fmt.Sprintf("%s-%s-server-%d", prefix(m), cluster, i))
		}
	}
	for i := range agents {
		switch m {
		case Kind:
			names = append(names, cluster+"-worker"+kindSuffix(i))
		default:
			names = append(names, fmt.Sprintf("%s-%s-agent-%d", prefix(m), cluster, i))
		}
	}
	return names
}

// prefix is what the names of containers and networks of a maker begin with; kind
// has none.
func prefix(m Maker) string {
	if m == K3d {
		return "k3d"
	}
	return "rig"
}

// kindSuffix counts as kind does: nothing for the first, then 2, 3 and so on.
func kindSuffix(i int) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprint(i + 1)
}

// check refuses what cannot become a cluster, before anything is begun.
func (c Config) check() error {
	bad := func(why, next string) error {
		return fault.New(fault.BadInput, fmt.Sprintf("cluster %q cannot be made", c.Name), why, next)
	}
	if !nameRule.MatchString(c.Name) {
		return bad("a name is 1 to 30 small letters, digits and hyphens, begins with a letter and does not end with a hyphen", "choose another name")
	}
	if c.Name == lockFile {
		return bad("the name "+lockFile+" is taken by the file that keeps two rigs apart", "choose another name")
	}
	if !slices.Contains(makers, c.Maker) {
		return bad(fmt.Sprintf("nothing called %q makes clusters", c.Maker), "choose k3d, kind or plain")
	}
	if c.Servers < 1 {
		return bad("it has no server", "ask for one server")
	}
	if c.Maker == Kind && c.Servers > 1 {
		return bad("kind puts a load balancer before several servers, whose image is not part of the rig", "choose k3d or plain, or one server")
	}
	if _, err := c.agents(); err != nil {
		return bad(err.Error(), "correct the node pool")
	}
	if c.Image == "" {
		return bad("no node image is named", "go run ./hack/rig all")
	}
	return nil
}
