package engine

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/alertlab/alertlab/hack/rig/node/machine"
)

// Grade says how bad a finding is.
type Grade int

// A finding that is Bad keeps the rig from working; one that is Warn may.
const (
	OK Grade = iota
	Warn
	Bad
)

func (g Grade) String() string { return [...]string{"ok", "warn", "bad"}[g] }

// Finding is one fact about the machine.
type Finding struct {
	Name  string // what was looked at, e.g. "memory"
	Grade Grade
	What  string // what was found
	Why   string // why that matters; empty when it is well
	Next  string // what to type or change; empty when it is well
}

func (f Finding) String() string {
	s := fmt.Sprintf("%-4s %s: %s", f.Grade, f.Name, f.What)
	if f.Why != "" {
		s += ": " + f.Why
	}
	if f.Next != "" {
		s += "\n     next: " + f.Next
	}
	return s
}

// The least that the rig works with, from what its parts and clusters took.
// GB are 1e9 bytes throughout, as disks are sold.
const (
	gb         = 1e9
	leastRAM   = 8 * gb  // Kubernetes and six brokers, or several builds at once; of 8 GiB firmware and kernel may take 0.59 GB
	leastDisk  = 15 * gb // a cold rig
	imagesDisk = 3 * gb  // the node image and what nodes unpack
)

// The kernel's inotify limits. What clusters use is root's.
const (
	inotifyCluster = machine.ServerWatchers + 2*machine.AgentWatchers // instances
	inWatches      = 65536
)

// Needs are what a run is about to use besides the engine.
type Needs struct {
	Registries bool  // parts have to be built: the package registries are asked
	Disk       int64 // bytes that have to be free for the cache; 0: what a cold rig takes
	Ports      []int // TCP ports of this machine that will be opened
	Privileges bool  // run a privileged container where an engine answers
}

// Doctor looks at everything the rig depends on and changes nothing, except for
// a container that it runs and removes when Privileges are asked for. All
// findings come at once, the good ones too.
func Doctor(ctx context.Context, o Options, need Needs) []Finding {
	checks := []func(context.Context, Options, Needs) []Finding{
		doctorEngine, doctorSystem, doctorCapability, doctorCgroup, doctorMemory, doctorDisk, doctorKernel, doctorInotify, doctorPorts,
	}
	if need.Registries {
		checks = append(checks, doctorRegistries)
	}
	found := make([][]Finding, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() { found[i] = check(ctx, o, need) })
	}
	wg.Wait()
	var list []Finding
	for _, f := range found {
		list = append(list, f...)
	}
	return list
}

func doctorEngine(ctx context.Context, o Options, need Needs) []Finding {
	e, err := Find(ctx, o)
	if errors.Is(err, ErrNone) {
		const next = "run the rig as root on Debian, or install and start Docker with this system's own tools"
		lack := missing()
		switch {
		case os.Geteuid() != 0:
			return []Finding{{"engine", Bad, "no Docker answers", "one can only be started by root, and this is user " + strconv.Itoa(os.Geteuid()), next}}
		case len(lack) > 0 && !debian():
			return []Finding{{"engine", Bad, "no Docker answers", strings.Join(lack, ", ") + " are missing, and this is no Debian, from which they could be installed", next}}
		case len(lack) > 0:
			return []Finding{{"engine", OK, "no Docker answers: the rig installs docker.io and starts its own", "", ""}}
		}
		return []Finding{{"engine", OK, "no Docker answers: the rig starts its own", "", ""}}
	}
	if err != nil {
		return []Finding{fromError("engine", err)}
	}
	defer e.Close()
	list := []Finding{{"engine", OK, e.String(), "", ""}}
	info, err := e.client.Info(ctx)
	if err != nil {
		return append(list, fromError("engine", err))
	}
	if info.Driver == "vfs" {
		list = append(list, Finding{"engine", Warn, "its storage driver is vfs", "it copies every layer of every container whole: slow, and far more disk than 15 GB", "give Docker a data root on ext4 or xfs"})
	}
	list = append(list, doctorSpace("disk of the engine", info.DockerRootDir, imagesDisk))
	if need.Privileges {
		if err := e.CheckPrivileged(ctx, o); err != nil {
			list = append(list, fromError("privileges", err))
		} else {
			list = append(list, Finding{"privileges", OK, "a privileged container ran, and mounted", "", ""})
		}
	}
	return list
}

