package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/alertlab/alertlab/lab/fault"
)

// startPatience bounds how long dockerd and containerd together may take until
// they answer; a second is usual.
const startPatience = 60 * time.Second

// settings is the own engine's daemon.json.
type settings struct {
	DataRoot        string             `json:"data-root"`
	ExecRoot        string             `json:"exec-root"`
	PidFile         string             `json:"pidfile"`
	Hosts           []string           `json:"hosts"`
	Containerd      string             `json:"containerd"`
	Bridge          string             `json:"bridge"`
	Iptables        bool               `json:"iptables"`
	Ip6tables       bool               `json:"ip6tables"`
	Forward         bool               `json:"ip-forward"`
	Masquerade      bool               `json:"ip-masq"`
	AddressPools    []addressPool      `json:"default-address-pools"`
	CgroupParent    string             `json:"cgroup-parent"`
	ExecOpts        []string           `json:"exec-opts"`
	StorageDriver   string             `json:"storage-driver"`
	LogDriver       string             `json:"log-driver"`
	LogOpts         map[string]string  `json:"log-opts"`
	ShutdownTimeout int                `json:"shutdown-timeout"` // seconds
	LiveRestore     bool               `json:"live-restore"`
	Runtimes        map[string]runtime `json:"runtimes,omitempty"`
	DefaultRuntime  string             `json:"default-runtime,omitempty"`
}

type addressPool struct {
	Base string `json:"base"`
	Size int    `json:"size"`
}

type runtime struct {
	Path string `json:"path"`
}

func (h home) daemonJSON(own netip.Prefix, wrapper bool) ([]byte, error) {
	s := settings{
		DataRoot: h.data(), ExecRoot: h.exec(), PidFile: h.file("docker.pid"),
		Hosts: []string{h.host()}, Containerd: h.containerd(),
		Bridge: h.bridge(), Forward: true,
		AddressPools: []addressPool{{own.String(), networkBits}},
		CgroupParent: "/" + h.cgroup(), ExecOpts: []string{"native.cgroupdriver=cgroupfs"},
		// Where overlay2 cannot be had dockerd would take a driver that copies
		// every layer whole: better no engine than a full disk.
		StorageDriver: "overlay2",
		LogDriver:     "json-file", LogOpts: map[string]string{"max-size": "20m", "max-file": "2"},
		ShutdownTimeout: 5,
		// A dockerd with address pools removes docker0, whoever's it is, each time
		// it starts on data that it has, except when it may have left containers
		// running. It never has: Stop ends them.
		LiveRestore: true,
	}
	if wrapper {
		s.Runtimes, s.DefaultRuntime = map[string]runtime{"rig": {h.file("runc")}}, "rig"
	}
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

// containerdTOML: docker uses containerd for processes only, so that all it
// keeps for good is the metadata of its namespaces.
func (h home) containerdTOML() []byte {
	return fmt.Appendf(nil, `version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
  address = %q

[plugins."io.containerd.internal.v1.opt"]
  path = %q
`, h.file("containerd"), h.file("exec/containerd"), h.containerd(), h.file("exec/opt"))
}

// Start starts the rig's own engine, or connects to it when it runs already. It
// needs root and Debian, and installs docker.io and iptables from Debian where
// they are missing. The engine outlives the calling process; Stop ends it.
func Start(ctx context.Context, o Options) (*Engine, error) {
	if os.Geteuid() != 0 {
		return nil, fault.New(fault.StepFailed, "no Docker engine answers, and one can only be started by root", "the rig runs as another user",
			"run the rig as root, or start Docker and let this user in: sudo usermod -aG docker $USER")
	}
	h, err := o.home()
	if err != nil {
		return nil, err
	}
	lock, err := h.lock(ctx, o)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	old, err := h.record()
	if err != nil {
		o.say("%v: what the machine had before the engine is not known any more", err)
	}
	if old != nil && old.Dockerd.alive() && old.Containerd.alive() {
		return h.attach(ctx, o, old.Dockerd)
	}
	if err := h.stop(ctx, o, old); err != nil {
		return nil, fmt.Errorf("what is left of the rig's last engine: %w", err)
	}
	if err := install(ctx, o); err != nil {
		return nil, err
	}
	e, err := h.start(ctx, o)
	if err == nil {
		return e, nil
	}
	// Also after Ctrl-C: a half-started engine is nobody's.
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	began, recErr := h.record()
	return nil, errors.Join(err, recErr, h.stop(clean, o, began))
}

func (h home) start(ctx context.Context, o Options) (*Engine, error) {
	began := time.Now()
	capable, why, err := Capability()
	if err != nil {
		return nil, err
	}
	busy, err := taken()
	if err != nil {
		return nil, err
	}
	own, err := choose(busy, h.former())
	if err != nil {
		return nil, err
	}
	r := &record{Range: own.String(), Wrapper: !capable, Began: began.Round(time.Second)}
	if r.Boot, err = bootID(); err != nil {
		return nil, err
	}
	if r.Before, err = look(); err != nil {
		return nil, err
	}
	if !capable {
		o.say("CAP_SYS_RESOURCE is missing here (%s): a program in front of runc asks for less", why)
		if err := h.placeWrapper(ctx, o); err != nil {
			return nil, err
		}
	}
	daemon, err := h.daemonJSON(own, !capable)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(h.write(r), h.replace("daemon.json", daemon, 0o600), h.replace("containerd.toml", h.containerdTOML(), 0o600),
		os.MkdirAll(h.data(), 0o711), os.MkdirAll(h.exec(), 0o711)); err != nil {
		return nil, err
	}
	made, err := hookIn(ctx, h, own, r.Before)
	if err != nil {
		return nil, fault.Wrap(fault.StepFailed, "the firewall chain that keeps the rig's traffic on this machine cannot be made", err,
			"go run ./hack/rig doctor shows what the kernel lacks")
	}
	o.say("made the chain %s in FORWARD (%s): the networks of the rig, %s, reach each other and this machine, nothing else", h.chain(), strings.Join(made, ", "), own)
	if was := r.Before.Sysctls["net/ipv4/ip_forward"]; was == "0" {
		o.say("set net.ipv4.ip_forward from 0 to 1; the chain forwards nothing but the rig's, and stopping the engine sets it back")
		if err := writeSysctl("net/ipv4/ip_forward", "1"); err != nil {
			return nil, err
		}
	}
	if err := makeBridge(h.bridge(), own); err != nil {
		return nil, err
	}
	o.say("made the interface %s, the engine's default network", h.bridge())
	log, err := os.OpenFile(h.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	said, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	containerd, err := h.spawn("containerd", log, "--config", h.containerdSettings())
	if err != nil {
		return nil, err
	}
	r.Containerd = containerd.process
	dockerd, err := h.spawn("dockerd", log, "--config-file", h.settings())
	if err != nil {
		return nil, errors.Join(err, h.write(r))
	}
	r.Dockerd = dockerd.process
	if err := h.write(r); err != nil {
		return nil, err
	}
	e, err := h.await(ctx, containerd, dockerd)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fault.New(fault.StepFailed, "the rig's engine did not start", err.Error()+"; the end of its log:\n"+h.tail(said), "the whole log is "+h.log()+"; go run ./hack/rig doctor shows what the machine lacks")
	}
	o.say("started %s as process %d, its files in %s, in %.1f s", e, r.Dockerd.PID, h.dir, time.Since(began).Seconds())
	return e, nil
}

// placeWrapper copies the program in front of runc to where the engine's folder
// names it, and tells it where the real one is.
func (h home) placeWrapper(ctx context.Context, o Options) error {
	if o.Program == nil {
		return errors.New("engine: CAP_SYS_RESOURCE is missing, and no program for it is given")
	}
	path, err := o.Program(ctx)
	if err != nil {
		return err
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	runc, err := lookPath("runc")
	if err != nil {
		return err
	}
	return errors.Join(h.replace("runc", program, 0o755), h.replace("runc.path", []byte(runc+"\n"), 0o644))
}

// daemon is a process that was started here.
type daemon struct {
	process
	name string
	over <-chan error // its end
}

// spawn starts a program of Debian's as a process in a session of its own, so
// that neither a closed terminal nor Ctrl-C reaches it.
func (h home) spawn(name string, log *os.File, args ...string) (daemon, error) {
	path, err := lookPath(name)
	if err != nil {
		return daemon{}, err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = daemonEnv(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return daemon{}, err
	}
	// A shell's usual 1024 open files are few for a node of many containers, which
	// inherits the limit; up to the hard limit anybody may go.
	var files unix.Rlimit
	if unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &files) == nil {
		files.Cur = files.Max
		_ = unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_NOFILE, &files, nil)
	}
	over := make(chan error, 1)
	p, err := inspect(cmd.Process.Pid)
	if err != nil {
		return daemon{}, fmt.Errorf("%s ended at once: %w", name, errors.Join(err, cmd.Wait()))
	}
	go func() { over <- cmd.Wait() }() // it usually outlives this process
	return daemon{p, name, over}, nil
}

// daemonEnv is the environment without what would turn dockerd's head.
func daemonEnv(env []string) []string {
	out := slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "DOCKER_") || strings.HasPrefix(name, "CONTAINERD_") || strings.HasPrefix(name, "LISTEN_") ||
			name == "NOTIFY_SOCKET" || name == "PATH" || name == "TMPDIR" || name == "XDG_RUNTIME_DIR"
	})
	return append(out, "PATH="+strings.Join(append(sbin, os.Getenv("PATH"), "/usr/bin", "/bin"), ":"))
}

