package cmd

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/existing"
)

// onExisting is what the flags say of a cluster that was there before the lab.
type onExisting struct {
	context, kubeconfig, registry, storageClass, nodeAddress string
	adopt, imagesLoaded, realAddresses                       bool
	realSet                                                  func() bool // whether --real-addresses was given
}

// existingFlags are the names of its flags.
var existingFlags = []string{"context", "kubeconfig", "registry", "storage-class", "node-address", "adopt", "images-loaded", realFlag}

// realFlag is the name of the flag that has a lab announce the addresses of its profile's
// source.
const realFlag = "real-addresses"

func (e *onExisting) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&e.context, "context", "", "with existing: context of the kubeconfig (environment: ALERTLAB_CONTEXT)")
	f.StringVar(&e.kubeconfig, "kubeconfig", "", "with existing: kubeconfig that has the context (default: $KUBECONFIG, else ~/.kube/config)")
	f.StringVar(&e.registry, "registry", "", "with existing: HOST/PATH of a registry from which the nodes pull all images")
	f.BoolVar(&e.imagesLoaded, "images-loaded", false, "with existing: the nodes have all images already")
	f.StringVar(&e.storageClass, "storage-class", "", "with existing: the cluster's class for volumes (default: its default class)")
	f.StringVar(&e.nodeAddress, "node-address", "", "with existing: address at which the nodes' ports are reached (default: a node's own)")
	f.BoolVar(&e.realAddresses, realFlag, false, "with existing: announce the addresses of the profile's source; =false takes it back")
	e.realSet = func() bool { return f.Changed(realFlag) }
	f.BoolVar(&e.adopt, "adopt", false, "with existing: live in namespaces that somebody else made, too")
	must(c.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		names, err := existing.Source{File: e.kubeconfig}.Contexts()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}))
}

// given says which of the flags were named.
func (e *onExisting) given() []string {
	var out []string
	for name, is := range map[string]bool{"context": e.context != "", "kubeconfig": e.kubeconfig != "", "registry": e.registry != "", "storage-class": e.storageClass != "",
		"node-address": e.nodeAddress != "", "adopt": e.adopt, "images-loaded": e.imagesLoaded, realFlag: e.realAddresses} {
		if is {
			out = append(out, "--"+name)
		}
	}
	return out
}

// placed says where on a cluster that was there a lab is: flags, else environment, else
// where it was before. A lab stays on its cluster.
func (a *app) placed(c *state.Cluster, before state.Cluster, e onExisting) error {
	c.Context = first(e.context, a.getenv("ALERTLAB_CONTEXT"), before.Context)
	c.Kubeconfig = first(e.kubeconfig, before.Kubeconfig)
	if before.Context != "" && c.Context != before.Context {
		return fault.New(fault.BadInput, fmt.Sprintf("the lab is on the cluster of context %s and cannot move to %s", before.Context, c.Context),
			"a lab stays where it was made", "alertlab up --lab ANOTHER --provider existing --context "+c.Context)
	}
	var err error
	if c.Kubeconfig != "" {
		if c.Kubeconfig, err = filepath.Abs(c.Kubeconfig); err != nil {
			return err
		}
	}
	if e.registry != "" && e.imagesLoaded {
		return fault.New(fault.BadInput, "--registry and --images-loaded exclude each other", "nodes pull images or have them", "alertlab up --provider existing --registry HOST/PATH")
	}
	c.NodeImage = "" // its nodes are not the lab's to make or fill; of a bundle it takes charts
	c.Registry, c.ImagesLoaded = strings.TrimSuffix(first(e.registry, before.Registry), "/"), e.imagesLoaded || before.ImagesLoaded
	if e.registry != "" {
		c.ImagesLoaded = false
	} else if e.imagesLoaded {
		c.Registry = ""
	}
	c.StorageClass, c.NodeAddress = first(e.storageClass, before.StorageClass), first(e.nodeAddress, before.NodeAddress)
	c.Adopt = e.adopt || before.Adopt
	_, err = existing.Source{Context: c.Context, File: c.Kubeconfig}.Kubeconfig()
	return err
}

// announcing says whose addresses a lab announces: the real system's, those of a pool, or
// none. What was named last counts, and both at a time are refused.
func (a *app) announcing(c *state.Cluster, before state.Cluster, ch choice) error {
	set := ch.existing.realSet != nil && ch.existing.realSet()
	switch {
	case set && ch.existing.realAddresses && ch.addressPool != "" && ch.addressPool != ownPool:
		return fault.New(fault.BadInput, "--real-addresses and --address-pool exclude each other", "brokers have the real system's addresses or those of a pool",
			"alertlab up --provider existing --address-pool FIRST-LAST   # addresses of no real system")
	case set:
		c.RealAddresses = ch.existing.realAddresses
	default:
		c.RealAddresses = before.RealAddresses && first(ch.addressPool, a.getenv("ALERTLAB_ADDRESS_POOL")) == ""
	}
	if c.RealAddresses {
		c.AddressPool = ""
	}
	return nil
}

// announcesAnew says whether a lab that is there shall announce the real system's
// addresses, and did not.
func announcesAnew(dir state.Dir, wanted state.Description) bool {
	before, err := dir.Describe()
	return err == nil && wanted.Cluster.RealAddresses && !before.Cluster.RealAddresses
}

// survey looks at the cluster of a lab on provider existing, prints what was found, and
// says what stands against the lab.
func (a *app) survey(ctx context.Context, desc state.Description) error {
	if desc.Provider != catalog.Existing {
		return nil
	}
	s, err := catalog.Survey(ctx, desc)
	if err != nil {
		return err
	}
	fmt.Fprint(a.err, s.Text())
	return s.Err()
}
