package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/alertlab/alertlab/hack/rig/node/machine"
	"github.com/alertlab/alertlab/hack/rig/node/manifests"
)

// kindReady is what kind v0.33 waits for in the node's log.
const kindReady = "Reached target Multi-User System."

// kindPods is kind's default range of pods.
const kindPods = "10.244.0.0/16"

// runKind is a node of kind: the services run, and kind does the rest by
// commands in the node. It returns when ctx ends.
func (b *base) runKind(ctx context.Context, server bool, out io.Writer) error {
	ranges := func() []netip.Prefix { return podRanges(kindConfig) }
	if err := b.kindFiles(); err != nil {
		return err
	}
	imported, err := b.start(ctx, server, ranges, nil)
	if err != nil {
		return err
	}
	if err := b.readdress(ctx); err != nil {
		return err
	}
	fmt.Fprintln(out, kindReady)
	select {
	case err := <-imported:
		if err != nil {
			return err
		}
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

// kindFiles writes the manifests that kind reads from a node.
func (b *base) kindFiles() error {
	names, err := (machine.Images{Dir: imagesDir}).Names()
	if err != nil {
		return err
	}
	image, ok := machine.Pick(names, "rig.local/net")
	if !ok {
		return fmt.Errorf("%s/names.txt names no image rig.local/net", imagesDir)
	}
	net, err := manifests.Net{NetImage: image, PodSubnet: manifests.KindPodSubnet}.Render()
	if err != nil {
		return err
	}
	storage, err := storageOf(names, "standard").Render()
	if err != nil {
		return err
	}
	dir := "/kind/manifests"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for file, text := range map[string][]byte{"default-cni.yaml": net, "default-storage.yaml": storage} {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// storageOf gives the local storage that the images at hand allow.
func storageOf(names []string, class string) manifests.Storage {
	provisioner, ok := machine.Pick(names, "docker.io/rancher/local-path-provisioner")
	helper, also := machine.Pick(names, "docker.io/rancher/local-path-helper")
	if !ok || !also {
		return manifests.Storage{}
	}
	return manifests.Storage{Provisioner: provisioner, Helper: helper, Class: class}
}

// podRanges reads the ranges of pods out of the configuration that kind wrote
// for kubeadm; before it has, kind's default.
func podRanges(file string) []netip.Prefix {
	fallback := []netip.Prefix{netip.MustParsePrefix(kindPods)}
	f, err := os.Open(file)
	if err != nil {
		return fallback
	}
	defer f.Close()
	for docs := yaml.NewDecoder(f); ; {
		var doc struct {
			Kind       string `yaml:"kind"`
			Networking struct {
				PodSubnet string `yaml:"podSubnet"`
			} `yaml:"networking"`
		}
		if err := docs.Decode(&doc); errors.Is(err, io.EOF) {
			return fallback
		} else if err != nil {
			return fallback // half written: asked again before kubelet's next start
		}
		if doc.Kind != "ClusterConfiguration" {
			continue
		}
		var out []netip.Prefix
		for _, c := range strings.Split(doc.Networking.PodSubnet, ",") {
			if p, err := netip.ParsePrefix(strings.TrimSpace(c)); err == nil {
				out = append(out, p)
			}
		}
		if len(out) > 0 {
			return out
		}
		return fallback
	}
}
