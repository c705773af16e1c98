package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Graph is what each package imports, by path. Packages of this project are
// named by their folder below the module ("lab/plan", "" for the top), others by
// their import path. Imports of tests do not count.
type Graph map[string][]string

// Rule is one sentence about a Graph.
type Rule struct {
	Name string
	// Why is the reason, printed with every violation.
	Why string
	// From says whom the rule is about.
	From func(pkg string) bool
	// May says what such a package may import. It is asked about every
	// import, of this project and of others.
	May func(pkg, imported string) bool
	// Deep asks about everything that is reached through others, too.
	Deep bool
}

// Check lists the violations, sorted, a line each.
func Check(g Graph, rules []Rule) []string {
	var out []string
	for _, r := range rules {
		for _, pkg := range slices.Sorted(maps.Keys(g)) {
			if !r.From(pkg) {
				continue
			}
			for _, path := range reached(g, pkg, r.Deep) {
				if imported := path[len(path)-1]; !r.May(pkg, imported) {
					out = append(out, fmt.Sprintf("%s: %s; %s", r.Name, strings.Join(path, " -> "), r.Why))
				}
			}
		}
	}
	return out
}

// reached lists the shortest way to each package that pkg imports, or reaches.
func reached(g Graph, pkg string, deep bool) [][]string {
	var out [][]string
	visited := map[string]bool{pkg: true}
	for next := [][]string{{pkg}}; len(next) > 0; next = next[1:] {
		path := next[0]
		for _, imported := range slices.Sorted(slices.Values(g[path[len(path)-1]])) {
			if visited[imported] {
				continue
			}
			visited[imported] = true
			way := append(slices.Clone(path), imported)
			out = append(out, way)
			if deep {
				next = append(next, way)
			}
		}
	}
	return out
}

