package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/alertlab/alertlab/hack/rig/node/k3s"
	"github.com/alertlab/alertlab/hack/rig/node/kubeadm"
	"github.com/alertlab/alertlab/hack/rig/node/machine"
	"github.com/alertlab/alertlab/hack/rig/node/manifests"
	"github.com/alertlab/alertlab/lab/fault"
)

// What k3d v5 looks for in a node's log, without regard to case.
const (
	saysContainerd = "Containerd is now running"
	saysAPIServer  = "Running kube-apiserver"
	saysDNS        = "Cluster dns configmap has been set successfully"
	saysServer     = "k3s is up and running"
	saysAgent      = "Successfully registered node"
)

const (
	manifestDir    = "/var/lib/rancher/k3s/server/manifests"
	kubeconfigFile = "/etc/rancher/k3s/k3s.yaml"
	kubeletConf    = "/etc/kubernetes/kubelet.conf"
	completeMark   = "/etc/kubernetes/node-complete" // kubeadm has come to its end here
	apiTimeout     = 5 * time.Minute                 // for an API server to answer after a start
	shareCerts     = time.Hour                       // kubeadm lets shared certificates expire after two
)

// runK3s is a node by k3s's words. It returns when ctx ends.
func (b *base) runK3s(ctx context.Context, o k3s.Options) error {
	for _, flag := range o.Ignored {
		b.log.Warn("this flag has no effect here", "flag", flag)
	}
	if o.NodeName == "" {
		host, err := os.Hostname()
		if err != nil {
			return err
		}
		o.NodeName = strings.ToLower(host)
	}
	if o.Token == "" {
		text, err := os.ReadFile(o.TokenFile)
		if err != nil {
			return fault.Wrap(fault.BadInput, "the token cannot be read", err, "mount the file into the node, or set K3S_TOKEN")
		}
		o.Token = strings.TrimSpace(string(text))
	}
	var ranges []netip.Prefix
	if p, err := netip.ParsePrefix(o.ClusterCIDR); err == nil {
		ranges = append(ranges, p)
	}
	server := o.Role == k3s.Server
	if err := linkHome(server); err != nil {
		return err
	}
	address, _, err := machine.Address()
	if err != nil {
		return err
	}
	imported, err := b.start(ctx, server, func() []netip.Prefix { return ranges }, kubeletArgs(o, address))
	if err != nil {
		return err
	}
	if err := b.readdress(ctx); err != nil {
		return err
	}
	b.log.Info(saysContainerd)

	// An import that failed ends the wait for kubelet, which would never come.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if err := <-imported; err != nil {
			cancel(err)
		}
	}()
	if err := b.join(ctx, o); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			return cause
		}
		return err
	}
	var work sync.WaitGroup
	defer work.Wait()
	if server {
		if err := b.serve(ctx, o, &work); err != nil {
			return err
		}
		b.log.Info(saysServer)
	} else {
		if err := registered(ctx, o.NodeName); err != nil {
			return err
		}
		b.log.Info(saysAgent + " " + o.NodeName)
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// join makes the node by kubeadm, unless an earlier start did. What a start
// that was cut off left behind is cleared first.
func (b *base) join(ctx context.Context, o k3s.Options) error {
	if _, err := os.Stat(completeMark); err == nil {
		return nil
	}
	if _, err := os.Stat(ownConfig); err == nil {
		b.log.Warn("an earlier start did not come to its end: the node begins anew")
		if err := runKubeadm(ctx, "reset", "--force"); err != nil {
			return err
		}
	}
	n := kubeadm.Node{Name: o.NodeName, Address: b.address.String(), Secrets: kubeadm.Derive(o.Token)}
	for _, t := range o.Taints {
		n.Taints = append(n.Taints, kubeadm.Taint{Key: t.Key, Value: t.Value, Effect: t.Effect})
	}
	words := []string{"join", "--config", ownConfig, "--v=2"}
	var text []byte
	var err error
	if o.Joins() {
		text, err = kubeadm.Join(n, o.Endpoint(), o.Role == k3s.Server)
	} else {
		words = []string{"init", "--config", ownConfig, "--upload-certs", "--v=2"}
		text, err = b.initConfig(n, o)
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(ownConfig, text, 0o600); err != nil {
		return err
	}
	if o.Joins() {
		waiting, cancel := context.WithTimeout(ctx, apiTimeout)
		defer cancel()
		if err := until(waiting, 250*time.Millisecond, openCluster(o.Endpoint(), n.Secrets)); err != nil {
			return fault.Wrap(fault.StepFailed, "the cluster at "+o.Endpoint()+" cannot be joined", err, "see that the server runs and that K3S_TOKEN is the same there")
		}
	}
	b.log.Info("kubeadm makes the node", "verb", words[0], "name", o.NodeName, "address", b.address)
	began := time.Now()
	if err := runKubeadm(ctx, words...); err != nil {
		return err
	}
	b.log.Info("kubeadm is through", "verb", words[0], "seconds", fmt.Sprintf("%.1f", time.Since(began).Seconds()))
	return os.WriteFile(completeMark, nil, 0o644)
}

func (b *base) initConfig(n kubeadm.Node, o k3s.Options) ([]byte, error) {
	release, err := version()
	if err != nil {
		return nil, err
	}
	dns, err := o.DNSAddress()
	if err != nil {
		return nil, err
	}
	return kubeadm.Init(n, kubeadm.Cluster{
		Version: release, PodSubnet: o.ClusterCIDR, ServiceSubnet: o.ServiceCIDR,
		DNSDomain: o.ClusterDomain, DNSAddress: dns.String(), CertSANs: o.TLSSANs,
		APIServer: kubeadmArgs(o.APIServerArgs), ControllerManager: kubeadmArgs(o.ControllerManagerArgs),
		Scheduler: kubeadmArgs(o.SchedulerArgs), Etcd: kubeadmArgs(o.EtcdArgs),
	})
}

func kubeadmArgs(list []k3s.Pair) []kubeadm.Arg {
	var out []kubeadm.Arg
	for _, p := range list {
		out = append(out, kubeadm.Arg{Name: p.Key, Value: p.Value})
	}
	return out
}

// kubeletArgs gives what the words ask of kubelet itself. kubeadm is not told:
// its file of flags cannot hold a value with a blank.
func kubeletArgs(o k3s.Options, address netip.Addr) []string {
	args := []string{"--node-ip=" + address.String()}
	if len(o.Labels) > 0 {
		var labels []string
		for _, l := range o.Labels {
			labels = append(labels, l.String())
		}
		args = append(args, "--node-labels="+strings.Join(labels, ","))
	}
	for _, a := range o.KubeletArgs {
		args = append(args, "--"+a.String())
	}
	return args
}

// serve does what only a server does once kubeadm is through: kubeconfigs, the
// node's labels, manifests. Loops go on until ctx ends, and are added to work.
func (b *base) serve(ctx context.Context, o k3s.Options, work *sync.WaitGroup) error {
	b.log.Info(saysAPIServer)
	admin, err := readConfig(adminConf)
	if err != nil {
		return err
	}
	if err := writeKubeconfig(admin, kubeconfigFile, o.KubeconfigOutput); err != nil {
		return err
	}
	if err := b.writeManifests(o); err != nil {
		return err
	}
	local, err := admin.api(localServer)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	if err := until(waiting, 200*time.Millisecond, local.ready); err != nil {
		return fault.Wrap(fault.StepFailed, "the API server does not answer", err, "read /var/log/kubelet.log and /var/log/pods in the node")
	}
	if err := until(waiting, 500*time.Millisecond, func(ctx context.Context) error { return local.markServer(ctx, o.NodeName) }); err != nil {
		return fault.Wrap(fault.StepFailed, "the server's node cannot be labelled", err, "read /var/log/kubelet.log in the node")
	}
	work.Go(func() { manifests.Deploy(ctx, manifestDir, kubectlApply, b.log) })
	work.Go(func() { b.keepShared(ctx, kubeadm.Derive(o.Token).CertificateKey) })
	return nil
}

// registered waits until the cluster knows the node. kubeadm returns before: it
// waits only until kubelet has its certificate.
func registered(ctx context.Context, name string) error {
	err := until(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		// Read each time: kubelet may have renewed its certificate.
		config, err := readConfig(kubeletConf)
		if err != nil {
			return err
		}
		cluster, err := config.api(config.Clusters[0].Cluster.Server)
		if err != nil {
			return err
		}
		return cluster.node(ctx, name)
	})
	if err != nil && context.Cause(ctx) != nil {
		return context.Cause(ctx)
	}
	return err
}

// keepShared lets further servers join at any time: the certificates that they
// need expire in the cluster and are put there again.
func (b *base) keepShared(ctx context.Context, key string) {
	tick := time.NewTicker(shareCerts)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := runKubeadm(ctx, "init", "phase", "upload-certs", "--upload-certs", "--certificate-key", key); err != nil && ctx.Err() == nil {
			b.log.Warn("a further server cannot join for now", "error", err)
		}
	}
}

