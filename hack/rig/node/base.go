package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alertlab/alertlab/hack/rig/node/machine"
	"github.com/alertlab/alertlab/hack/rig/node/network"
	"github.com/alertlab/alertlab/hack/rig/node/service"
	"github.com/alertlab/alertlab/lab/fault"
)

// Places of the node.
const (
	controlSocket = "/run/node/services.sock"
	logDir        = "/var/log"
	imagesDir     = "/rig/images"
	importedMark  = "/var/lib/containerd/.node-imported"
	addressRecord = "/var/lib/kubelet/node-address"
	kubeletDropIn = "/etc/kubernetes/kubelet.conf.d/90-node.conf"
	kubeletConfig = "/var/lib/kubelet/config.yaml"
	kubeletFlags  = "/var/lib/kubelet/kubeadm-flags.env"
	versionFile   = "/kind/version"
	kindConfig    = "/kind/kubeadm.conf"
	ownConfig     = "/etc/kubernetes/node-kubeadm.yaml"
	adminConf     = "/etc/kubernetes/admin.conf"
	storeTimeout  = 60 * time.Second // for containerd to answer
)

// base is what every kind of node has: services, network, images.
type base struct {
	log      *slog.Logger
	services *service.Manager

	address  netip.Addr
	attached []netip.Prefix // networks of the engine
	own      bool           // the network namespace is the node's own
	names    []string       // references of the images that came along
	imported atomic.Bool    // the images are in containerd
}

// pods gives the ranges of pods that the node may reach, as they are known at
// the time of the call.
type pods func() []netip.Prefix

// start readies the container, and brings up containerd, and, once its
// configuration is there, kubelet with the further arguments. It returns when
// containerd answers; the images are imported meanwhile and kubelet waits for
// them. The channel gets the result of the import.
func (b *base) start(ctx context.Context, server bool, ranges pods, kubeletArgs []string) (<-chan error, error) {
	wanted := machine.AgentWatchers
	if server {
		wanted = machine.ServerWatchers
	}
	if err := machine.Watchers(wanted); err != nil {
		return nil, fault.Wrap(fault.StepFailed, "the host has too few inotify instances left for another node", err,
			fmt.Sprintf("stop other clusters, or on the host: sysctl -w fs.inotify.max_user_instances=%d", machine.ManyWatchers))
	}
	for _, step := range []func() error{
		machine.MountRun,
		machine.MakeShared,
		func() error { return machine.WriteID("/etc/machine-id") },
		b.cgroups,
		func() error { return b.network(ctx, ranges) },
		b.files,
	} {
		if err := step(); err != nil {
			return nil, fault.Wrap(fault.StepFailed, "the node's container cannot be made ready", err, "run it with --privileged, as k3d and kind do; see docker logs for the lines before this one")
		}
	}
	if err := b.services.Serve(ctx, controlSocket); err != nil {
		return nil, err
	}
	b.services.Keep(ctx, service.Unit{
		Name: "containerd", Log: filepath.Join(logDir, "containerd.log"),
		Command: func(ctx context.Context) (*exec.Cmd, error) {
			return exec.CommandContext(ctx, "containerd", "--config", machine.ContainerdConfig), nil
		},
	})
	if err := b.containerdAnswers(ctx); err != nil {
		return nil, err
	}
	result := make(chan error, 1)
	go func() { result <- b.importImages(ctx, server) }()
	b.services.Keep(ctx, service.Unit{
		Name: "kubelet", Log: filepath.Join(logDir, "kubelet.log"),
		Ready: func() bool {
			_, err := os.Stat(kubeletConfig)
			return err == nil && b.imported.Load()
		},
		Command: func(ctx context.Context) (*exec.Cmd, error) {
			// kind's range of pods is known only now.
			if err := b.egress(ctx, ranges()); err != nil {
				return nil, err
			}
			return kubelet(ctx, kubeletArgs)
		},
	})
	return result, nil
}

func (b *base) cgroups() error {
	version, err := machine.ReadyCgroups("/sys/fs/cgroup")
	b.log.Info("control groups", "version", version)
	return err
}

func (b *base) network(ctx context.Context, ranges pods) error {
	address, attached, err := machine.Address()
	if err != nil {
		return err
	}
	b.address, b.attached = address, attached
	links, err := network.Links("/sys/class/net")
	if err != nil {
		return err
	}
	own, why := network.Own(links)
	b.own = own
	if !own {
		b.log.Warn("traffic to the outside is not rejected, and the engine's name server is left as it is", "reason", why)
		return nil
	}
	if err := b.engineDNS(ctx); err != nil {
		return err
	}
	if err := b.egress(ctx, ranges()); err != nil {
		return err
	}
	b.log.Info("traffic beyond the engine's networks is rejected", "reason", why, "networks", fmt.Sprint(attached))
	return nil
}

func (b *base) engineDNS(ctx context.Context) error {
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return err
	}
	gateway, ok := network.DefaultGateway(string(routes))
	if !ok {
		b.log.Warn("there is no gateway: pods cannot ask the engine's name server")
		return nil
	}
	there, err := network.ApplyEngineDNS(ctx, gateway)
	if err != nil || !there {
		return err
	}
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	if next := network.Resolv(string(text), gateway); next != string(text) {
		// Written in place: the file is a mount, which no rename can replace.
		return os.WriteFile("/etc/resolv.conf", []byte(next), 0o644)
	}
	return nil
}

func (b *base) egress(ctx context.Context, pods []netip.Prefix) error {
	if !b.own {
		return nil
	}
	v4, v6 := network.Allowed(b.attached, pods)
	if err := network.IPv4.ApplyEgress(ctx, v4); err != nil {
		return err
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		return nil // the kernel has no IPv6
	}
	return network.IPv6.ApplyEgress(ctx, v6)
}

