package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alertlab/alertlab/component/kafka"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
)

// lab is the product itself, as a user types it, on the rig's engine and images.
type lab struct {
	*testing.T
	ctx    context.Context
	binary string
	env    []string
	// journal is the file in which each finished step is a line.
	journal string
}

// run runs a verb and gives what it said, both streams. The test fails when its exit
// code is another one than wanted.
func (l *lab) run(code int, args ...string) string {
	l.Helper()
	out, got := l.try(args...)
	if got != code {
		l.Fatalf("alertlab %s: exit code %d, not %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return out
}

// try runs a verb and gives what it said, both streams, and its exit code.
func (l *lab) try(args ...string) (said string, code int) {
	l.Helper()
	cmd := exec.CommandContext(l.ctx, l.binary, args...)
	cmd.Env = l.env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.Fatalf("alertlab %s: %v", strings.Join(args, " "), err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// smoke runs the checks and gives what they said. A machine that is busy with something
// else starts a visit late: where that alone is not as it should be, it is looked at again.
func (l *lab) smoke(what string) string {
	l.Helper()
	begun := time.Now()
	said, code := l.try("smoke")
	for again := 0; code == int(fault.SmokeFailed) && again < 3 && strings.Count(said, "✗ ") == 1 && strings.Contains(said, "check:    visit-cadence\n"); again++ {
		l.Logf("%s: a visit was late", what)
		if _, code = l.try("smoke", "--only", "visit-cadence"); code == 0 {
			break
		}
	}
	if code != 0 {
		l.Fatalf("alertlab smoke: exit code %d\n%s", code, said)
	}
	l.Logf("%s: %.1f s", what, time.Since(begun).Seconds())
	return said
}

// timed logs how long a verb took.
func (l *lab) timed(what string, args ...string) string {
	l.Helper()
	begun := time.Now()
	out := l.run(0, args...)
	l.Logf("%s: %.1f s", what, time.Since(begun).Seconds())
	return out
}

// TestLab is a lab of the profile ci on k3d through its life: brought up from the
// bundle alone though it is interrupted and killed on the way, proven by smoke, healed
// after its broker was killed and after its runner was, stopped and started, deleted
// without a trace. On the way it gets an ingress by Traefik.
func TestLab(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	l, state := newLab(t, ctx, "e2e", append(onK3d(t), "ALERTLAB_PROFILE=ci")...)

	plan := l.run(0, "plan")
	if !strings.Contains(plan, "create kafka (apache-kafka)") {
		t.Errorf("plan:\n%s", plan)
	}
	// Interrupted, up stops what it started and keeps it; killed, it leaves everything
	// as it is at that moment. The next one goes on either way.
	begun := time.Now()
	if code := l.cutShort("images", func(up *os.Process) { l.must(up.Signal(syscall.SIGINT)) }); code != 130 {
		t.Errorf("an interrupted up ended with %d", code)
	}
	if plan := l.run(0, "plan"); !strings.Contains(plan, "start  cluster (k3d)") {
		t.Errorf("plan after an interruption:\n%s", plan)
	}
	steps := []string{"credentials", "storage-classes", "object-store", "kafka", "kafka-topics", "schema-registry"}
	step := steps[rand.IntN(len(steps))]
	if code := l.cutShort(step, func(*os.Process) { l.killRunner() }); code != 1 {
		t.Errorf("up whose runner was killed after %s ended with %d", step, code)
	}
	up := l.timed("up after it was interrupted, and killed after "+step, "up", "--progress", "plain")
	t.Logf("up at last after %.1f s:\n%s", time.Since(begun).Seconds(), up)
	l.smoke("smoke")
	if again := l.timed("up with nothing to do", "up", "--progress", "plain"); !strings.Contains(again, "nothing to do") {
		t.Errorf("the second up did something:\n%s", again)
	}

	// The user's own kubeconfig is not touched; the lab's is enough for a client.
	path := strings.TrimSpace(l.run(0, "kubeconfig", "--path"))
	kubeconfig, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kube.New(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	l.validate(client, plain)
	l.byOwnCertificate(client)
	// It gets an ingress while it runs, and keeps it.
	l.timed("up with an ingress", "up", "--ingress", "traefik")
	l.hosts()
	if refused := l.run(2, "up", "--ingress", "nginx"); !strings.Contains(refused, "lab e2e has the ingress traefik and cannot change to nginx") {
		t.Errorf("up with another ingress:\n%s", refused)
	}
	// A broker is killed: Kubernetes starts it again, and up waits until it answers.
	if said := l.run(0, "broker", "kill", "0"); !strings.Contains(said, "broker 0 at ") || !strings.HasSuffix(said, " is killed\n") {
		t.Errorf("broker kill: %s", said)
	}
	l.timed("up after a killed broker", "up")
	// The visit that was due meanwhile was late, as it should be.
	l.timed("smoke after a killed broker", "smoke", "--skip", "visit-cadence")

	l.pauses()

	// The runner is killed: the lab runs on, and up owns it again.
	l.killRunner()
	if plan := l.run(0, "plan"); !strings.Contains(plan, "nothing to do") {
		t.Errorf("plan without a runner:\n%s", plan)
	}
	l.timed("up after a killed runner", "up")

	l.timed("down", "down")
	plan = l.run(0, "plan")
	if !strings.Contains(plan, "start  cluster (k3d)") {
		t.Errorf("plan of a stopped lab:\n%s", plan)
	}
	l.timed("up after down", "up")
	l.smoke("smoke after down and up")
	l.hosts()
	gone := l.timed("down --purge --verify", "down", "--purge", "--verify")
	if !strings.Contains(gone, "nothing of lab e2e is left") {
		t.Errorf("after the purge:\n%s", gone)
	}
	if left, err := os.ReadDir(state); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the state directory is still there: %v, %v", left, err)
	}
}

// TestEncryptedLab is a lab of the profile idfint with small visits: addresses by
// MetalLB, an encrypted listener by cert-manager, tokens for the alert database. Its
// addresses are the same after it was stopped.
func TestEncryptedLab(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Minute)
	defer cancel()
	l, _ := newLab(t, ctx, "e2etls", onK3d(t)...)
	// The bundle has the version of Kafka that labs were tried with.
	text := l.run(0, "profile", "show", "idfint")
	file := filepath.Join(t.TempDir(), "idfint.yaml")
	l.must(os.WriteFile(file, []byte(strings.Replace(text, "version: \"4.2.0\"", "version: \""+kafka.Tested+"\"", 1)), 0o600))
	l.timed("up", "up", "--progress", "plain", "--profile", file, "--stack", "alerts-light", "--set", "simulator.alerts=50", "--set", "simulator.interval=10s")
	smoked := l.smoke("smoke")
	for _, check := range []string{"every broker answers at its own address", "the alert database refuses who has no token"} {
		if !strings.Contains(smoked, "✓ "+check) {
			t.Errorf("smoke:\n%s", smoked)
		}
	}
	path := strings.TrimSpace(l.run(0, "kubeconfig", "--path"))
	kubeconfig, err := os.ReadFile(path)
	l.must(err)
	client, err := kube.New(kubeconfig)
	l.must(err)
	l.validate(client, holds(groupMetalLB, groupCertManager))

	// Another token has the server made anew, and no broker.
	before := l.run(0, "hosts", "-o", "json")
	l.timed("token add", "token", "add", "visitor")
	l.timed("down", "down")
	l.timed("up after down", "up")
	if after := l.run(0, "hosts", "-o", "json"); after != before {
		t.Errorf("addresses before and after:\n%s\n%s", before, after)
	}
	l.smoke("smoke after down and up")
	gone := l.timed("down --purge --verify", "down", "--purge", "--verify")
	if !strings.Contains(gone, "nothing of lab e2etls is left") {
		t.Errorf("after the purge:\n%s", gone)
	}
}

// hosts asks for every host of the lab's ingress.
func (l *lab) hosts() {
	l.Helper()
	if said := l.timed("smoke of the ingress", "smoke", "--only", "ingress-hosts"); !strings.Contains(said, "1 passed, 0 failed") {
		l.Errorf("smoke of the ingress:\n%s", said)
	}
}

// pauses lets the simulator pause and play again: no plan calls that a difference.
func (l *lab) pauses() {
	l.Helper()
	for _, step := range []struct{ verb, said, status string }{
		{"pause", "the simulator of lab e2e: paused", "paused since: "},
		{"pause", "the simulator of lab e2e: paused already, since ", "paused since: "},
		{"resume", "the simulator of lab e2e: plays again, after a pause of ", "next visit: "},
	} {
		if said := l.run(0, "simulator", step.verb); !strings.HasPrefix(said, step.said) {
			l.Errorf("simulator %s: %s", step.verb, said)
		}
		if plan := l.run(0, "plan"); !strings.Contains(plan, "nothing to do") {
			l.Errorf("plan after simulator %s:\n%s", step.verb, plan)
		}
		if status := l.run(0, "status"); !strings.Contains(status, step.status) {
			l.Errorf("status after simulator %s:\n%s", step.verb, status)
		}
	}
}

// newLab builds the product, and gives it a state directory, which is returned too, and a
// lab of its own, which is taken away when the test ends.
func newLab(t *testing.T, ctx context.Context, name string, env ...string) (*lab, string) {
	t.Helper()
	state := t.TempDir()
	l := &lab{T: t, ctx: ctx, journal: filepath.Join(state, "labs", name, "journal.jsonl"), binary: filepath.Join(t.TempDir(), "alertlab"),
		env: append(append(os.Environ(), "ALERTLAB_STATE_DIR="+state, "ALERTLAB_LAB="+name), env...)}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", l.binary, "github.com/alertlab/alertlab")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		// What a failed test left; after a good one there is nothing.
		cmd := exec.Command(l.binary, "down", "--purge")
		cmd.Env = l.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("taking the lab away: %v\n%s", err, out)
		}
	})
	return l, state
}

