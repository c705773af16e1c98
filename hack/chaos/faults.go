package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/chaos"
)

// The shapes of labs in which a fault can happen.
const (
	one       = ""          // as the user said
	three     = "three"     // brokers on nodes of their own, one of which may be away
	encrypted = "encrypted" // certificates on the external listener, whose names can change
)

//go:embed three.yaml
var threeProfile []byte

// errSkip says why a fault cannot be tried here.
type errSkip struct{ why string }

func (e errSkip) Error() string { return e.why }

// fault is something that goes wrong.
type fault struct {
	name, what string
	shape      string
	// fresh: it happens while a lab is brought up from nothing, so there is none before.
	fresh bool
	// bare: no lab comes of it, so nothing is to be healed.
	bare bool
	// publishes: alerts are published from outside while it happens.
	publishes bool
	do        func(context.Context, *lab) error
}

// faults are all of them, in the order in which they are met: those that share a lab
// stand together.
func faults() []fault {
	return []fault{
		{name: "image-missing", what: "an image that the bundle lacks", fresh: true, bare: true, do: imageMissing},
		{name: "foreign-cluster", what: "a cluster of the lab's name that somebody else made", fresh: true, bare: true, do: foreignCluster},
		{name: "kill-at-steps", what: "`kill -9` of the runner during, before and after steps of `up`", fresh: true, do: killAtSteps},
		{name: "broker-killed", what: "a broker's pod is killed while visits are played", publishes: true, do: brokerKilled},
		{name: "runner-killed", what: "`kill -9` of the runner of a lab that runs", publishes: true, do: runnerKilled},
		{name: "interrupt-healing", what: "Ctrl-C at an `up` that heals a lab that others use", publishes: true, do: interruptHealing},
		{name: "password-changed", what: "a password in the Secret is changed by somebody else", publishes: true, do: passwordChanged},
		{name: "chart-changed", what: "a release is upgraded by hand", publishes: true, do: chartChanged},
		{name: "object-deleted", what: "a Service is deleted by hand", publishes: true, do: objectDeleted},
		{name: "host-reboot", what: "the host goes down: every node and the runner are killed at once", publishes: true, do: hostReboot},
		{name: "api-gone-living", what: "the API server is gone for a minute while `up` changes a lab that runs", publishes: true, do: apiGone},
		{name: "down-twice-killed", what: "`kill -9` of the runner during `down`", do: killDown},
		{name: "interrupt-at-steps", what: "Ctrl-C at steps of `up`", fresh: true, do: interruptAtSteps},
		{name: "down-during-up", what: "`down` in the middle of `up`", fresh: true, do: downDuringUp},
		{name: "purge-during-up", what: "`down --purge --verify` in the middle of `up`", fresh: true, bare: true, do: purgeDuringUp},
		{name: "api-gone", what: "the API server is gone for a minute in the middle of `up`", shape: three, fresh: true, do: apiGoneFresh},
		{name: "broker-of-three-killed", what: "one of three brokers is killed while visits are played", shape: three, publishes: true, do: brokerKilled},
		{name: "node-stopped", what: "a broker's node is stopped while visits are played", shape: three, publishes: true, do: nodeStopped},
		{name: "hosts-changed", what: "other host names of brokers, below the lab's own domain, while visits are played", shape: encrypted, publishes: true, do: hostsChanged},
		{name: "hosts-elsewhere", what: "host names of brokers for which the lab's authority may not sign", shape: encrypted, do: hostsElsewhere},
	}
}

// meet lets one fault happen, and looks what becomes of the lab.
func (l *lab) meet(ctx context.Context, f fault) (r row) {
	l.note("%s: %s", f.name, f.what)
	l.seen = nil
	r.fault = f
	err := l.prepare(ctx, f)
	if err == nil {
		began := time.Now()
		err = f.do(ctx, l)
		r.broke = time.Since(began)
	}
	if err == nil && !f.bare {
		began := time.Now()
		_, err = l.must(ctx, l.ups()...)
		if r.heals = time.Since(began); err == nil {
			l.note("  up after it: %.1f s", r.heals.Seconds())
			l.lives = true
			// The witness is asked first: smoke looks at visits, and takes alerts of
			// others among them for their end.
			r.healed, err = l.proven(ctx)
		}
		if err == nil {
			err = l.healthy(ctx)
			r.healed = strings.TrimSuffix("plan empty, smoke green, "+r.healed, ", ")
		}
	} else if err == nil {
		r.healed = "nothing of it is there"
	}
	r.seen, r.load, r.finished = l.seen, load(), time.Now()
	var skip errSkip
	if errors.As(err, &skip) {
		r.skipped, err = skip.why, nil
		l.stopPublishing()
	}
	if r.err = err; err != nil {
		l.note("  FAILED: %v", err)
		// What comes next begins with a lab of its own.
		if err := l.purge(context.WithoutCancel(ctx)); err != nil {
			l.note("  and it could not be deleted: %v", err)
		}
		return r
	}
	l.note("  %s", r.healed)
	return r
}

