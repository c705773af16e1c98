package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	docker "github.com/docker/docker/client"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	journal "github.com/alertlab/alertlab/lab/run"
)

const (
	// clusterLab is the name of the labs on Kubernetes.
	clusterLab = "bench"
	// clusterAlerts are those of a visit through brokers in pods.
	clusterAlerts = 1000
	// imagesStep is the step that moves images: it is as fast as a disk, and no work of
	// the launcher's own.
	imagesStep = "images"
	// sampling is how often CPU time is looked at while a lab comes up.
	sampling = 50 * time.Millisecond
)

// onCluster are the labs where no flags of up are given: by either deployer.
var onCluster = [][]string{
	{"--provider", "k3d", "--profile", "ci"},
	{"--provider", "k3d", "--profile", "ci", "--deployer", "argocd"},
}

// fromNothing is how long an up with these flags may take, in seconds: Argo CD has to
// come up first.
func fromNothing(up []string) target {
	if slices.Contains(up, "argocd") {
		return under(180)
	}
	return under(120)
}

// command is how a user makes a lab.
func command(up []string) string { return "alertlab up " + strings.Join(up, " ") }

// throughput are the flags, after those, of the lab that alerts are sent through: six
// brokers of Apache Kafka.
var throughput = []string{"--profile", "local", "--stack", "alerts-light"}

// kubernetes measures labs on a cluster, each from nothing; a round has one of each.
func (b *bench) kubernetes(ctx context.Context, rounds int, labs [][]string, six bool) error {
	engine, err := docker.NewClientWithOpts(docker.FromEnv, docker.WithAPIVersionNegotiation())
	if err != nil {
		return err
	}
	defer engine.Close()
	if _, err := engine.Ping(ctx); err != nil {
		return fmt.Errorf("%w; on the offline rig: go run ./hack/rig env -- go run ./hack/bench -kubernetes", err)
	}
	for i := range rounds {
		for n, up := range labs {
			fmt.Fprintf(b.say, "%s, round %d of %d\n", command(up), i+1, rounds)
			b.doc.group = command(up)
			if err := b.cluster(ctx, engine, fmt.Sprintf("cluster%d-%d", i, n), up); err != nil {
				return err
			}
		}
	}
	if six {
		up := slices.Concat(labs[0], throughput)
		fmt.Fprintln(b.say, command(up))
		b.doc.group = command(up)
		return b.brokers(ctx, engine, up)
	}
	return nil
}

// newClusterLab is a lab that gets to know what nodes are made of.
func (b *bench) newClusterLab(name string, more ...string) *lab {
	keep := []string{"ALERTLAB_LAB=" + clusterLab}
	for _, variable := range []string{"ALERTLAB_BUNDLE", "ALERTLAB_NODE_IMAGE"} {
		if value := os.Getenv(variable); value != "" {
			keep = append(keep, variable+"="+value)
		}
	}
	return b.newLab(name, append(keep, more...)...)
}

// journal reads the lab's.
func (l *lab) journal() ([]journal.Entry, error) {
	return journal.ReadJournal(filepath.Join(l.dir, "labs", clusterLab, "journal.jsonl"))
}