// onK3d is the environment of a lab on k3d from the rig's bundle.
func onK3d(t *testing.T) []string {
	return []string{"ALERTLAB_PROVIDER=k3d", "ALERTLAB_BUNDLE=" + need(t, "ALERTLAB_RIG_BUNDLE"), "ALERTLAB_NODE_IMAGE=" + need(t, "ALERTLAB_RIG_NODE_IMAGE"),
		"K3D_IMAGE_TOOLS=" + need(t, "ALERTLAB_RIG_TOOLS_IMAGE")}
}

// API groups whose definitions come with a chart of others.
const (
	groupMetalLB     = "metallb.io"
	groupCertManager = "cert-manager.io"
	groupArgoCD      = "argoproj.io"
	groupStrimzi     = "kafka.strimzi.io"
	groupRegistry    = "roundtable.lsst.codes"
)

// holds says whether a render has kinds of one of the groups.
func holds(groups ...string) func(text []byte) bool {
	return func(text []byte) bool {
		return slices.ContainsFunc(groups, func(group string) bool { return bytes.Contains(text, []byte("apiVersion: "+group+"/")) })
	}
}

// plain says whether a render has Kubernetes' own kinds only.
func plain(text []byte) bool {
	return !holds(groupMetalLB, groupCertManager, groupArgoCD, groupStrimzi, groupRegistry)(text)
}

