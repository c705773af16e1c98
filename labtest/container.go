package labtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/nat"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/alertlab/alertlab/internal/ports"
	"github.com/alertlab/alertlab/lab/state"
)

// Container is a lab in a container. Terminate ends it and what its Lab gave.
type Container struct {
	*testcontainers.DockerContainer
	*Lab
}

// In the image a lab's directory lies here; no other user than the image's has it.
const (
	stateDir    = "/tmp/labs"
	profileFile = "/tmp/profile.yaml"
)

// services is how many ports a lab needs beside one for each broker: the bootstrap, the
// registry's front, the alert database and the object store.
const services = 4

// ownerLabel is on containers of processes that have no reaper to clean up after them:
// the process that made the container, HOST/PID.
const ownerLabel = "dev.alertlab.labtest"

// RunContainer runs a lab in a container of an image that holds alertlab, by
// testcontainers-go, and returns when it is up. Options are Profile and Set of this
// package and any of testcontainers' own; a wait strategy among them takes the place of
// ours. What is not reached from outside a container is not on the lab's card: the
// registry is the read-only one, and no broker can be killed.
//
// Clients must reach every broker at the address that it announces, so that the ports
// are chosen first: as many in a row as are free on this machine, published at the same
// numbers, and advertised by the lab. Where the engine is on another machine they are
// published at all of its addresses, under the name by which testcontainers knows it.
//
// The caller terminates the container, for instance by testcontainers.CleanupContainer.
// What a killed process leaves is removed by testcontainers' reaper. Where no image of
// that can be had it is switched off, and RunContainer itself removes what processes
// that are gone have left, before it begins.
//
// Errors say what the lab wrote last.
func RunContainer(ctx context.Context, img string, options ...testcontainers.ContainerCustomizer) (*Container, error) {
	var own []Option
	for _, o := range options {
		if o, ok := o.(Option); ok {
			own = append(own, o)
		}
	}
	s := settingsOf(own)
	p, err := s.load()
	if err != nil {
		return nil, fmt.Errorf("labtest: %w", err)
	}
	reaped, err := reaper(ctx)
	if err != nil {
		return nil, fmt.Errorf("labtest: %w", err)
	}
	host, err := engineHost(ctx)
	if err != nil {
		return nil, fmt.Errorf("labtest: %w", err)
	}
	taken, err := reserve(ctx, host, services+p.Kafka.Brokers.Count)
	if err != nil {
		return nil, fmt.Errorf("labtest: %w", err)
	}
	defer taken.release()
	base := []testcontainers.ContainerCustomizer{
		testcontainers.WithCmd("up", "--foreground", "--output", "json", "--progress", "plain", "--profile", profileFile, "--advertise", net.JoinHostPort(host, strconv.Itoa(taken.first))),
		testcontainers.WithEnv(map[string]string{"ALERTLAB_STATE_DIR": stateDir}),
		testcontainers.WithFiles(testcontainers.ContainerFile{Reader: bytes.NewReader(p.Source()), ContainerFilePath: profileFile, FileMode: 0o644}),
		testcontainers.WithExposedPorts(taken.exposed()...),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			h.PortBindings = taken.bindings()
			if !isLoopback(host) { // so that the lab takes that name for itself
				h.ExtraHosts = append(h.ExtraHosts, host+":127.0.0.1")
			}
		}),
		testcontainers.WithAdditionalLifecycleHooks(testcontainers.ContainerLifecycleHooks{
			PreStarts: []testcontainers.ContainerHook{func(context.Context, testcontainers.Container) error { return taken.release() }},
		}),
		testcontainers.WithWaitStrategyAndDeadline(patience, &card{}),
	}
	if !reaped {
		base = append(base, testcontainers.WithLabels(map[string]string{ownerLabel: owner()}))
	}
	c, err := testcontainers.Run(ctx, img, append(base, options...)...)
	if err != nil {
		return nil, fmt.Errorf("labtest: %w", errors.Join(err, discard(c)))
	}
	lab := &Lab{}
	if err = read(ctx, c, "endpoints.json", &lab.Endpoints); err == nil {
		err = read(ctx, c, "credentials.json", &lab.Credentials)
	}
	if err != nil {
		return nil, fmt.Errorf("labtest: %w", errors.Join(err, discard(c)))
	}
	lab.Endpoints.Registry.AdminURL = ""
	lab.Endpoints.Kafka.CAFile = "" // lies in the container; its text is in CA
	return &Container{c, lab}, nil
}

// Terminate closes the lab's clients, ends the container and removes it.
func (c *Container) Terminate(ctx context.Context, options ...testcontainers.TerminateOption) error {
	c.Lab.close()
	return c.DockerContainer.Terminate(ctx, options...)
}

// discard removes a container that is of no use, even after its context has ended.
func discard(c *testcontainers.DockerContainer) error {
	if c == nil {
		return nil
	}
	bound, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return c.Terminate(bound)
}

func read(ctx context.Context, c wait.StrategyTarget, file string, into any) error {
	r, err := c.CopyFileFromContainer(ctx, inContainer(file))
	if err != nil {
		return fmt.Errorf("reading the lab's %s: %w", file, err)
	}
	defer r.Close()
	return json.NewDecoder(r).Decode(into)
}

func inContainer(file string) string {
	return path.Join(stateDir, "labs", state.DefaultLab, file)
}

// card waits until a lab has written its connection card, which it does when everything
// answers, and fails at once when its container ends before that.
type card struct{}

// String says in testcontainers' log what is waited for.
func (*card) String() string { return "the lab's connection card" }

