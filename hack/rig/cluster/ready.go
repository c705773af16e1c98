package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/alertlab/alertlab/internal/kube"
)

// readiness is what is waited for.
type readiness struct {
	want []string
	// since: the kubelet's word must not be older, when it is not zero; after a
	// restart Kubernetes goes on saying Ready for 40 s. A kubelet that starts says
	// at once how it is, and then only every 5 minutes while nothing changes
	// (nodeStatusReportFrequency). Kubernetes writes whole seconds.
	since time.Time
}

// progress is how far the nodes are.
type progress struct {
	done    bool   // all that are wanted are Ready
	short   string // which are not, and a word why
	waiting string // the same with what Kubernetes says
}

// state says how far the nodes are. The error is a cause that no waiting will cure.
func (r readiness) state(nodes []*corev1.Node, pods []*corev1.Pod, now time.Time) (progress, error) {
	byName := map[string]*corev1.Node{}
	for _, n := range nodes {
		byName[n.Name] = n
	}
	var missing, short []string
	for _, name := range r.want {
		n := byName[name]
		if n == nil {
			missing = append(missing, name+" (not registered)")
			short = append(short, name+" (not registered)")
			continue
		}
		word, why := "no condition yet", ""
		for _, c := range n.Status.Conditions {
			if c.Type != corev1.NodeReady {
				continue
			}
			switch {
			case c.Status != corev1.ConditionTrue:
				word, why = c.Reason, ": "+firstLine(c.Message)
			case c.LastHeartbeatTime.Time.Before(r.since.Truncate(time.Second)):
				word = "not heard of since its start"
			default:
				word = ""
			}
		}
		if word != "" {
			missing = append(missing, name+" ("+word+why+")")
			short = append(short, name+" ("+word+")")
		}
	}
	if len(missing) == 0 {
		return progress{done: true}, nil
	}
	slices.Sort(missing)
	slices.Sort(short)
	p := progress{short: strings.Join(short, ", "), waiting: strings.Join(missing, ", ")}
	for _, pod := range pods {
		if !slices.Contains(r.want, pod.Spec.NodeName) || !pod.Spec.HostNetwork {
			continue // only what runs in the node's network makes a node Ready
		}
		if s := kube.PodState(pod, now); s.Terminal != "" {
			return p, fmt.Errorf("pod %s of node %s: %s", pod.Name, pod.Spec.NodeName, s.Terminal)
		}
	}
	return p, nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return s
}

func waitReady(ctx context.Context, kubeconfig []byte, names []string, say func(string, ...any)) error {
	return waitNodes(ctx, kubeconfig, readiness{want: names}, say)
}

// waitNodes watches nodes and the pods of kube-system until the nodes are Ready. The
// error says what was last seen, and joins the cause of ctx's end.
func waitNodes(ctx context.Context, kubeconfig []byte, r readiness, say func(string, ...any)) error {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return err
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactory(clientset, 0)
	defer factory.Shutdown() // after stop
	defer stop()
	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: func(any) { poke() }, UpdateFunc: func(any, any) { poke() }, DeleteFunc: func(any) { poke() }}
	var trouble atomic.Pointer[error]
	nodes, pods := factory.Core().V1().Nodes(), factory.Core().V1().Pods()
	for _, i := range []cache.SharedIndexInformer{nodes.Informer(), pods.Informer()} {
		if err := i.SetWatchErrorHandler(func(_ *cache.Reflector, err error) { trouble.Store(&err) }); err != nil {
			return err
		}
		if _, err := i.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(watching.Done())
	// Some causes become terminal by lasting, which no event says.
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	said, waiting := "", "the API server"
	for {
		select {
		case <-ctx.Done():
			last := fmt.Errorf("waiting for %s", waiting)
			if t := trouble.Load(); t != nil {
				last = fmt.Errorf("%w (%v)", last, *t)
			}
			return errors.Join(context.Cause(ctx), last)
		case <-changed:
		case <-tick.C:
		}
		// Both: a list that is cut makes the library complain on standard error.
		if !nodes.Informer().HasSynced() || !pods.Informer().HasSynced() {
			continue
		}
		ns, err := nodes.Lister().List(labels.Everything())
		if err != nil {
			return err
		}
		ps, err := pods.Lister().Pods("kube-system").List(labels.Everything())
		if err != nil {
			return err
		}
		p, err := r.state(ns, ps, time.Now())
		if err != nil || p.done {
			return err
		}
		waiting = p.waiting
		if p.short != said {
			said = p.short
			say("waiting for %s", said)
		}
	}
}