func doctorSystem(_ context.Context, _ Options, need Needs) []Finding {
	who := Finding{"user", OK, "root", "", ""}
	if uid := os.Geteuid(); uid != 0 {
		who = userFinding(uid, rootlessLack("/", accountName(uid)), need)
	}
	system := Finding{"system", OK, "Debian or its kin", "", ""}
	if !debian() {
		system = Finding{"system", Warn, "no Debian", "Docker is not installed by the rig here, and mmdebstrap is needed to take packages from Debian", "install Docker, mmdebstrap and Maven with this system's own tools"}
	}
	return []Finding{who, system}
}

// userFinding grades a user other than root, to whom something is lacking for
// Debian roots, or nothing.
func userFinding(uid int, lack []string, need Needs) Finding {
	who := "user " + strconv.Itoa(uid)
	if need.Registries && len(lack) > 0 {
		return Finding{"user", Bad, who, "the Debian roots of images have to be built, which mmdebstrap does for root, or for a user with subordinate ids; lacking here: " + strings.Join(lack, ", "),
			"run the rig as root; or as root: apt-get install mmdebstrap uidmap debian-archive-keyring && usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER (ids that " + subuid + " gives nobody else)"}
	}
	return Finding{"user", Warn, who, "an engine can be used but not started, and Debian roots of images need root or subordinate ids", "run the rig as root"}
}

// The files that give users further ids (subuid(5), subgid(5)).
const (
	subuid = "/etc/subuid"
	subgid = "/etc/subgid"
)

// rootlessLack lists what mmdebstrap lacks to work for a user other than root,
// by its own test: a user namespace, the two programs that map ids into it, and
// an entry for the name of the user in both files. Without these it takes
// fakechroot, which lacks nothing else. Programs and files are those below root,
// and programs those on the PATH as well when root is "/".
func rootlessLack(root, name string) []string {
	var lack []string
	program := func(name string) bool {
		if root == "/" {
			_, err := lookPath(name)
			return err == nil
		}
		_, err := os.Stat(filepath.Join(root, "usr/bin", name))
		return err == nil
	}
	if !program("mmdebstrap") {
		lack = append(lack, "mmdebstrap")
	}
	const keys = "usr/share/keyrings/debian-archive-keyring."
	if _, err := os.Stat(filepath.Join(root, keys+"gpg")); err != nil {
		if _, err := os.Stat(filepath.Join(root, keys+"pgp")); err != nil {
			lack = append(lack, "debian-archive-keyring")
		}
	}
	if program("fakechroot") && program("fakeroot") {
		return lack
	}
	for _, name := range []string{"newuidmap", "newgidmap"} {
		if !program(name) {
			lack = append(lack, name)
		}
	}
	for _, file := range []string{subuid, subgid} {
		b, _ := os.ReadFile(filepath.Join(root, file)) // one that cannot be read gives nothing
		if !hasEntry(string(b), name) {
			lack = append(lack, "an entry in "+file)
		}
	}
	for _, setting := range []string{"kernel/unprivileged_userns_clone", "user/max_user_namespaces"} {
		b, err := os.ReadFile(filepath.Join(root, "proc/sys", setting))
		if err == nil && strings.TrimSpace(string(b)) == "0" {
			lack = append(lack, "user namespaces ("+strings.ReplaceAll(setting, "/", ".")+" is 0)")
		}
	}
	return lack
}

// hasEntry looks for lines NAME:FIRST:COUNT.
func hasEntry(file, name string) bool {
	for line := range strings.Lines(file) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) == 3 && name != "" && fields[0] == name {
			return true
		}
	}
	return false
}

// accountName is the name of a user, which the files of subordinate ids have.
func accountName(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return "" // nobody's: it has no entry either
	}
	return u.Username
}

func doctorCapability(context.Context, Options, Needs) []Finding {
	ok, why, err := Capability()
	switch {
	case err != nil:
		return []Finding{fromError("CAP_SYS_RESOURCE", err)}
	case !ok:
		return []Finding{{"CAP_SYS_RESOURCE", OK, "missing (" + why + "): the rig puts its own program in front of runc", "", ""}}
	}
	return []Finding{{"CAP_SYS_RESOURCE", OK, "there: runc is used as it is", "", ""}}
}

func doctorCgroup(context.Context, Options, Needs) []Finding {
	return []Finding{cgroupFinding("/sys/fs/cgroup")}
}