// WaitUntilReady implements wait.Strategy.
func (*card) WaitUntilReady(ctx context.Context, target wait.StrategyTarget) error {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		file, err := target.CopyFileFromContainer(ctx, inContainer("endpoints.json"))
		if err == nil {
			return file.Close()
		}
		now, unknown := target.State(ctx)
		if unknown == nil && !now.Running {
			return fmt.Errorf("the lab ended with exit code %d before it was up: %s", now.ExitCode, lastWords(target))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the lab is not up: %w: %s", context.Cause(ctx), lastWords(target))
		case <-again.C:
		}
	}
}

// lastWords is the end of what a container has written.
func lastWords(target wait.StrategyTarget) string {
	bound, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := target.Logs(bound)
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// reserved are host ports in a row that nobody else gets until they are released.
type reserved struct {
	host         string
	first, count int

	mu   sync.Mutex
	held []net.Listener
}

// reserve looks for free ports below those that systems give to clients. Of an engine on
// another machine nothing can be held; whether the ports are free is seen when the
// container starts.
func reserve(ctx context.Context, host string, count int) (*reserved, error) {
	const lowest, highest, attempts = 20000, 32000, 100
	var last error
	for range attempts {
		r := &reserved{host: host, first: lowest + rand.IntN(highest-lowest-count), count: count}
		if !isLoopback(host) {
			return r, nil
		}
		if last = r.hold(ctx); last == nil {
			return r, nil
		}
		r.release()
	}
	return nil, fmt.Errorf("no %d free ports in a row between %d and %d: %w", count, lowest, highest, last)
}

func (r *reserved) hold(ctx context.Context) error {
	for i := range r.count {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(r.host, strconv.Itoa(r.first+i)))
		if err != nil {
			return err
		}
		r.held = append(r.held, ln)
	}
	return nil
}

// release lets go of the ports; again it does nothing.
func (r *reserved) release() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, ln := range r.held {
		errs = append(errs, ln.Close())
	}
	r.held = nil
	return errors.Join(errs...)
}

func (r *reserved) exposed() []string {
	var out []string
	for i := range r.count {
		out = append(out, fmt.Sprintf("%d/tcp", r.first+i))
	}
	return out
}

func (r *reserved) bindings() nat.PortMap {
	at := ""
	if isLoopback(r.host) {
		at = r.host
	}
	out := nat.PortMap{}
	for _, port := range r.exposed() {
		out[nat.Port(port)] = []nat.PortBinding{{HostIP: at, HostPort: strings.TrimSuffix(port, "/tcp")}}
	}
	return out
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// engineHost says where published ports are reached.
func engineHost(ctx context.Context) (string, error) {
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return "", err
	}
	defer provider.Close()
	host, err := provider.DaemonHost(ctx)
	switch {
	case err != nil:
		return "", err
	case host == "localhost" || isLoopback(host):
		return "127.0.0.1", nil
	case net.ParseIP(host) != nil:
		// In a container testcontainers takes the bridge's gateway for the engine's
		// machine. Where that is this machine's own, the engine is in here too.
		if _, err := ports.Own(ctx, host); err == nil {
			return "127.0.0.1", nil
		}
		return "", fmt.Errorf("the engine's ports are reached at %s, and a lab in a container can be advertised at names only: set TESTCONTAINERS_HOST_OVERRIDE to a name of that machine", host)
	}
	return host, nil
}

// reaperImage is the image of testcontainers' reaper, of testcontainers-go v0.40.0, which
// keeps the name to itself.
const reaperImage = "testcontainers/ryuk:0.13.0"

// reaperSwitch is testcontainers' own; it is read once, when it is first used.
const reaperSwitch = "TESTCONTAINERS_RYUK_DISABLED"

// reaper says whether testcontainers' reaper works here. Where its image is not there
// and cannot be pulled it is switched off, and what processes that are gone have left is
// removed instead.
func reaper(ctx context.Context) (bool, error) {
	if os.Getenv(reaperSwitch) == "" {
		engine, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
		if err != nil {
			return false, err
		}
		defer engine.Close()
		if !available(ctx, engine, reaperImage) {
			if err := os.Setenv(reaperSwitch, "true"); err != nil {
				return false, err
			}
		}
	}
	if !testcontainers.ReadConfig().Config.RyukDisabled {
		return true, nil
	}
	return false, sweep(ctx)
}

// available says whether an image is there, or can be pulled.
func available(ctx context.Context, engine *client.Client, img string) bool {
	if _, err := engine.ImageInspect(ctx, img); err == nil {
		return true
	}
	bound, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	pulled, err := engine.ImagePull(bound, img, image.PullOptions{})
	if err != nil {
		return false
	}
	defer pulled.Close()
	if _, err := io.Copy(io.Discard, pulled); err != nil {
		return false
	}
	_, err = engine.ImageInspect(ctx, img)
	return err == nil
}

// owner is this process: HOST/PID.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return host + "/" + strconv.Itoa(os.Getpid())
}

// sweep removes containers whose process on this machine is gone.
func sweep(ctx context.Context) error {
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	there, err := engine.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", ownerLabel))})
	if err != nil {
		return err
	}
	here, _, _ := strings.Cut(owner(), "/")
	var errs []error
	for _, c := range there {
		host, pid, _ := strings.Cut(c.Labels[ownerLabel], "/")
		n, err := strconv.Atoi(pid)
		if err != nil || host != here || lives(n) {
			continue
		}
		if err := engine.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("container %.12s of process %d, which is gone: %w", c.ID, n, err))
		}
	}
	return errors.Join(errs...)
}

// lives says whether there is a process of that id.
func lives(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}