func (l *lab) stopPublishing() {
	if l.producer != nil {
		l.sends.Close()
		l.sends, l.producer = nil, nil
	}
}

// prepare gives a fault the lab that it wants.
func (l *lab) prepare(ctx context.Context, f fault) error {
	if l.there() && (f.fresh || !l.lives || l.shape != f.shape) {
		if err := l.purge(ctx); err != nil {
			return err
		}
	}
	if l.shape != f.shape {
		if err := l.becomes(ctx, f.shape); err != nil {
			return err
		}
	}
	if f.fresh {
		return nil
	}
	if !l.lives {
		began := time.Now()
		if _, err := l.must(ctx, l.ups()...); err != nil {
			return err
		}
		l.note("  a lab: %.1f s", time.Since(began).Seconds())
		l.lives = true
	}
	if l.inventory == nil {
		if err := l.healthy(ctx); err != nil {
			return err
		}
	}
	if f.publishes {
		return l.publish(ctx)
	}
	return nil
}

// becomes has the next lab made in a shape: shaped are the flags of up for it, after those
// that the user gave.
func (l *lab) becomes(ctx context.Context, shape string) error {
	l.shape, l.shaped, l.inventory = shape, nil, nil
	var text []byte
	switch shape {
	case one:
		return nil
	case three:
		text = threeProfile
	case encrypted:
		ci, err := l.must(ctx, "profile", "show", "ci")
		if err != nil {
			return err
		}
		text = []byte(strings.Replace(ci, "tls: false", "tls: true", 1))
	}
	file := filepath.Join(l.work, shape+".yaml")
	l.shaped = []string{"--profile", file}
	return os.WriteFile(file, text, 0o600)
}

// imageMissing asks for a version of Kafka that can be run, and that the bundle has not.
func imageMissing(ctx context.Context, l *lab) error {
	if os.Getenv("ALERTLAB_BUNDLE") == "" {
		return errSkip{"there is no bundle: ALERTLAB_BUNDLE"}
	}
	profile := filepath.Join(l.work, "missing.yaml")
	text := strings.Replace(string(threeProfile), "\nkafka:\n", "\nkafka:\n  version: 4.1.0\n", 1)
	if err := os.WriteFile(profile, []byte(text), 0o600); err != nil {
		return err
	}
	code, out, err := l.run(ctx, nil, l.ups("--profile", profile)...)
	if err != nil {
		return err
	}
	if code != 1 || !strings.Contains(out, "the bundle lacks images") {
		return fmt.Errorf("up ended with %d: %s", code, tail(out))
	}
	l.saw("exit code 1, `%s`", first(out))
	left, err := l.engine.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return err
	}
	for _, c := range left {
		if strings.Contains(nodeName(c), "alertlab-"+l.name+"-") {
			return fmt.Errorf("%s was made", nodeName(c))
		}
	}
	return nil
}

// first is the line of an error.
func first(out string) string {
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "error: ") {
			return strings.TrimSpace(line)
		}
	}
	return tail(out)
}

// foreignLabels are those of a node of somebody else's cluster, by provider.
func foreignLabels(provider, cluster string) map[string]string {
	switch provider {
	case "k3d":
		return map[string]string{"app": "k3d", "k3d.cluster": cluster, "k3d.role": "server"}
	case "kind":
		return map[string]string{"io.x-k8s.kind.cluster": cluster, "io.x-k8s.kind.role": "control-plane"}
	}
	return nil
}

