package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	docker "github.com/docker/docker/client"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/internal/chaos"
	"github.com/alertlab/alertlab/internal/chaos/witness"
	"github.com/alertlab/alertlab/internal/kube"
)

const (
	// patience bounds every wait for something that must come. It is no expectation of
	// how long that takes: the machine may have much else to do.
	patience = 6 * time.Minute
	// namespace is the application's at every site.
	namespace = "alert-stream-broker"
	// few alerts have to be acknowledged before and after a fault.
	few = 20
)

// lab is the lab that is broken: one at a time.
type lab struct {
	binary, name, work string
	up                 []string // flags that make it
	engine             *docker.Client
	say                io.Writer
	every              bool
	random             *rand.Rand

	lives     bool     // it is up, and healthy as far as is known
	shape     string   // of the lab that lives, as a fault asks for it
	shaped    []string // flags of up that give it this shape
	inventory []string // of the first healthy lab of that shape

	asks     *kadm.Client
	client   *kgo.Client
	producer *witness.Producer
	sends    *kgo.Client

	seen []string // of the fault that is met
}

// note says what happens now, for who waits.
func (l *lab) note(format string, args ...any) {
	fmt.Fprintf(l.say, "%s "+format+"\n", append([]any{time.Now().UTC().Format("15:04:05")}, args...)...)
}

// saw adds to what a fault showed.
func (l *lab) saw(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.note("  %s", text)
	l.seen = append(l.seen, text)
}

func (l *lab) state() string { return filepath.Join(l.work, "state") }
func (l *lab) dir() string   { return filepath.Join(l.state(), "labs", l.name) }

// command is a verb of the program. Of the user's environment it gets what names the
// engine, the bundle and the images.
func (l *lab) command(ctx context.Context, environ []string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, l.binary, args...)
	c.Env = append(os.Environ(), "ALERTLAB_STATE_DIR="+l.state(), "ALERTLAB_LAB="+l.name)
	c.Env = append(c.Env, environ...)
	// In a process group of its own, so that Ctrl-C reaches it once, from us.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGINT) }
	c.WaitDelay = 3 * time.Minute
	return c
}

// run runs a verb to its end, and gives its exit code and what it said, both streams.
func (l *lab) run(ctx context.Context, environ []string, args ...string) (int, string, error) {
	c := l.command(ctx, environ, args...)
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, "", fmt.Errorf("alertlab %s: %w", strings.Join(args, " "), err)
	}
	return c.ProcessState.ExitCode(), string(out), nil
}

// must runs a verb that has to end with 0.
func (l *lab) must(ctx context.Context, args ...string) (string, error) {
	code, out, err := l.run(ctx, nil, args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("alertlab %s ended with %d: %s", strings.Join(args, " "), code, tail(out))
	}
	return out, err
}

// ups are the words of an up of this lab.
func (l *lab) ups(more ...string) []string {
	return slices.Concat([]string{"up", "--progress", "plain"}, l.up, l.shaped, more)
}

// tail are the last lines that a command said.
func tail(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.Join(lines[max(0, len(lines)-4):], " / ")
}

// purge deletes the lab, whatever is left of it.
func (l *lab) purge(ctx context.Context) error {
	l.disconnect()
	l.lives = false
	_, err := l.must(ctx, "down", "--purge", "--verify", "--progress", "plain")
	return err
}

// runners are the processes that own the lab.
func (l *lab) runners() []chaos.Process { return chaos.Running(l.state(), "runner") }

// killRunner ends whatever owns the lab, as a crash would.
func (l *lab) killRunner(ctx context.Context) error {
	return l.eventually(ctx, "no runner lives", func() (bool, string, error) {
		all := l.runners()
		for _, p := range all {
			p.Kill()
		}
		return len(all) == 0, fmt.Sprint(all), nil
	})
}

// eventually looks until it is so, within patience.
func (l *lab) eventually(ctx context.Context, what string, look func() (bool, string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, seen, err := look()
		if yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("never: %s; seen last: %s", what, seen)
		case <-tick.C:
		}
	}
}

// step is one step of a plan.
type step struct{ Key, Action, Cause string }

// plan gives the steps of an up.
func (l *lab) plan(ctx context.Context) ([]step, error) {
	c := l.command(ctx, nil, slices.Concat([]string{"plan", "-o", "json"}, l.up, l.shaped)...)
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("the plan: %w", err)
	}
	var p struct{ Steps []step }
	return p.Steps, json.Unmarshal(out, &p)
}

// kube is the lab's cluster.
func (l *lab) kube() (*kube.Client, error) {
	kubeconfig, err := os.ReadFile(filepath.Join(l.dir(), "kubeconfig"))
	if err != nil {
		return nil, err
	}
	return kube.New(kubeconfig)
}

