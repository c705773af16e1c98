package machine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Places of the node's files. containerd's is its default, where kind expects
// to patch it.
const (
	ContainerdConfig = "/etc/containerd/config.toml"
	ContainerdSocket = "/run/containerd/containerd.sock"
	RuncReal         = "/usr/sbin/runc"
	RuncWrapper      = "/rig/bin/runc"
)

// ownMark is the first line of a configuration that a node wrote.
const ownMark = "# Written by the node at its first start; changes stay."

// Containerd gives containerd's configuration (version 2, containerd 1.7):
// pause is the image of pods' sandboxes, mayRaise whether CAP_SYS_RESOURCE can
// be had.
func Containerd(pause string, mayRaise bool) string {
	runc := RuncReal
	if !mayRaise {
		runc = RuncWrapper
	}
	return ownMark + `
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ` + strconv.Quote(pause) + `
  tolerate_missing_hugetlb_controller = true
  restrict_oom_score_adj = ` + strconv.FormatBool(!mayRaise) + `
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    discard_unpacked_layers = true
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = ` + strconv.Quote(runc) + `
        SystemdCgroup = false
`
}

// WriteContainerd writes the configuration unless one of a node is there: kind
// applies its users' patches to it, which a restart must not undo.
func WriteContainerd(file, text string) error {
	old, err := os.ReadFile(file)
	if err == nil && bytes.HasPrefix(old, []byte(ownMark)) {
		return nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("containerd's configuration: %w", err)
	}
	return nil
}

// KubeletDropIn is what a kubelet in a container needs, whatever kubeadm wrote:
// it lies in the folder of --config-dir, which has the last word.
const KubeletDropIn = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
cgroupRoot: /
failCgroupV1: false
featureGates:
  KubeletInUserNamespace: true
`