// provider is the one of the flags of up.
func (l *lab) provider() string {
	for i, word := range l.up {
		if name, value, ok := strings.Cut(word, "="); ok && name == "--provider" {
			return value
		}
		if word == "--provider" && i+1 < len(l.up) {
			return l.up[i+1]
		}
	}
	return ""
}

// foreignCluster puts a node of a cluster of the lab's name there, without the lab's
// label. Every verb has to leave it alone.
func foreignCluster(ctx context.Context, l *lab) error {
	image, cluster := os.Getenv("ALERTLAB_NODE_IMAGE"), "alertlab-"+l.name
	labels := foreignLabels(l.provider(), cluster)
	if image == "" || labels == nil {
		return errSkip{"no node image, ALERTLAB_NODE_IMAGE, or a provider that makes no containers"}
	}
	made, err := l.engine.ContainerCreate(ctx, &container.Config{Image: image, Labels: labels}, nil, nil, nil, l.provider()+"-"+cluster+"-foreign")
	if err != nil {
		return err
	}
	remove := func() error {
		return l.engine.ContainerRemove(context.WithoutCancel(ctx), made.ID, container.RemoveOptions{Force: true})
	}
	for _, args := range [][]string{l.ups(), {"down"}, {"down", "--purge"}} {
		code, out, err := l.run(ctx, nil, args...)
		if err != nil {
			return errors.Join(err, remove())
		}
		if args[0] == "up" {
			l.saw("`up` ends with %d: `%s`", code, first(out))
		} else {
			l.saw("`%s` ends with %d and leaves it alone", strings.Join(args, " "), code)
		}
		if args[0] == "down" && code != 0 {
			return errors.Join(fmt.Errorf("%s ended with %d: %s", strings.Join(args, " "), code, tail(out)), remove())
		}
		if args[0] == "up" && (code != 1 || !strings.Contains(out, "did not make")) {
			return errors.Join(fmt.Errorf("up ended with %d: %s", code, tail(out)), remove())
		}
	}
	now, err := l.engine.ContainerInspect(ctx, made.ID)
	if err == nil && (now.State.Running || now.State.StartedAt != "0001-01-01T00:00:00Z") {
		err = errors.New("the foreign container was started")
	}
	return errors.Join(err, remove())
}

// moments are those of a step at which it is cut short.
var moments = []string{"during", "before", "after"}

// walked cuts one bring-up short again and again, so that each up goes on where the one
// before it ended, until nothing is left to cut. chance is how likely each moment of
// each step is where not every one is wanted.
func (l *lab) walked(ctx context.Context, how string, chance float64, cut func(step string, code int, out string) error) (int, error) {
	left := map[string][]string{}
	cuts := 0
	for {
		steps, err := l.plan(ctx)
		if err != nil {
			return cuts, err
		}
		at := ""
		for _, s := range steps {
			if _, known := left[s.Key]; !known {
				left[s.Key] = []string{}
				for _, m := range moments {
					if l.every || l.random.Float64() < chance {
						left[s.Key] = append(left[s.Key], m)
					}
				}
			}
			if moments := left[s.Key]; len(moments) > 0 && !strings.HasPrefix(s.Key, "stop/") {
				at, left[s.Key] = moments[0]+" "+s.Key, moments[1:]
				if moments[0] == "during" {
					at += fmt.Sprintf(" %dms", l.random.IntN(3000))
				}
				break
			}
		}
		if at == "" {
			return cuts, nil
		}
		l.note("  %s %s", how, at)
		code, out, err := l.run(ctx, []string{chaos.CutAt + "=" + at, chaos.CutHow + "=" + how}, l.ups()...)
		if err != nil {
			return cuts, err
		}
		if code == 0 { // it was faster than the cut
			l.note("  it was over before")
		} else {
			cuts++
		}
		if err := cut(at, code, out); err != nil {
			return cuts, fmt.Errorf("%s %s: %w", how, at, err)
		}
	}
}

// killAtSteps kills the runner at moments of steps.
func killAtSteps(ctx context.Context, l *lab) error {
	n, err := l.walked(ctx, "kill", 0.25, func(_ string, code int, out string) error {
		switch {
		case code == 0:
		case code != 1 || !strings.Contains(out, "went away"):
			return fmt.Errorf("up ended with %d: %s", code, tail(out))
		}
		return l.killRunner(ctx) // one whose moment is still to come
	})
	l.saw("%d times in one bring-up, each up went on where the one before it was killed", n)
	return err
}