// nodes gives the containers that are the lab's nodes, by name, stopped ones too: they
// carry the lab's label, and are called as their nodes are.
func (l *lab) nodes(ctx context.Context) ([]container.Summary, error) {
	client, err := l.kube()
	if err != nil {
		return nil, err
	}
	list, err := client.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	all, err := l.engine.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return nil, err
	}
	var out []container.Summary
	for _, n := range list.Items {
		for _, c := range all {
			if slices.Contains(c.Names, "/"+n.Name) {
				out = append(out, c)
			}
		}
	}
	if len(out) == 0 || len(out) != len(list.Items) {
		return nil, fmt.Errorf("%d nodes have %d containers", len(list.Items), len(out))
	}
	return out, nil
}

func nodeName(c container.Summary) string { return strings.TrimPrefix(c.Names[0], "/") }

func (l *lab) card() (endpoints.Endpoints, error) {
	var card endpoints.Endpoints
	text, err := os.ReadFile(filepath.Join(l.dir(), "endpoints.json"))
	if err == nil {
		err = json.Unmarshal(text, &card)
	}
	return card, err
}

// connect logs in as the superuser, as anybody outside would.
func (l *lab) connect(ctx context.Context, more ...kgo.Opt) (*kgo.Client, error) {
	out, err := l.command(ctx, nil, "env", "-o", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("the environment: %w", err)
	}
	var env map[string]string
	if err := json.Unmarshal(out, &env); err != nil {
		return nil, err
	}
	login, err := kafka.FromEnviron(func(name string) string { return env[name] }, "")
	if err != nil {
		return nil, err
	}
	return kafka.NewClient(login, more...)
}

// admin is one client for questions, which lives on while brokers die and come back.
func (l *lab) admin(ctx context.Context) (*kadm.Client, error) {
	if l.asks == nil {
		client, err := l.connect(ctx)
		if err != nil {
			return nil, err
		}
		l.client, l.asks = client, kadm.NewClient(client)
	}
	return l.asks, nil
}

func (l *lab) disconnect() {
	for _, c := range []*kgo.Client{l.client, l.sends} {
		if c != nil {
			c.Close()
		}
	}
	l.client, l.asks, l.sends, l.producer = nil, nil, nil, nil
}

// publish begins to publish from outside.
func (l *lab) publish(ctx context.Context) error {
	card, err := l.card()
	if err != nil {
		return err
	}
	if l.sends, err = l.connect(ctx, witness.Options()...); err != nil {
		return err
	}
	const partitions = 3 // of every profile's topic at least
	l.producer = witness.Produce(ctx, l.sends, witness.Load{Topic: card.Simulator.Topic, Partitions: partitions, Every: 100 * time.Millisecond, Bytes: 20_000, Seed: l.random.Uint64()})
	return l.acknowledged(ctx)
}

// acknowledged waits until some more alerts of the producer are.
func (l *lab) acknowledged(ctx context.Context) error {
	before := len(l.producer.Acknowledged())
	return l.eventually(ctx, "alerts are acknowledged", func() (bool, string, error) {
		now := len(l.producer.Acknowledged())
		return now >= before+few, fmt.Sprintf("%d of %d", now-before, few), nil
	})
}