// cgroupFinding tells cgroup v1 from v2 by the files of the mount point.
func cgroupFinding(root string) Finding {
	controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err == nil { // only version 2 has the file
		var lack []string
		for _, name := range []string{"cpu", "memory", "pids"} {
			if !hasWords(strings.Fields(string(controllers)), []string{name}) {
				lack = append(lack, name)
			}
		}
		if len(lack) > 0 {
			return Finding{"cgroup", Bad, "version 2 without the controllers " + strings.Join(lack, ", "), "kubelet needs them",
				"in a container: run it with --cgroupns=host, or give its cgroup the controllers; on a machine: remove cgroup_disable= from the kernel's command line"}
		}
		// Only a cgroup that is not the root of all has a type: this is a container.
		if _, err := os.Stat(filepath.Join(root, "cgroup.type")); err == nil {
			passed, _ := os.ReadFile(filepath.Join(root, "cgroup.subtree_control"))
			if !hasWords(strings.Fields(string(passed)), []string{"memory"}) {
				return Finding{"cgroup", Warn, "version 2, in a container that does not pass its controllers on", "the kernel passes none on while processes are in the cgroup itself, and dockerd needs them below",
					"move this container's processes one cgroup down first, or run the container with --cgroupns=host"}
			}
		}
		return Finding{"cgroup", OK, "version 2", "", ""}
	}
	var lack []string
	for _, name := range []string{"cpu", "memory", "pids", "devices", "freezer"} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || !info.IsDir() {
			lack = append(lack, name)
		}
	}
	if len(lack) > 0 {
		return Finding{"cgroup", Bad, "not mounted: " + strings.Join(lack, ", "), "an engine and kubelet need them", "apt-get install cgroupfs-mount && cgroupfs-mount"}
	}
	return Finding{"cgroup", OK, "version 1", "", ""}
}

func doctorMemory(context.Context, Options, Needs) []Finding {
	total, err := memory()
	if err != nil {
		return []Finding{fromError("memory", err)}
	}
	return []Finding{memoryFinding(total)}
}

func memoryFinding(total uint64) Finding {
	if total < leastRAM {
		return Finding{"memory", Bad, inGB(total), "the rig needs 8 GB: several builds at once, or a cluster with six brokers, take most of that", "use a machine with more memory, or stop what runs in a container with a limit"}
	}
	return Finding{"memory", OK, inGB(total), "", ""}
}

// inGB prints bytes, rounded down: what is too little does not read as enough.
func inGB(n uint64) string { return fmt.Sprintf("%d.%d GB", n/gb, n%gb/(gb/10)) }

// memory is the machine's, or the limit of the cgroup that this process is in.
func memory() (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, err
	}
	total := uint64(info.Totalram) * uint64(info.Unit)
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil {
			total = min(total, limit)
		}
	}
	return total, nil
}

func doctorDisk(ctx context.Context, o Options, n Needs) []Finding {
	need := n.Disk
	if need == 0 {
		need = leastDisk
	}
	h, err := o.home()
	if err != nil {
		return []Finding{fromError("disk", err)}
	}
	list := []Finding{doctorSpace("disk of the cache", o.Cache, need)}
	var st unix.Statfs_t
	if err := unix.Statfs(existing(h.dir), &st); err == nil && st.Type == unix.OVERLAYFS_SUPER_MAGIC {
		list = append(list, overlaid(ctx, o))
	}
	return list
}

// overlaid is the finding of a cache folder on an overlay: only an engine of the
// rig's own that is still to be started would have its data there.
func overlaid(ctx context.Context, o Options) Finding {
	e, err := Find(ctx, o)
	if err == nil {
		e.Close()
		return Finding{"disk of the cache", OK, "it is an overlay, on which no engine has to be started", "", ""}
	}
	return Finding{"disk of the cache", Bad, "it is an overlay", "an engine's overlay2 cannot lie on one, so that the rig's own engine would not start", "set ALERTLAB_RIG_CACHE to a folder on ext4 or xfs, such as a volume"}
}

func doctorSpace(name, dir string, need int64) Finding {
	var st unix.Statfs_t
	at := existing(dir)
	if err := unix.Statfs(at, &st); err != nil {
		return Finding{name, Warn, dir + " cannot be looked at", err.Error(), "look at: df -h " + dir}
	}
	free := st.Bavail * uint64(st.Bsize)
	what := inGB(free) + " free at " + at
	if free < uint64(need) {
		grade := Bad
		if name != "disk of the cache" {
			grade = Warn // an engine's images may be there already
		}
		why := fmt.Sprintf("what is still to be made takes %.0f GB", float64(need)/gb)
		return Finding{name, grade, what, why, "free some (go run ./hack/rig clean --build drops the build caches), or set ALERTLAB_RIG_CACHE to a folder on a larger disk"}
	}
	return Finding{name, OK, what, "", ""}
}