// interruptAtSteps types Ctrl-C at moments of steps.
func interruptAtSteps(ctx context.Context, l *lab) error {
	n, err := l.walked(ctx, "interrupt", 0.08, func(_ string, code int, out string) error {
		if code != 0 && code != 130 {
			return fmt.Errorf("up ended with %d: %s", code, tail(out))
		}
		return nil
	})
	l.saw("%d times in one bring-up; each ended with 130 and stopped what it had started", n)
	return err
}

// broker picks one of the pods of the brokers.
func (l *lab) broker(ctx context.Context) (*corev1.Pod, error) {
	client, err := l.kube()
	if err != nil {
		return nil, err
	}
	pods, err := client.Clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "strimzi.io/cluster,strimzi.io/name"})
	if err != nil {
		return nil, err
	}
	if len(pods.Items) == 0 {
		return nil, errors.New("there is no pod of a broker")
	}
	return &pods.Items[l.random.IntN(len(pods.Items))], nil
}

// brokerKilled ends a broker's pod without a grace.
func brokerKilled(ctx context.Context, l *lab) error {
	pod, err := l.broker(ctx)
	if err != nil {
		return err
	}
	client, err := l.kube()
	if err != nil {
		return err
	}
	now := int64(0)
	if err := client.Clientset.CoreV1().Pods(namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	began := time.Now()
	if err := l.acknowledged(ctx); err != nil {
		return err
	}
	l.saw("%s on %s; %d more alerts acknowledged %.1f s later", pod.Name, pod.Spec.NodeName, few, time.Since(began).Seconds())
	return nil
}

// nodeStopped stops the node of a broker, as its host would.
func nodeStopped(ctx context.Context, l *lab) error {
	pod, err := l.broker(ctx)
	if err != nil {
		return err
	}
	nodes, err := l.nodes(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(nodes, func(c container.Summary) bool { return nodeName(c) == pod.Spec.NodeName })
	if i < 0 {
		return fmt.Errorf("no container is the node %s", pod.Spec.NodeName)
	}
	grace := 20 // seconds
	if err := l.engine.ContainerStop(ctx, nodes[i].ID, container.StopOptions{Timeout: &grace}); err != nil {
		return err
	}
	began := time.Now()
	if err := l.acknowledged(ctx); err != nil {
		return err
	}
	steps, err := l.plan(ctx)
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		return errors.New("a node is stopped, and the plan has no step")
	}
	l.saw("%s with %s; %d more alerts acknowledged %.1f s later; plan: %s %s because %s", pod.Spec.NodeName, pod.Name, few, time.Since(began).Seconds(), steps[0].Action, steps[0].Key, steps[0].Cause)
	return nil
}

// runnerKilled leaves a lab without an owner.
func runnerKilled(ctx context.Context, l *lab) error {
	if err := l.killRunner(ctx); err != nil {
		return err
	}
	if err := l.acknowledged(ctx); err != nil {
		return err
	}
	steps, err := l.plan(ctx)
	if err != nil {
		return err
	}
	if len(steps) > 0 {
		return fmt.Errorf("the lab runs on, and the plan has steps: %v", steps)
	}
	l.saw("the lab runs on, nothing is to be done")
	return nil
}

// interruptHealing types Ctrl-C at an up of a lab that runs and lost its runner.
func interruptHealing(ctx context.Context, l *lab) error {
	if err := l.killRunner(ctx); err != nil {
		return err
	}
	code, out, err := l.run(ctx, []string{chaos.CutAt + "=during simulator", chaos.CutHow + "=interrupt"}, l.ups("--set", "simulator.interval=6s")...)
	if err != nil {
		return err
	}
	if code != 130 && code != 0 {
		return fmt.Errorf("up ended with %d: %s", code, tail(out))
	}
	if err := l.acknowledged(ctx); err != nil {
		return fmt.Errorf("the lab that others use was stopped: %w", err)
	}
	l.saw("exit code %d, others go on publishing", code)
	return nil
}

// passwordChanged gives the ingester another password than the brokers know, and makes
// its pod anew so that it notices.
func passwordChanged(ctx context.Context, l *lab) error {
	client, err := l.kube()
	if err != nil {
		return err
	}
	const secret = "alert-stream-broker-secrets"
	before, err := client.Clientset.CoreV1().Secrets(namespace).Get(ctx, secret, metav1.GetOptions{})
	if err != nil {
		return err
	}
	// Whatever user the ingester has: that of a service, or the superuser.
	data := map[string]any{}
	for key := range before.Data {
		if strings.HasSuffix(key, "-password") && key != "kafka-nodes-password" {
			data[key] = "b3RoZXI="
		}
	}
	if _, err := client.Clientset.CoreV1().Secrets(namespace).Patch(ctx, secret, types.MergePatchType, asJSON(map[string]any{"data": data}), metav1.PatchOptions{}); err != nil {
		return err
	}
	selector := metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=alert-database-ingester"}
	if err := client.Clientset.CoreV1().Pods(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, selector); err != nil {
		return err
	}
	steps, err := l.plan(ctx)
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		return errors.New("the Secret is another one, and the plan has no step")
	}
	l.saw("%d passwords, and the ingester started with the wrong one; plan: %s %s because %.120s", len(data), steps[0].Action, steps[0].Key, steps[0].Cause)
	return nil
}