// await waits until dockerd answers, or one of the two ends.
func (h home) await(ctx context.Context, daemons ...daemon) (*Engine, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("it did not answer within %s", startPatience))
	defer cancel()
	ended := make(chan error, len(daemons))
	for _, d := range daemons {
		go func() {
			select {
			case err := <-d.over:
				ended <- fmt.Errorf("%s ended: %s", d.name, text(err, "without an error"))
			case <-ctx.Done():
			}
		}()
	}
	// There is nothing to wait on for a socket that answers.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
			if e, err := connect(ctx, h.host(), "the rig's own engine"); err == nil {
				e.Own = true
				return e, nil
			}
		}
	}
}

// attach connects to the own engine that runs.
func (h home) attach(ctx context.Context, o Options, dockerd process) (*Engine, error) {
	e, err := connect(ctx, h.host(), "the rig's own engine")
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fault.Wrap(fault.StepFailed, fmt.Sprintf("the rig's own engine (process %d) runs and does not answer", dockerd.PID), err,
			"go run ./hack/rig clean stops it; its log is "+h.log())
	}
	e.Own = true
	o.say("%s runs already", e)
	return e, nil
}

// tail is the end of what the engine logged from an offset on.
func (h home) tail(from int64) string {
	b, err := os.ReadFile(h.log())
	if err != nil {
		return err.Error()
	}
	return lastLines(string(b[min(from, int64(len(b))):]), 12)
}

func text(err error, otherwise string) string {
	if err == nil {
		return otherwise
	}
	return err.Error()
}