// existing is the folder itself or the nearest one above it that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// feature is something the kernel must have: built in, loaded, or loadable.
type feature struct {
	name   string
	config string // option of the kernel's configuration
	module string
	signs  []string // paths, one of which shows that it is there
	why    string
}

var features = []feature{
	{"overlay", "CONFIG_OVERLAY_FS", "overlay", nil, "images of containers are overlays"},
	{"veth", "CONFIG_VETH", "veth", nil, "containers and pods are joined to networks by it"},
	{"bridge", "CONFIG_BRIDGE", "bridge", nil, "an engine's networks are bridges"},
	{"br_netfilter", "CONFIG_BRIDGE_NETFILTER", "br_netfilter", []string{"/proc/sys/net/bridge/bridge-nf-call-iptables"}, "kube-proxy's rules must see what crosses a bridge"},
	{"nf_tables", "CONFIG_NF_TABLES", "nf_tables", nil, "the node's iptables writes nftables"},
	{"nft_compat", "CONFIG_NFT_COMPAT", "nft_compat", nil, "iptables' matches work in nftables by it"},
	{"iptables nat", "CONFIG_NF_NAT", "nf_nat", nil, "addresses of Services are translated"},
	{"conntrack", "CONFIG_NF_CONNTRACK", "nf_conntrack", []string{"/proc/sys/net/netfilter/nf_conntrack_max"}, "kube-proxy counts on it"},
	{"match comment", "CONFIG_NETFILTER_XT_MATCH_COMMENT", "xt_comment", nil, "all rules of kube-proxy use it"},
	{"match statistic", "CONFIG_NETFILTER_XT_MATCH_STATISTIC", "xt_statistic", nil, "Services with two or more endpoints use it"},
	{"match conntrack", "CONFIG_NETFILTER_XT_MATCH_CONNTRACK", "xt_conntrack", nil, "kube-proxy uses it"},
	{"match addrtype", "CONFIG_NETFILTER_XT_MATCH_ADDRTYPE", "xt_addrtype", nil, "node ports use it"},
	{"match mark", "CONFIG_NETFILTER_XT_MARK", "xt_mark", nil, "kube-proxy marks what it masquerades"},
	{"match physdev", "CONFIG_NETFILTER_XT_MATCH_PHYSDEV", "xt_physdev", nil, "the rig's own chain tells bridged packets by it"},
	{"target MASQUERADE", "CONFIG_NETFILTER_XT_TARGET_MASQUERADE", "xt_MASQUERADE", nil, "kube-proxy uses it"},
	{"target REJECT", "CONFIG_IP_NF_TARGET_REJECT", "ipt_REJECT", nil, "what would leave the rig is rejected"},
}

func doctorKernel(context.Context, Options, Needs) []Finding {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return []Finding{fromError("kernel", err)}
	}
	release := unix.ByteSliceToString(name.Release[:])
	config, source := kernelConfig(release)
	var lack []feature
	unknown := 0
	for _, f := range features {
		switch has, known := f.there(config, release); {
		case !known:
			unknown++
		case !has:
			lack = append(lack, f)
		}
	}
	var list []Finding
	for _, f := range lack {
		list = append(list, Finding{"kernel", Bad, f.name + " is missing in " + release, f.why, "modprobe " + f.module + ", or a kernel with " + f.config})
	}
	switch {
	case unknown > 0:
		list = append(list, Finding{"kernel", Warn, fmt.Sprintf("%s: %d of %d features could not be looked up", release, unknown, len(features)), "neither its configuration nor its modules can be read here", "if nodes do not start, compare with docs/rig.md"})
	case len(lack) == 0:
		list = append(list, Finding{"kernel", OK, fmt.Sprintf("%s has all %d features (%s)", release, len(features), source), "", ""})
	}
	return list
}