// chartChanged upgrades a release with other values, as somebody with helm would.
func chartChanged(ctx context.Context, l *lab) error {
	client, err := l.kube()
	if err != nil {
		return err
	}
	chart, values, err := helm.Current(client, "simulator", namespace)
	if err != nil {
		return err
	}
	if chart == nil {
		return errSkip{"no release of Helm: another deployer"}
	}
	values["resources"] = map[string]any{"requests": map[string]any{"cpu": "33m"}}
	if err := helm.Install(ctx, client, helm.Release{Name: "simulator", Namespace: namespace, Chart: chart, Values: values}); err != nil {
		return err
	}
	steps, err := l.plan(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(steps, func(s step) bool { return s.Key == "simulator" })
	if i < 0 {
		return fmt.Errorf("a release was upgraded by hand, and the plan does not change it: %v", steps)
	}
	l.saw("release simulator with other resources; plan: %s %s because %s", steps[i].Action, steps[i].Key, steps[i].Cause)
	return nil
}

// objectDeleted deletes the alert database's Service.
func objectDeleted(ctx context.Context, l *lab) error {
	client, err := l.kube()
	if err != nil {
		return err
	}
	services := client.Clientset.CoreV1().Services(namespace)
	list, err := services.List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=alert-database-server"})
	if err != nil {
		return err
	}
	if len(list.Items) == 0 {
		return errSkip{"the alert database has no Service of its own"}
	}
	if err := services.Delete(ctx, list.Items[0].Name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	steps, err := l.plan(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(steps, func(s step) bool { return s.Key == "alert-database-server" })
	if i < 0 {
		return fmt.Errorf("the Service %s was deleted by hand, and the plan does not make it: %v", list.Items[0].Name, steps)
	}
	l.saw("Service %s; plan: %s %s because %s", list.Items[0].Name, steps[i].Action, steps[i].Key, steps[i].Cause)
	return nil
}

// hostReboot ends every node and the runner at once, as a power cut would.
func hostReboot(ctx context.Context, l *lab) error {
	nodes, err := l.nodes(ctx)
	if err != nil {
		return err
	}
	for _, p := range l.runners() {
		p.Kill()
	}
	for _, n := range nodes {
		if err := l.engine.ContainerKill(ctx, n.ID, "SIGKILL"); err != nil {
			return err
		}
	}
	if err := l.eventually(ctx, "all nodes have ended", func() (bool, string, error) {
		for _, n := range nodes {
			now, err := l.engine.ContainerInspect(ctx, n.ID)
			if err != nil || now.State.Running {
				return false, nodeName(n), err
			}
		}
		return true, "", nil
	}); err != nil {
		return err
	}
	l.saw("%d nodes and the runner; the engine itself runs on, since others use it", len(nodes))
	return nil
}

// server is the node that holds the API server.
func (l *lab) server(ctx context.Context) (container.Summary, error) {
	client, err := l.kube()
	if err != nil {
		return container.Summary{}, err
	}
	list, err := client.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "node-role.kubernetes.io/control-plane"})
	if err != nil {
		return container.Summary{}, err
	}
	nodes, err := l.nodes(ctx)
	if err != nil {
		return container.Summary{}, err
	}
	for _, n := range nodes {
		if len(list.Items) > 0 && nodeName(n) == list.Items[0].Name {
			return n, nil
		}
	}
	return container.Summary{}, errors.New("no node holds the API server")
}

// gone is how long the API server is.
const gone = time.Minute

// apiGone pauses the server while an up changes a lab that runs.
func apiGone(ctx context.Context, l *lab) error {
	return l.paused(ctx, "simulator", "--set", "simulator.interval=7s")
}

// apiGoneFresh pauses the server while an up from nothing waits for the brokers.
func apiGoneFresh(ctx context.Context, l *lab) error { return l.paused(ctx, "kafka") }

func (l *lab) paused(ctx context.Context, at string, more ...string) error {
	since := time.Now()
	up, err := l.begin(ctx, nil, more...)
	if err != nil {
		return err
	}
	if err := l.begun(ctx, up, at, since); err != nil {
		return err
	}
	server, err := l.server(ctx)
	if err != nil {
		return err
	}
	if err := l.engine.ContainerPause(ctx, server.ID); err != nil {
		return err
	}
	timer := time.NewTimer(gone)
	defer timer.Stop()
	began, during := time.Now(), ""
	select {
	case <-timer.C:
	case <-up.ended:
		during = fmt.Sprintf(", %.0f s after the server was gone", time.Since(began).Seconds())
	case <-ctx.Done():
	}
	if during != "" {
		<-timer.C // gone for the whole minute all the same
	}
	if err := l.engine.ContainerUnpause(context.WithoutCancel(ctx), server.ID); err != nil {
		return err
	}
	code, out, err := up.end(ctx)
	if err != nil {
		return err
	}
	switch code {
	case 0:
		l.saw("paused as step %s began; this up itself ended with 0 after all", at)
	case 1:
		l.saw("paused as step %s began; this up ended with 1%s: `%s`", at, during, first(out))
	default:
		return fmt.Errorf("up ended with %d: %s", code, tail(out))
	}
	return nil
}

// killDown kills the runner while it takes the lab down.
func killDown(ctx context.Context, l *lab) error {
	l.lives = false
	down := l.command(ctx, nil, "down", "--progress", "plain")
	if err := down.Start(); err != nil {
		return err
	}
	delay := time.NewTimer(time.Duration(500+l.random.IntN(4000)) * time.Millisecond)
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := l.killRunner(ctx); err != nil {
		return err
	}
	_ = down.Wait() // it ends as it may
	before := down.ProcessState.ExitCode()
	if _, err := l.must(ctx, "down", "--progress", "plain"); err != nil {
		return err
	}
	nodes, err := l.engine.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if strings.Contains(nodeName(n), "alertlab-"+l.name+"-") {
			return fmt.Errorf("after down %s still runs", nodeName(n))
		}
	}
	l.saw("the down that lost its runner ended with %d, the next one with 0, and no node runs", before)
	return nil
}

