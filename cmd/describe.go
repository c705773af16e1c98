package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/internal/ownimage"
	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

// choice is what the flags of up and plan say of a lab.
type choice struct {
	profile, provider, stack string
	nodeImage, bundle        string   // of a lab on Kubernetes
	addressPool              string   // of one whose brokers have addresses of their own
	deployer                 string   // of one on Kubernetes
	ingress, ingressAddress  string   // of one on Kubernetes
	set                      []string // path=value each, over the environment
	existing                 onExisting
	advertise                string
	advertiseSet             func() bool // whether it was given
}

// providers are where labs can run.
func providers() []string { return catalog.Providers() }

// onLoopback is what --advertise is given to take an address back.
const onLoopback = "loopback"

// ownPool is what --address-pool is given to take a range back.
const ownPool = "auto"

func (ch *choice) flags(c *cobra.Command) {
	c.Flags().StringVar(&ch.profile, "profile", "", "profile, or a file (environment: ALERTLAB_PROFILE; default: the lab's, else local)")
	c.Flags().StringVar(&ch.provider, "provider", "", strings.Join(catalog.Providers(), ", ")+" (environment: ALERTLAB_PROVIDER; default: "+catalog.Embedded+")")
	c.Flags().StringVar(&ch.stack, "stack", "", "which components make the lab (default: the profile's)")
	c.Flags().StringVar(&ch.nodeImage, "node-image", "", "k3d, kind: image of the nodes (environment: ALERTLAB_NODE_IMAGE; default: k3s, kind's own)")
	c.Flags().StringVar(&ch.bundle, "bundle", "", "file with images and others' charts (environment: ALERTLAB_BUNDLE; default: pulled)")
	c.Flags().StringVar(&ch.addressPool, "address-pool", "", "addresses for brokers, FIRST-LAST or a prefix, or "+ownPool+" (environment: ALERTLAB_ADDRESS_POOL)")
	c.Flags().StringVar(&ch.deployer, "deployer", "", "k3d, kind: helm or argocd deploys (environment: ALERTLAB_DEPLOYER; default: helm)")
	ingressFlag(c, &ch.ingress)
	c.Flags().StringVar(&ch.ingressAddress, "ingress-address", "", "with --ingress class:NAME: HOST:PORT of its controller (default: what that says)")
	ch.existing.flags(c)
	setFlag(c, &ch.set)
	c.Flags().StringVar(&ch.advertise, "advertise", "", "ADDRESS or ADDRESS:PORT at which others reach the lab, or "+onLoopback+" (default: as before)")
	ch.advertiseSet = func() bool { return c.Flags().Changed("advertise") }
	must(c.RegisterFlagCompletionFunc("advertise", cobra.FixedCompletions([]string{onLoopback}, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("profile", completeProfiles))
	must(c.RegisterFlagCompletionFunc("deployer", cobra.FixedCompletions(catalog.Deployers(), cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("provider", cobra.FixedCompletions(providers(), cobra.ShellCompDirectiveNoFileComp)))
}

// again is a verb with the same choice, as it was typed: plan of what up was asked for,
// and the other way round.
func (ch *choice) again(c *cobra.Command, verb string, more ...string) string {
	words := []string{c.Root().Name(), verb}
	for _, name := range append([]string{"lab", "profile", "provider", "stack", "node-image", "bundle", "address-pool", "deployer", "ingress", "ingress-address", "advertise"}, existingFlags...) {
		if f := c.Flag(name); f.Changed && f.Value.Type() == "bool" {
			words = append(words, "--"+name+"="+f.Value.String())
		} else if f.Changed {
			words = append(words, "--"+name, shellWord(f.Value.String()))
		}
	}
	for _, value := range ch.set {
		words = append(words, "--set", shellWord(value))
	}
	return strings.Join(append(words, more...), " ")
}

// ingressFlag adds --ingress.
func ingressFlag(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "ingress", "", "nginx, traefik, none or class:NAME (environment: ALERTLAB_INGRESS; default: the stack's)")
	must(c.RegisterFlagCompletionFunc("ingress", cobra.FixedCompletions(catalog.Ingresses(), cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)))
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// setFlag adds --set, which goes over the environment.
func setFlag(c *cobra.Command, set *[]string) {
	var paths []string
	for _, v := range profiles.Variables() {
		paths = append(paths, v.Path+"=\t"+v.Description)
	}
	c.Flags().StringArrayVar(set, "set", nil, "PATH=VALUE of the profile, e.g. simulator.alerts=50; again for each")
	must(c.RegisterFlagCompletionFunc("set", cobra.FixedCompletions(paths, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)))
}

func completeProfiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, p := range profiles.List() {
		names = append(names, p.Name+"\t"+p.Description)
	}
	return names, cobra.ShellCompDirectiveDefault // files too
}

// describe says what lab is meant: flags, else environment, else what the lab
// was before, else the defaults.
func (a *app) describe(dir state.Dir, ch choice) (state.Description, error) {
	before, err := dir.Describe()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return before, err
	}
	known := err == nil
	desc := before
	desc.Name = dir.Lab()
	if !known {
		desc.Created = time.Now().UTC().Truncate(time.Second)
	}
	desc.Provider = first(ch.provider, a.getenv("ALERTLAB_PROVIDER"), before.Provider, catalog.Embedded)
	if known && desc.Provider != before.Provider {
		return desc, fault.New(fault.BadInput, fmt.Sprintf("lab %s is on provider %s and cannot move to %s", desc.Name, before.Provider, desc.Provider),
			"a lab stays where it was made", fmt.Sprintf("alertlab up --lab ANOTHER --provider %s", desc.Provider))
	}
	named := first(ch.profile, a.getenv("ALERTLAB_PROFILE"))
	p, ref, err := loadProfile(first(named, before.Profile, "local"))
	var f *fault.Fault
	if errors.Is(err, fs.ErrNotExist) && known && named == "" && !errors.As(err, &f) {
		// The file is gone; the lab knows what it said.
		if p, err = profiles.Parse(before.Profile, []byte(before.Resolved)); err == nil {
			ref = before.Profile
			fmt.Fprintf(a.err, "%s is gone; the lab goes on with what it said last\n", ref)
		}
	}
	if err != nil {
		return desc, profileMissing(err)
	}
	environ := a.environ()
	if named == "" {
		environ = append(slices.Clone(before.Overrides), environ...)
	}
	if p, err = profiles.Override(p, environ, ch.set...); err != nil {
		return desc, err
	}
	desc.Profile, desc.Resolved, desc.Overrides = ref, string(p.Source()), overrides(append(environ, profiles.Environ(ch.set)...))
	desc.Stack = first(ch.stack, p.Stack)
	if named == "" && ch.stack == "" && before.Stack != "" {
		desc.Stack = before.Stack
	}
	if ch.advertiseSet != nil && ch.advertiseSet() {
		if desc.Advertise = ch.advertise; ch.advertise == onLoopback {
			desc.Advertise = ""
		}
	}
	desc.Published = a.getenv(ownimage.Marker) != "" && desc.Advertise != ""
	if desc.Cluster, err = a.madeOf(desc, known, before.Cluster, ch); err != nil || desc.Provider == catalog.Embedded {
		return desc, err
	}
	if !known {
		return desc, catalog.CheckIngress(desc, nil)
	}
	return desc, catalog.CheckIngress(desc, &before)
}

// madeOf says what a lab on Kubernetes is made of: flags, else environment, else what
// it was made of before. Its own image is always this program's.
func (a *app) madeOf(desc state.Description, known bool, before state.Cluster, ch choice) (state.Cluster, error) {
	provider := desc.Provider
	if ch.existing.realAddresses && provider != catalog.Existing {
		return before, fault.New(fault.BadInput, "--real-addresses: only for a cluster that is there already",
			"this lab is on provider "+provider+", whose network is this machine's own: the real system's addresses lead nowhere there",
			"alertlab up --provider "+catalog.Existing+" --context NAME --real-addresses   # or without it, for addresses of the lab's own")
	}
	if given := ch.existing.given(); provider != catalog.Existing && len(given) > 0 {
		slices.Sort(given)
		return before, fault.New(fault.BadInput, strings.Join(given, ", ")+": only for a cluster that is there already", "this lab is on provider "+provider, "alertlab up --provider "+catalog.Existing+" --context NAME")
	}
	if provider == catalog.Embedded {
		if ch.nodeImage != "" || ch.bundle != "" || ch.addressPool != "" || ch.deployer != "" || ch.ingress != "" || ch.ingressAddress != "" {
			return before, fault.New(fault.BadInput, "--node-image, --bundle, --address-pool, --deployer and --ingress are for labs on Kubernetes", "this lab is embedded, and runs no image", "alertlab up --provider "+catalog.K3d)
		}
		return before, nil
	}
	executable, err := os.Executable()
	if err != nil {
		return before, err
	}
	c := state.Cluster{NodeImage: first(ch.nodeImage, a.getenv("ALERTLAB_NODE_IMAGE"), before.NodeImage, catalog.NodeImage(provider))}
	if c.Bundle = first(ch.bundle, a.getenv("ALERTLAB_BUNDLE"), before.Bundle); c.Bundle != "" {
		if c.Bundle, err = filepath.Abs(c.Bundle); err != nil {
			return c, err
		}
	}
	if c.AddressPool = first(ch.addressPool, a.getenv("ALERTLAB_ADDRESS_POOL"), before.AddressPool); c.AddressPool == ownPool {
		c.AddressPool = ""
	}
	was := first(before.Deployer, catalog.Helm)
	if !known {
		was = ""
	}
	c.Deployer = first(ch.deployer, a.getenv("ALERTLAB_DEPLOYER"), was, catalog.Helm)
	if err := catalog.CheckDeployer(c.Deployer, provider); err != nil {
		return c, err
	}
	c.Ingress = first(ch.ingress, a.getenv("ALERTLAB_INGRESS"), before.Ingress)
	c.IngressAddress = first(ch.ingressAddress, before.IngressAddress)
	asked := desc
	asked.Cluster = c
	if c.Charts, err = catalog.BundledCharts(asked); err != nil {
		return c, err
	}
	if known && c.Deployer != was {
		return c, fault.New(fault.BadInput, fmt.Sprintf("lab %s is deployed by %s and cannot change to %s", desc.Name, was, c.Deployer),
			"what one deployer made the other one does not know", fmt.Sprintf("alertlab up --lab ANOTHER --deployer %s   # or alertlab down --purge, which deletes the lab, then again", c.Deployer))
	}
	if provider == catalog.Existing {
		if err := a.placed(&c, before, ch.existing); err != nil {
			return c, err
		}
		if err := a.announcing(&c, before, ch); err != nil {
			return c, err
		}
		with := desc
		with.Cluster = c
		if err := catalog.CheckReal(with); err != nil {
			return c, err
		}
		was := with
		was.Cluster = before
		if err := catalog.CheckMove(was, with); err != nil {
			return c, err
		}
	}
	c.Image, err = ownimage.Reference(executable)
	return c, fault.Wrap(fault.BadInput, "this program cannot run in pods", err, "make build")
}

// loadProfile loads a profile by name, or from a file when ref looks like a path,
// and gives the reference by which a later process finds it again.
func loadProfile(ref string) (*profiles.Profile, string, error) {
	if !strings.ContainsAny(ref, `/\`) && filepath.Ext(ref) == "" {
		p, err := profiles.Load(ref)
		return p, ref, err
	}
	path, err := filepath.Abs(ref)
	if err != nil {
		return nil, "", err
	}
	p, err := profiles.LoadFile(path)
	return p, path, err
}

// profileMissing says what to do about a file that is not there.
func profileMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.BadInput, "the profile file cannot be read", err, "alertlab profile list   # or name a file that is there")
	}
	return err
}

// overrides picks the variables of the profile out of an environment; of those
// that stand there twice the later one counts.
func overrides(environ []string) []string {
	var out []string
	for _, v := range profiles.Variables() {
		value := ""
		for _, e := range environ {
			if name, text, ok := strings.Cut(e, "="); ok && name == v.Name && text != "" {
				value = text
			}
		}
		if value != "" {
			out = append(out, v.Name+"="+value)
		}
	}
	return out
}

// variables lists what the environment may change of a profile, for help texts.
func variables() string {
	var b strings.Builder
	for _, v := range profiles.Variables() {
		fmt.Fprintf(&b, "  %-30s %s (%s)\n", v.Name, v.Description, v.Path)
	}
	return strings.TrimRight(b.String(), "\n")
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