// there looks at signs, the configuration, and modules, in this order.
func (f feature) there(config map[string]bool, release string) (has, known bool) {
	for _, path := range append([]string{"/sys/module/" + f.module}, f.signs...) {
		if _, err := os.Stat(path); err == nil {
			return true, true
		}
	}
	if config != nil {
		if builtIn, ok := config[f.config]; builtIn || !ok {
			return builtIn, true
		}
	}
	// A module: it must lie where modprobe finds it.
	deps, err := os.ReadFile(filepath.Join("/lib/modules", release, "modules.dep"))
	if err != nil {
		return false, config != nil
	}
	builtin, _ := os.ReadFile(filepath.Join("/lib/modules", release, "modules.builtin"))
	name := []byte("/" + f.module + ".ko")
	return bytes.Contains(deps, name) || bytes.Contains(builtin, name), true
}

// kernelConfig maps the options that are set to whether they are built in; nil
// when the configuration is nowhere.
func kernelConfig(release string) (map[string]bool, string) {
	if f, err := os.Open("/proc/config.gz"); err == nil {
		defer f.Close()
		if z, err := gzip.NewReader(f); err == nil {
			if b, err := io.ReadAll(z); err == nil {
				return parseConfig(b), "/proc/config.gz"
			}
		}
	}
	path := "/boot/config-" + release
	if b, err := os.ReadFile(path); err == nil {
		return parseConfig(b), path
	}
	return nil, "modules"
}

func parseConfig(b []byte) map[string]bool {
	set := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && strings.HasPrefix(name, "CONFIG_") && (value == "y" || value == "m") {
			set[name] = value == "y"
		}
	}
	return set
}

func doctorInotify(context.Context, Options, Needs) []Finding {
	var limits [2]int
	for i, name := range []string{"fs/inotify/max_user_instances", "fs/inotify/max_user_watches"} {
		v, err := readSysctl(name)
		if err == nil {
			limits[i], err = strconv.Atoi(v)
		}
		if err != nil {
			return []Finding{{"inotify", Warn, "its limits cannot be read", err.Error(), "if kubelet ends with \"too many open files\", look at: sysctl fs.inotify"}}
		}
	}
	return inotifyFindings(limits[0], limits[1])
}

// inotifyFindings tells what fits into the limits.
func inotifyFindings(instances, watches int) []Finding {
	var list []Finding
	if instances < machine.ManyWatchers {
		fit := "at most " + strconv.Itoa(instances/inotifyCluster) + " of them run at once"
		if instances < inotifyCluster {
			fit = "not one of them runs"
		}
		list = append(list, Finding{"inotify", Warn, fmt.Sprintf("fs.inotify.max_user_instances is %d", instances),
			fmt.Sprintf("a cluster of a server and two agents takes about %d, so that %s, fewer where root's other programs use some", inotifyCluster, fit),
			fmt.Sprintf("for more, until the next boot: sysctl -w fs.inotify.max_user_instances=%d", machine.ManyWatchers)})
	}
	if watches < inWatches {
		list = append(list, Finding{"inotify", Warn, fmt.Sprintf("fs.inotify.max_user_watches is %d", watches),
			"kubelets and the programs in pods watch files, and fail with \"no space left on device\" when there is no watch left",
			fmt.Sprintf("until the next boot: sysctl -w fs.inotify.max_user_watches=%d", inWatches)})
	}
	if len(list) == 0 {
		list = append(list, Finding{"inotify", OK, fmt.Sprintf("the limits are enough: %d instances, about %d for a cluster of a server and two agents", instances, inotifyCluster), "", ""})
	}
	return list
}

func doctorPorts(ctx context.Context, _ Options, need Needs) []Finding {
	var list []Finding
	for _, port := range need.Ports {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", ":"+strconv.Itoa(port))
		if err == nil {
			l.Close()
			continue
		}
		f := Finding{"ports", Bad, fmt.Sprintf("TCP port %d cannot be opened", port), err.Error(), fmt.Sprintf("stop what has it: ss -ltnp 'sport = :%d'", port)}
		if errors.Is(err, syscall.EADDRINUSE) {
			f.Why = "another program listens there"
		}
		list = append(list, f)
	}
	if len(need.Ports) > 0 && len(list) == 0 {
		list = append(list, Finding{"ports", OK, fmt.Sprintf("all %d are free", len(need.Ports)), "", ""})
	}
	return list
}

// Problems keeps the findings that are not well.
func Problems(list []Finding, least Grade) []Finding {
	var bad []Finding
	for _, f := range list {
		if f.Grade >= least {
			bad = append(bad, f)
		}
	}
	return bad
}