// validate asks the API server about every object that the golden renders hold, those
// of profiles that are too large for this machine too, in the files that are chosen.
func (l *lab) validate(client *kube.Client, chosen func(text []byte) bool) {
	l.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "lab", "catalog", "testdata", "*", "*.yaml"))
	l.must(err)
	if len(files) < 16 {
		l.Fatalf("there are %d renders", len(files))
	}
	asked := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		l.must(err)
		if !chosen(text) {
			continue
		}
		asked++
		// In another namespace: what runs cannot become another profile's.
		for _, namespace := range []string{"alert-stream-broker", "argocd"} {
			text = bytes.ReplaceAll(text, []byte("namespace: "+namespace), []byte("namespace: default"))
		}
		for _, err := range client.Validate(l.ctx, "default", text) {
			// The lab that runs has the node ports that another profile's would have.
			if !strings.Contains(err.Error(), "provided port is already allocated") {
				l.Errorf("%s: %v", filepath.Base(file), err)
			}
		}
	}
	if asked == 0 {
		l.Error("no render was asked about")
	}
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// cutShort begins an up and does something to it as soon as a step is done. It gives
// the exit code.
func (l *lab) cutShort(step string, do func(up *os.Process)) int {
	l.Helper()
	return l.cutShortWith(step, do)
}

// cutShortWith is cutShort of an up with more flags.
func (l *lab) cutShortWith(step string, do func(up *os.Process), flags ...string) int {
	l.Helper()
	cmd := exec.CommandContext(l.ctx, l.binary, append([]string{"up", "--progress", "plain"}, flags...)...)
	cmd.Env = l.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begun := time.Now()
	l.must(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case err := <-ended:
			l.Fatalf("up ended before %s was done: %v\n%s", step, err, out.String())
		case <-tick.C:
			done = l.finished(step, begun)
		}
	}
	do(cmd.Process)
	err := <-ended
	l.Logf("cut short after %s: %v\n%s", step, err, out.String())
	return cmd.ProcessState.ExitCode()
}

// finished says whether the journal has a step that was done after a time.
func (l *lab) finished(step string, after time.Time) bool {
	journal, err := os.ReadFile(l.journal)
	if err != nil {
		return false // not begun yet
	}
	for line := range bytes.Lines(journal) {
		var entry struct {
			Time time.Time
			Step string
		}
		// The last line may be half written.
		if json.Unmarshal(line, &entry) == nil && entry.Step == step && entry.Time.After(after) {
			return true
		}
	}
	return false
}

// killRunner ends the lab's runner as a crash would.
func (l *lab) killRunner() {
	l.Helper()
	var status struct {
		PID int `json:"pid"`
	}
	if text := l.run(0, "status", "-o", "json"); json.Unmarshal([]byte(text), &status) != nil || status.PID <= 1 {
		l.Fatalf("status names no process:\n%s", text)
	}
	if err := syscall.Kill(status.PID, syscall.SIGKILL); err != nil {
		l.Fatal(err)
	}
}