// cluster measures a lab through its life.
func (b *bench) cluster(ctx context.Context, engine *docker.Client, name string, up []string) (err error) {
	l := b.newClusterLab(name)
	gone := false
	defer func() {
		if !gone {
			err = errors.Join(err, l.purge(ctx))
		}
	}()
	planned, err := l.alertlab(ctx, slices.Concat([]string{"plan", "-o", "json"}, up)...)
	if err != nil {
		return err
	}
	b.doc.add("`alertlab plan`, nothing there: the whole command", "s", under(0.5), planned.took.Seconds())

	before, err := machineTime()
	if err != nil {
		return err
	}
	memory := watchNodes(ctx, engine)
	w := &watch{}
	began := time.Now()
	done, err := execute(l.command(ctx, slices.Concat([]string{"up", "--progress", "quiet"}, up)...), w.start)
	samples := w.end()
	peak := memory()
	if err != nil {
		return err
	}
	after, err := machineTime()
	if err != nil {
		return err
	}
	b.doc.add("`alertlab up`, from nothing to every gate open", "s", fromNothing(up), done.took.Seconds())
	b.doc.add("cores that were busy meanwhile, all of this machine's work", "cores", none, (after-before).Seconds()/done.took.Seconds())
	entries, err := l.journal()
	if err != nil {
		return err
	}
	own := done.cpu + samples.until(time.Now())
	for _, e := range entries {
		b.doc.add("of it step "+e.Step, "s", none, e.Elapsed.Seconds())
		if e.Step == imagesStep {
			own -= samples.until(e.Time) - samples.until(e.Time.Add(-e.Elapsed))
		}
	}
	b.doc.add("the launcher's own CPU, without the transfer of images", "s", under(5), own.Seconds())
	idle, outside := unattended(entries, began, began.Add(done.took))
	b.doc.add("seconds of the journal without a running step", "s", under(1), idle.Seconds())
	b.doc.add("seconds of the command before its first step and after its last", "s", none, outside.Seconds())
	b.doc.add("peak memory of the nodes while the lab comes up", "MB", none, float64(peak)/1e6)
	if err := b.gates(ctx, l, entries); err != nil {
		return err
	}
	for _, one := range []struct {
		name   string
		target target
		args   []string
	}{
		{"`alertlab up`, nothing to do", under(3), slices.Concat([]string{"up", "--progress", "quiet"}, up)},
		{"`alertlab plan`, of a lab that runs", under(3), slices.Concat([]string{"plan"}, up)},
	} {
		done, err := l.alertlab(ctx, one.args...)
		if err != nil {
			return err
		}
		b.doc.add(one.name, "s", one.target, done.took.Seconds())
	}
	removed, err := l.alertlab(ctx, "down", "--purge", "--verify", "--progress", "quiet")
	if err != nil {
		return err
	}
	gone = true
	b.doc.add("`alertlab down --purge --verify`", "s", under(20), removed.took.Seconds())
	return nil
}

// brokers measures alerts from the player through the brokers to the alert database.
func (b *bench) brokers(ctx context.Context, engine *docker.Client, up []string) (err error) {
	l := b.newClusterLab("brokers", fmt.Sprintf("ALERTLAB_SIMULATOR_ALERTS=%d", clusterAlerts), "ALERTLAB_SIMULATOR_PACKET_SIZE="+packetSize, "ALERTLAB_SIMULATOR_INTERVAL=24h")
	defer func() { err = errors.Join(err, l.purge(ctx)) }()
	memory := watchNodes(ctx, engine)
	defer func() {
		if peak := memory(); err == nil {
			b.doc.add("peak memory of the nodes", "MB", none, float64(peak)/1e6)
		}
	}()
	done, err := l.alertlab(ctx, slices.Concat([]string{"up", "--progress", "quiet"}, up)...)
	if err != nil {
		return err
	}
	b.doc.add("`alertlab up`, from nothing", "s", none, done.took.Seconds())
	if err := l.connect(ctx); err != nil {
		return err
	}
	if err := l.awaitVisit(ctx); err != nil {
		return err
	}
	const visits = 3
	for range visits {
		visit, err := l.play(ctx, nil)
		if err != nil {
			return err
		}
		if err := l.awaitArchived(ctx); err != nil {
			return err
		}
		whole := time.Since(visit.started)
		b.doc.add("alerts acknowledged to the player", "1/s", none, clusterAlerts/visit.took.Seconds())
		b.doc.add("alerts played and archived", "1/s", none, clusterAlerts/whole.Seconds())
	}
	return nil
}