// proven ends the producer and looks for every alert that was acknowledged.
func (l *lab) proven(ctx context.Context) (string, error) {
	if l.producer == nil {
		return "", nil
	}
	if err := l.acknowledged(ctx); err != nil {
		return "", err
	}
	bound, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	acked, err := l.producer.Stop(bound)
	if err != nil {
		return "", err
	}
	given := 0
	for _, n := range l.producer.GivenUp() {
		given += n
	}
	l.sends.Close()
	l.sends, l.producer = nil, nil
	card, err := l.card()
	if err != nil {
		return "", err
	}
	admin, err := l.admin(ctx)
	if err != nil {
		return "", err
	}
	reader, err := l.connect(ctx, kgo.ConsumeTopics(card.Simulator.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return "", err
	}
	defer reader.Close()
	lost, again, err := witness.InTopic(bound, admin, reader, card.Simulator.Topic, acked)
	if err != nil {
		return "", err
	}
	ends, err := admin.ListEndOffsets(bound, card.Simulator.Topic)
	if err != nil {
		return "", err
	}
	if err := l.eventually(ctx, "the ingester caught up", func() (bool, string, error) {
		behind, err := witness.Behind(ctx, admin, archive.DefaultGroup, ends)
		if err != nil {
			return false, err.Error(), nil // its coordinator may just have moved
		}
		return behind == "", behind, nil
	}); err != nil {
		return "", err
	}
	lost = append(lost, witness.Archived(bound, card.AlertDB.URL, acked)...)
	if len(lost) > 0 {
		return "", fmt.Errorf("%d of %d acknowledged alerts are not where they should be: %s", len(lost), len(acked), strings.Join(lost[:min(3, len(lost))], "; "))
	}
	text := fmt.Sprintf("%d acknowledged alerts, 0 lost", len(acked))
	if again > 0 {
		text += fmt.Sprintf(", %d more than once", again)
	}
	if given > 0 {
		text += fmt.Sprintf(", %d never acknowledged", given)
	}
	return text, nil
}

// objects lists what the lab is made of on its cluster and in its brokers. Names that a
// controller draws are left out.
func (l *lab) objects(ctx context.Context) ([]string, error) {
	client, err := l.kube()
	if err != nil {
		return nil, err
	}
	card, err := l.card()
	if err != nil {
		return nil, err
	}
	admin, err := l.admin(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	if out, err = witness.Inventory(ctx, admin, card); err != nil {
		return nil, err
	}
	nodes, err := l.nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		out = append(out, "node "+nodeName(n))
	}
	all := metav1.ListOptions{}
	core, apps := client.Clientset.CoreV1(), client.Clientset.AppsV1()
	deployments, err := apps.Deployments(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, o := range deployments.Items {
		out = append(out, fmt.Sprintf("deployment %s of %d", o.Name, *o.Spec.Replicas))
	}
	sets, err := apps.StatefulSets(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, o := range sets.Items {
		out = append(out, fmt.Sprintf("stateful set %s of %d", o.Name, *o.Spec.Replicas))
	}
	services, err := core.Services(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, o := range services.Items {
		out = append(out, "service "+o.Name)
	}
	claims, err := core.PersistentVolumeClaims(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, o := range claims.Items {
		out = append(out, "claim "+o.Name)
	}
	secrets, err := core.Secrets(namespace).List(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, o := range secrets.Items {
		name := o.Name
		if o.Type == "helm.sh/release.v1" { // of which each change writes one
			name = "of the release " + o.Labels["name"]
		}
		out = append(out, "secret "+name)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// healthy proves that the lab is as one that nothing happened to.
func (l *lab) healthy(ctx context.Context) error {
	steps, err := l.plan(ctx)
	if err != nil {
		return err
	}
	if len(steps) > 0 {
		return fmt.Errorf("after up the plan still has steps: %v", steps)
	}
	if n := len(l.runners()); n != 1 {
		return fmt.Errorf("%d runners own the lab", n)
	}
	code, out, err := l.run(ctx, nil, "smoke", "--timeout", "180s")
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("smoke ended with %d: %s", code, failedChecks(out))
	}
	bound, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	now, err := l.objects(bound)
	if err != nil {
		return err
	}
	if l.inventory == nil {
		l.inventory = now
	}
	if more, less := without(now, l.inventory), without(l.inventory, now); len(more)+len(less) > 0 {
		return fmt.Errorf("not as an undisturbed lab; more: %s; less: %s", strings.Join(more, ", "), strings.Join(less, ", "))
	}
	return nil
}

// failedChecks are the lines of smoke's table that are marked as failed, or its last
// lines where there is none.
func failedChecks(out string) string {
	var failed []string
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "✗") {
			failed = append(failed, line)
		}
	}
	if len(failed) == 0 {
		return tail(out)
	}
	return strings.Join(failed, " / ")
}

// without gives what of a is not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// there says whether anything of the lab is on this machine.
func (l *lab) there() bool {
	_, err := os.Stat(l.dir())
	return !errors.Is(err, fs.ErrNotExist)
}

// cutting is an up that is under way.
type cutting struct {
	cmd   *exec.Cmd
	out   bytes.Buffer
	ended chan struct{}
}

// begin begins an up and returns at once.
func (l *lab) begin(ctx context.Context, environ []string, more ...string) (*cutting, error) {
	c := &cutting{cmd: l.command(ctx, environ, l.ups(more...)...), ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = c.cmd.Wait() // its exit code says how it went
		close(c.ended)
	}()
	return c, nil
}

// end waits for the end, and gives the exit code.
func (c *cutting) end(ctx context.Context) (int, string, error) {
	select {
	case <-c.ended:
		return c.cmd.ProcessState.ExitCode(), c.out.String(), nil
	case <-ctx.Done():
		return 0, "", ctx.Err()
	}
}

// steps are the states of steps in the journal since a time.
type steps struct{ begun, done map[string]time.Time }

// journal reads what began and what ended since a time.
func (l *lab) journal(since time.Time) steps {
	s := steps{map[string]time.Time{}, map[string]time.Time{}}
	text, err := os.ReadFile(filepath.Join(l.dir(), "journal.jsonl"))
	if err != nil {
		return s // not begun yet
	}
	for line := range bytes.Lines(text) {
		var e struct {
			Time  time.Time
			Step  string
			Begun bool
		}
		if json.Unmarshal(line, &e) != nil || e.Time.Before(since) {
			continue // the last line may be half written
		}
		if e.Begun {
			s.begun[e.Step] = e.Time
		} else {
			s.done[e.Step] = e.Time
		}
	}
	return s
}

// begun waits until an up has begun a step.
func (l *lab) begun(ctx context.Context, c *cutting, name string, since time.Time) error {
	return l.eventually(ctx, "step "+name+" began", func() (bool, string, error) {
		select {
		case <-c.ended:
			return false, "", fmt.Errorf("up ended with %d before it began %s: %s", c.cmd.ProcessState.ExitCode(), name, tail(c.out.String()))
		default:
		}
		s := l.journal(since)
		_, yes := s.begun[name]
		return yes, fmt.Sprintf("%d steps began", len(s.begun)), nil
	})
}

// asJSON is v as a patch.
func asJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings always can
	}
	return b
}