// downDuringUp takes the lab down while it comes up.
func downDuringUp(ctx context.Context, l *lab) error { return l.downAt(ctx, "down") }

// purgeDuringUp deletes it then.
func purgeDuringUp(ctx context.Context, l *lab) error {
	if err := l.downAt(ctx, "down", "--purge", "--verify"); err != nil {
		return err
	}
	if l.there() {
		return errors.New("the lab's directory is still there")
	}
	return nil
}

func (l *lab) downAt(ctx context.Context, words ...string) error {
	steps, err := l.plan(ctx)
	if err != nil {
		return err
	}
	at := steps[l.random.IntN(len(steps))].Key
	since := time.Now()
	up, err := l.begin(ctx, nil)
	if err != nil {
		return err
	}
	if err := l.begun(ctx, up, at, since); err != nil {
		return err
	}
	began := time.Now()
	out, err := l.must(ctx, words...)
	if err != nil {
		return err
	}
	took := time.Since(began)
	code, said, err := up.end(ctx)
	if err != nil {
		return err
	}
	if code != 130 && code != 0 {
		return fmt.Errorf("the up that was taken down ended with %d: %s", code, tail(said))
	}
	l.saw("as step %s began: down ended with 0 after %.1f s, the up with %d; last words: %s", at, took.Seconds(), code, tail(out))
	return nil
}