// unattended says how much of the time between the first step's begin and the last one's
// end no step ran, and how much of the command lies outside.
func unattended(entries []journal.Entry, began, ended time.Time) (idle, outside time.Duration) {
	type span struct{ from, to time.Time }
	var spans []span
	for _, e := range entries {
		if !e.Begun {
			spans = append(spans, span{e.Time.Add(-e.Elapsed), e.Time})
		}
	}
	if len(spans) == 0 {
		return 0, ended.Sub(began)
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	last := spans[0].from
	outside = last.Sub(began)
	for _, s := range spans {
		if s.from.After(last) {
			idle += s.from.Sub(last)
		}
		if s.to.After(last) {
			last = s.to
		}
	}
	return idle, outside + ended.Sub(last)
}

// gates compares when each gate opened with what Kubernetes says of when its objects
// were ready.
func (b *bench) gates(ctx context.Context, l *lab, entries []journal.Entry) error {
	kubeconfig, err := os.ReadFile(filepath.Join(l.dir, "labs", clusterLab, "kubeconfig"))
	if err != nil {
		return err
	}
	client, err := kube.New(kubeconfig)
	if err != nil {
		return err
	}
	nodes, err := client.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var lags, probes []float64
	for _, e := range entries {
		if e.Action != plan.Create {
			continue // what was there before was ready before
		}
		var release struct{ Release, Namespace string }
		_ = json.Unmarshal(e.Resolved, &release) // a part that is no release has none
		opened := time.Time{}
		for _, g := range e.Gates {
			var ready time.Time
			switch g.Gate {
			case "nodes-ready":
				ready = nodesReady(nodes.Items)
			case "rollout":
				pods, err := client.Clientset.CoreV1().Pods(release.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + release.Release})
				if err != nil {
					return err
				}
				ready = podsReady(pods.Items)
			default:
				// Asked from outside: no object says when it was.
				if !opened.IsZero() {
					probes = append(probes, g.Time.Sub(opened).Seconds())
				}
			}
			opened = g.Time
			if ready.IsZero() || ready.After(g.Time) {
				continue // there is none, or it was another time
			}
			lags = append(lags, g.Time.Sub(ready).Seconds())
			b.doc.add(fmt.Sprintf("gate %s of %s opened after its objects were ready", g.Gate, e.Step), "s", under(3), g.Time.Sub(ready).Seconds())
		}
	}
	if len(lags) == 0 {
		return errors.New("no gate of the journal has an object that says when it was ready")
	}
	b.doc.add("gates opened after their objects were ready: median of a round", "s", under(1), (&figure{values: lags}).median())
	b.doc.add("gates opened after their objects were ready: worst of a round", "s", under(3), slices.Max(lags))
	if len(probes) > 0 {
		b.doc.add("probes from outside answered after the gate before them: worst of a round", "s", none, slices.Max(probes))
	}
	return nil
}

func nodesReady(nodes []corev1.Node) (last time.Time) {
	for _, n := range nodes {
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && c.LastTransitionTime.After(last) {
				last = c.LastTransitionTime.Time
			}
		}
	}
	return last
}

func podsReady(pods []corev1.Pod) (last time.Time) {
	for _, p := range pods {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && c.LastTransitionTime.After(last) {
				last = c.LastTransitionTime.Time
			}
		}
	}
	return last
}

// watch looks at the CPU time of the runner that an up starts.
type watch struct {
	quit, over chan struct{}
	samples    cpuSamples
}

type cpuSamples []cpuSample

type cpuSample struct {
	at  time.Time
	cpu time.Duration
}

// until gives the CPU time that was used at a time.
func (s cpuSamples) until(t time.Time) (used time.Duration) {
	for _, one := range s {
		if one.at.After(t) {
			break
		}
		used = one.cpu
	}
	return used
}

// start begins with the process id of the up, whose child the runner is.
func (w *watch) start(up int) {
	w.quit, w.over = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(w.over)
		tick := time.NewTicker(sampling)
		defer tick.Stop()
		runner := 0
		for {
			if runner == 0 {
				runner = firstChild(up)
			}
			if runner != 0 {
				if used, err := cpuTime(runner); err == nil {
					w.samples = append(w.samples, cpuSample{time.Now(), used})
				}
			}
			select {
			case <-w.quit:
				return
			case <-tick.C:
			}
		}
	}()
}