func (b *base) files() error {
	names, err := (machine.Images{Dir: imagesDir}).Names()
	if err != nil {
		return err
	}
	b.names = names
	pause, ok := machine.Pick(names, "registry.k8s.io/pause")
	if !ok {
		return fmt.Errorf("%s/names.txt names no image registry.k8s.io/pause", imagesDir)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	mayRaise, err := machine.MayRaiseLimits(string(status))
	if err != nil {
		return err
	}
	if !mayRaise {
		b.log.Info("CAP_SYS_RESOURCE is missing: containers start by the runc wrapper")
	}
	if err := machine.WriteContainerd(machine.ContainerdConfig, machine.Containerd(pause, mayRaise)); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(kubeletDropIn), "/etc/cni/net.d", "/etc/kubernetes/manifests", "/var/lib/kubelet"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(kubeletDropIn, []byte(machine.KubeletDropIn), 0o644)
}

func (b *base) containerdAnswers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "unix", machine.ContainerdSocket)
		if err != nil {
			return err
		}
		c.Close()
		return exec.CommandContext(ctx, "ctr", "version").Run()
	})
	return fault.Wrap(fault.StepFailed, "containerd does not answer", err, "read /var/log/containerd.log in the node")
}

func (b *base) importImages(ctx context.Context, server bool) error {
	out, err := os.OpenFile(filepath.Join(logDir, "images.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	took, err := machine.Images{Dir: imagesDir}.Import(ctx, server, importedMark, out)
	if err != nil {
		return fault.Wrap(fault.StepFailed, "the node's images are not there", err, "check the disk's free space (df -h), then create the node again")
	}
	if took > 0 {
		b.log.Info("images imported", "seconds", fmt.Sprintf("%.1f", took.Seconds()))
	}
	b.imported.Store(true)
	return nil
}

// kubelet makes the kubelet's command: kubeadm's arguments, then the node's.
func kubelet(ctx context.Context, more []string) (*exec.Cmd, error) {
	text, err := os.ReadFile(kubeletFlags)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	args := []string{
		"--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf", "--kubeconfig=/etc/kubernetes/kubelet.conf",
		"--config=" + kubeletConfig, "--config-dir=" + filepath.Dir(kubeletDropIn),
	}
	args = append(args, kubeadmFlags(string(text))...)
	return exec.CommandContext(ctx, "kubelet", append(args, more...)...), nil
}

// kubeadmFlags reads the arguments out of kubeadm-flags.env, which is one line
// KUBELET_KUBEADM_ARGS="ARG ARG ...".
func kubeadmFlags(text string) []string {
	for _, line := range strings.Split(text, "\n") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "KUBELET_KUBEADM_ARGS="); ok {
			return strings.Fields(strings.Trim(v, `"`))
		}
	}
	return nil
}

// readdress takes over another address than that of the last start, if there
// was one: in kubeadm's files, and in the API server's certificate.
func (b *base) readdress(ctx context.Context) error {
	old, moved, err := machine.Moved(addressRecord, b.address)
	if err != nil {
		return err
	}
	if moved {
		changed, err := machine.Readdress([]string{
			kubeletFlags, "/etc/kubernetes/*.conf", "/etc/kubernetes/*.yaml", "/etc/kubernetes/manifests/*.yaml", kindConfig,
		}, old, b.address)
		if err != nil {
			return err
		}
		if _, err := os.Stat("/etc/kubernetes/pki/apiserver.crt"); err == nil {
			if err := recertify(ctx); err != nil {
				return err
			}
		}
		b.log.Warn("the node has another address than before", "old", old, "new", b.address, "files", len(changed))
	}
	return machine.Record(addressRecord, b.address)
}

// recertify makes the certificates that hold the node's address anew.
func recertify(ctx context.Context) error {
	config := ownConfig
	if _, err := os.Stat(kindConfig); err == nil {
		config = kindConfig
	}
	for _, cert := range []string{"apiserver", "etcd-server", "etcd-peer"} {
		file := filepath.Join("/etc/kubernetes/pki", strings.Replace(cert, "etcd-", "etcd/", 1))
		for _, f := range []string{file + ".crt", file + ".key"} {
			if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		if err := runKubeadm(ctx, "init", "phase", "certs", cert, "--config", config); err != nil {
			return err
		}
	}
	return nil
}

// runKubeadm runs kubeadm; its words go to /var/log/kubeadm.log, and the last
// of them into the error.
func runKubeadm(ctx context.Context, args ...string) error {
	out, err := os.OpenFile(filepath.Join(logDir, "kubeadm.log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	before, err := out.Stat()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "kubeadm", args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said := make([]byte, 64<<10)
		n, _ := out.ReadAt(said, max(before.Size(), sizeOf(out)-int64(len(said))))
		return fault.Wrap(fault.StepFailed, "kubeadm "+args[0]+" failed", fmt.Errorf("%w: %s", err, tail(string(said[:n]), 5)), "read /var/log/kubeadm.log and /var/log/kubelet.log in the node")
	}
	return nil
}

func sizeOf(f *os.File) int64 {
	if s, err := f.Stat(); err == nil {
		return s.Size()
	}
	return 0
}

// tail gives the last lines that say something, on one line.
func tail(text string, n int) string {
	var lines []string
	for _, l := range strings.Split(text, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}

// version reads the version of Kubernetes that the image holds.
func version() (string, error) {
	text, err := os.ReadFile(versionFile)
	return strings.TrimSpace(string(text)), err
}