// linkHome gives kubectl, which k3d calls without naming a configuration, the
// node's own: on agents that of kubelet, which may release its own node.
func linkHome(server bool) error {
	target := kubeconfigFile
	if !server {
		target = kubeletConf
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	homeConfig := filepath.Join(home, ".kube", "config")
	if err := os.MkdirAll(filepath.Dir(homeConfig), 0o755); err != nil {
		return err
	}
	if err := os.Remove(homeConfig); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(target, homeConfig)
}

func writeKubeconfig(admin kubeConfig, files ...string) error {
	text, err := admin.kubeconfig()
	if err != nil {
		return err
	}
	for _, f := range files {
		if f == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(f, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeManifests puts the node's own manifests into the folder. That of DNS is
// left alone once it is there: k3d writes its hosts into it.
func (b *base) writeManifests(o k3s.Options) error {
	if err := os.MkdirAll(manifestDir, 0o755); err != nil {
		return err
	}
	image, ok := machine.Pick(b.names, "rig.local/net")
	if !ok {
		return fmt.Errorf("%s/names.txt names no image rig.local/net", imagesDir)
	}
	endpoint := o.NodeName + ":" + k3s.DefaultPort
	if o.Joins() {
		endpoint = o.Endpoint()
	}
	net, err := manifests.Net{NetImage: image, PodSubnet: o.ClusterCIDR, Endpoint: endpoint}.Render()
	if err != nil {
		return err
	}
	files := map[string][]byte{"rig-net.yaml": net}
	if storage := storageOf(b.names, "local-path"); storage.Provisioner != "" && !o.Disable[k3s.LocalStorage] {
		if files["local-storage.yaml"], err = storage.Render(); err != nil {
			return err
		}
	}
	var missing []string
	for _, c := range []string{k3s.Traefik, k3s.ServiceLB, k3s.MetricsServer} {
		if !o.Disable[c] {
			missing = append(missing, c)
		}
	}
	if len(missing) > 0 {
		sort.Strings(missing)
		b.log.Info("k3s would install these; this node does not", "components", strings.Join(missing, " "))
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(manifestDir, name), text, 0o600); err != nil {
			return err
		}
	}
	if o.Disable[k3s.CoreDNS] {
		return nil
	}
	if err := b.writeDNS(o); err != nil {
		return err
	}
	b.log.Info(saysDNS)
	return nil
}

func (b *base) writeDNS(o k3s.Options) error {
	file := filepath.Join(manifestDir, "coredns.yaml")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	image, ok := machine.Pick(b.names, "registry.k8s.io/coredns/coredns")
	if !ok {
		return fmt.Errorf("%s/names.txt names no image registry.k8s.io/coredns/coredns; disable it with --disable=coredns", imagesDir)
	}
	address, err := o.DNSAddress()
	if err != nil {
		return err
	}
	domain := o.ClusterDomain
	if domain == "" {
		domain = "cluster.local"
	}
	text, err := manifests.DNS{DNSImage: image, DNSAddress: address.String(), Domain: domain}.Render()
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func kubectlApply(ctx context.Context, file string) error {
	cmd := exec.CommandContext(ctx, "kubectl", "--kubeconfig", kubeconfigFile, "apply", "-f", file)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, tail(string(out), 3))
	}
	return nil
}