func (w *watch) end() cpuSamples {
	if w.quit == nil {
		return nil // the up did not start
	}
	close(w.quit)
	<-w.over
	return w.samples
}

// firstChild gives a child of a process, 0 while there is none.
func firstChild(pid int) int {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return 0
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				return child
			}
		}
	}
	return 0
}

// watchNodes looks once a second at what the lab's nodes have in memory, without the
// page cache that nobody needs; the function that it returns ends that and gives the
// peak, in bytes.
func watchNodes(ctx context.Context, engine *docker.Client) (peak func() int64) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan int64, 1)
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		var most int64
		for {
			most = max(most, nodesMemory(ctx, engine))
			select {
			case <-ctx.Done():
				over <- most
				return
			case <-tick.C:
			}
		}
	}()
	return sync.OnceValue(func() int64 {
		cancel()
		return <-over
	})
}

// nodesMemory sums it up at one moment; a node that comes or goes counts nothing.
func nodesMemory(ctx context.Context, engine *docker.Client) (sum int64) {
	list, err := engine.ContainerList(ctx, container.ListOptions{Filters: filters.NewArgs(filters.Arg("label", "dev.alertlab.lab="+clusterLab))})
	if err != nil {
		return 0
	}
	for _, c := range list {
		stats, err := engine.ContainerStatsOneShot(ctx, c.ID)
		if err != nil {
			continue
		}
		var now container.StatsResponse
		err = json.NewDecoder(stats.Body).Decode(&now)
		if errors.Join(err, stats.Body.Close()) != nil {
			continue
		}
		cache := now.MemoryStats.Stats["total_inactive_file"] // cgroup v1
		if cache == 0 {
			cache = now.MemoryStats.Stats["inactive_file"] // v2
		}
		sum += int64(now.MemoryStats.Usage) - int64(cache)
	}
	return sum
}

// clusterMarkdown writes the section of labs on Kubernetes.
func (d *document) clusterMarkdown(args []string) string {
	var tables strings.Builder
	for _, one := range d.groups() {
		fmt.Fprintf(&tables, "### `%s`\n\n", one.group)
		one.table(&tables)
		tables.WriteByte('\n')
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `## Labs on Kubernetes

Made by the command below, which measures the built program from outside; do not
edit by hand.

    go run ./hack/rig env -- go run ./hack/bench %s

- date: %s, in %s
- machine: %s; load at the begin %s, at the end %s
- Go: %s
- images at hand in a bundle; where there are several labs, a round has one of each

%sWhat the figures are:

- *from nothing*: no cluster and an empty state directory; until the command returns.
- *of it step*: from the journal; steps go side by side, so they add up to more.
- *gates*: from the time that Kubernetes gives for the last of a gate's objects to become
  ready, nodes or pods, to the time at which the journal has the gate open. Kubernetes
  writes whole seconds, so each figure is up to 1 s more than it was.
- *the launcher's own CPU*: user and system time of the command and its runner until the
  command returns, without what the runner used during the step `+"`images`"+`.
- *memory of the nodes*: of their containers, without the page cache that nobody has used
  lately; looked at once a second.
- *alerts played and archived*: a visit of %d alerts of %s, twelve partitions; from the first alert sent until the group's lag is zero.
`, strings.Join(args, " "), d.began.UTC().Format("2006-01-02 15:04 MST"), time.Since(d.began).Round(time.Minute), machine(), d.load, loadNow(), runtime.Version(),
		tables.String(), clusterAlerts, packetSize)
	return b.String()
}

// loadNow is the machine's load of the last minute.
func loadNow() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// missedAll names every figure that is not what it is to be.
func (d *document) missedAll() []string {
	missed := map[string]bool{}
	for _, f := range d.figures {
		if f.verdict() == "no" {
			missed[f.group+": "+f.name] = true
		}
	}
	return slices.Sorted(maps.Keys(missed))
}