// Rules are those of this project. ours says whether an import is of this
// project; the rest is other people's.
func Rules(ours func(string) bool) []Rule {
	others := func(imported string) bool { return !ours(imported) }
	in := func(names ...string) func(string) bool {
		return func(pkg string) bool {
			return slices.ContainsFunc(names, func(n string) bool { return pkg == n || strings.HasPrefix(pkg, n+"/") })
		}
	}
	exactly := func(names ...string) func(string) bool {
		return func(pkg string) bool { return slices.Contains(names, pkg) }
	}
	except := func(from func(string) bool, but func(string) bool) func(string) bool {
		return func(pkg string) bool { return from(pkg) && !but(pkg) }
	}
	onlyOurs := func(allowed func(string) bool) func(string, string) bool {
		return func(_, imported string) bool { return others(imported) || allowed(imported) }
	}
	not := func(forbidden func(string) bool) func(string, string) bool {
		return func(_, imported string) bool { return !forbidden(imported) }
	}
	kubernetes := in("k8s.io", "sigs.k8s.io", "github.com/k3d-io", "github.com/argoproj", "helm.sh", "github.com/docker")
	nobody := func(string) bool { return false }
	everyone := ours

	return []Rule{
		{Name: "the data plane stands alone", From: in("alerts"), May: onlyOurs(in("alerts")),
			Why: "alerts is the part that runs in pods and in other people's programs: it knows nothing of labs"},
		{Name: "plans are pure", From: exactly("lab/plan"), May: onlyOurs(nobody), Deep: true,
			Why: "the same arguments give the same plan, whatever components there are"},
		{Name: "profiles and stacks are data", From: exactly("profiles", "stacks"), May: onlyOurs(exactly("internal/strictyaml")), Deep: true,
			Why: "an environment is a file; what implements it is the catalog's to know"},
		{Name: "imports make profiles", From: in("profiles/phalanx"), May: onlyOurs(exactly("profiles", "internal/strictyaml")), Deep: true,
			Why: "what reads another format knows that format and ours"},
		{Name: "leaves", From: exactly("lab/event", "lab/fault", "lab/authority", "endpoints", "internal/strictyaml", "internal/ports", "internal/poll", "internal/kube", "internal/node", "internal/ownimage", "charts"), May: onlyOurs(nobody),
			Why: "everybody may import them, so they import nothing of ours"},
		{Name: "the state is a leaf but for data", From: exactly("lab/state"), May: onlyOurs(exactly("endpoints", "profiles")),
			Why: "it knows where things lie, not what they mean"},
		{Name: "a walk knows no component", From: in("lab/run", "lab/runner"), May: not(in("provider", "content", "component", "lab/catalog", "alerts")), Deep: true,
			Why: "what to do stands in the plan, how stands in the parts that are handed in"},
		{Name: "smoke sees endpoints only", From: in("smoke"), Deep: true, May: onlyOurs(in("endpoints", "smoke",
			"alerts/admin", "alerts/archive", "alerts/kafka", "alerts/objectstore", "alerts/packet", "alerts/registry", "alerts/simulator")),
			Why: "a check that looks inside proves nothing about any other lab: it gets what a client gets"},
		{Name: "views show events", From: in("render", "tui"), May: onlyOurs(in("lab/event", "lab/fault", "endpoints", "render", "tui", "alerts/avrotype", "alerts/cutout", "alerts/record", "alerts/schemadiff")), Deep: true,
			Why: "what is shown is what the events say, the same in every view; of alerts, views know the values that are shown and nothing that fetches them"},
		{Name: "what is seen of an alert is pure", From: exactly("alerts/avrotype", "alerts/cutout", "alerts/record", "alerts/schemadiff"), May: onlyOurs(exactly("alerts/avrotype", "alerts/cutout")), Deep: true,
			Why: "views and verbs show the same values, and neither decodes nor fetches by the way"},
		{Name: "pages do not know each other", From: in("tui"), May: func(pkg, imported string) bool {
			return !in("tui")(imported) || in("tui/page", "tui/kit", "tui/unasked", pkg)(imported) || imported == "tui"
		}, Why: "a page is opened, filled and tested by itself; which there are stands in one table of the command line"},
		{Name: "content serves every provider", From: in("content"), May: not(in("provider")), Deep: true,
			Why: "topics and users are made by the same code in process and on a real cluster"},
		{Name: "twins meet through addresses", From: in("provider/embedded"), May: func(pkg, imported string) bool {
			return !in("provider/embedded")(imported) || imported == "provider/embedded"
		}, Why: "what holds in one process must hold on a cluster, where components have no memory in common"},
		{Name: "only the command line composes", From: except(everyone, in("cmd")), May: not(in("lab/catalog")),
			Why: "whoever imports the catalog imports every component that there is"},
		{Name: "embedded labs are the catalog's and labtest's", From: except(everyone, in("lab/catalog", "labtest")), May: not(in("lab/inprocess")),
			Why: "it composes as the catalog does, for those who must not reach Kubernetes"},
		{Name: "nobody imports the command line", From: except(everyone, exactly("", "cmd", "hack/reference", "hack/bench/profiled", "hack/chaos/deadly")), May: not(exactly("cmd")),
			Why: "it is where everything ends up, not where anything begins"},
		{Name: "one place for versitygw", From: except(everyone, exactly("alerts/objectstore/gateway")), May: not(in("github.com/versity/versitygw")),
			Why: "the server changes its process's working directory, and may only be linked where it runs as a child"},
		{Name: "the gateway is for the command line", From: except(everyone, in("cmd", "labtest")), May: not(in("alerts/objectstore/gateway")),
			Why: "clients of the object store, pods among them, must not carry the server"},
		{Name: "one place for kfake", From: except(everyone, exactly("alerts/broker")), May: not(in("github.com/twmb/franz-go/pkg/kfake")),
			Why: "alerts/broker mends what kfake lacks; without it a cluster forgets and forgives too much"},
		{Name: "a bundle is a format", From: in("bundle"), May: onlyOurs(nobody),
			Why: "a site reads a bundle with whatever it has: the format knows nothing of labs"},
		{Name: "nothing ships what only builds", From: except(everyone, in("hack")), May: not(in("hack")),
			Why: "hack holds what builds and measures the project, and is no part of it"},
		{Name: "programs of nodes are small", From: in("hack/rig/programs", "hack/rig/node", "hack/rig/runc"), Deep: true,
			May: func(_, imported string) bool {
				return in("hack/rig/programs", "hack/rig/node", "hack/rig/runc", "lab/fault", "golang.org/x/sys", "gopkg.in/yaml.v3")(imported) ||
					others(imported) && !strings.Contains(strings.Split(imported, "/")[0], ".")
			},
			Why: "they start with every node and every container, before there is any cluster"},
		{Name: "components know no deployer", From: in("component"), May: not(in("deployer", "provider", "lab/catalog")),
			Why: "the same charts and values go by Helm and by Argo CD, to any cluster"},
		{Name: "one place for Argo CD's client", From: except(everyone, in("deployer/argocd", "hack")), May: not(in("github.com/argoproj")),
			Why: "it reaches most of Kubernetes: whoever else speaks of Argo CD does so by component/argocd's names"},
		{Name: "deployers know no provider", From: in("deployer"), May: not(in("provider")),
			Why: "a release reaches any cluster by its API"},
		{Name: "the cluster's provider makes clusters", From: in("provider/k3d", "provider/kind", "provider/nodes", "provider/existing"), May: not(in("component", "deployer", "provider/embedded", "content")),
			Why: "what runs on the nodes is the components' to say"},
		{Name: "Kubernetes' libraries have their rooms", From: except(everyone, in("hack", "internal/kube", "internal/node", "internal/kubectlwords", "component/credentials", "deployer", "provider/k3d", "provider/kind", "provider/nodes", "provider/existing", "labtest")),
			May: not(kubernetes),
			Why: "an interface of theirs that spreads is an interface of ours that changes with each of their releases"},
		{Name: "what others import reaches no Kubernetes", From: in("alerts", "content", "endpoints", "profiles", "smoke", "stacks", "lab/plan", "lab/run", "lab/runner", "lab/inprocess", "render", "tui"), Deep: true,
			May: not(kubernetes),
			Why: "a module that reaches these libraries inherits our replacements of them"},
		{Name: "what is decided on paper is pure", From: exactly("lab/fit", "lab/versions"), May: onlyOurs(exactly("charts")), Deep: true,
			Why: "whether a lab fits, and by which versions, is the same on every machine"},
		{Name: "tests of other projects reach no Kubernetes", From: in("labtest"), Deep: true,
			May: not(in("k8s.io", "sigs.k8s.io", "github.com/k3d-io", "github.com/argoproj", "helm.sh")),
			Why: "as above; a lab in a container needs the engine's API, which needs no replacement"},
		{Name: "rules are for tests", From: except(everyone, in("hack/chaos", "internal/chaos")), May: not(in("internal/rules", "internal/chaos", "internal/structdoc", "tui/internal/golden")),
			Why: "they are about the project, not of it"},
	}
}
