package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/hack/rig/cluster"
	"github.com/alertlab/alertlab/hack/rig/engine"
	"github.com/alertlab/alertlab/hack/rig/images"
	"github.com/alertlab/alertlab/hack/rig/parts"
	"github.com/alertlab/alertlab/lab/fault"
)

// state is where records of clusters and their kubeconfigs lie.
func (r *rig) state() string { return filepath.Join(r.cache, "clusters") }

// beforeFile keeps what the machine had before the first cluster on an engine.
func (r *rig) beforeFile(e *engine.Engine) string {
	sum := sha256.Sum256([]byte(e.Host))
	return filepath.Join(r.cache, "before-"+hex.EncodeToString(sum[:4])+".json")
}

// forgetBefore removes all of them.
func (r *rig) forgetBefore() error {
	files, err := filepath.Glob(filepath.Join(r.cache, "before*.json"))
	for _, file := range files {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// openClusters needs made only where clusters are made.
func (r *rig) openClusters(e *engine.Engine, made images.Result) (*cluster.Clusters, error) {
	return cluster.Open(cluster.Options{Docker: e.Client(), State: r.state(),
		ToolsImage: made.Reference("k3d-tools"), ProxyImage: made.Reference("k3d-proxy")})
}

func (r *rig) clusterVerb() *cobra.Command {
	var name, maker, output string
	var plain bool
	var servers, agents int
	var labels, taints, wanted []string
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Make a cluster; its kubeconfig is printed",
		Long: `cluster makes a Kubernetes cluster out of the rig's node image, through k3d's Go
module, kind's, or with the Docker engine only (--plain), and returns when every node
is Ready. What was not made yet is made first. --load brings images of the bundle
into its nodes.`,
		Example: `  rig cluster                                # k3d, one server and two agents
  rig cluster --maker kind --name two
  rig cluster --plain
  rig cluster --agents 3 --label kafka=ok --taint kafka=ok:NoSchedule
  export KUBECONFIG=$(go run ./hack/rig cluster)`,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			if plain {
				if c.Flags().Changed("maker") && maker != string(cluster.Plain) {
					return fault.New(fault.BadInput, "--plain and --maker "+maker+" exclude each other", "a plain cluster is made by neither k3d nor kind", "go run ./hack/rig cluster --plain")
				}
				maker = string(cluster.Plain)
			}
			pool := cluster.NodePool{Agents: agents, Taints: taints, Labels: map[string]string{}}
			for _, l := range labels {
				key, value, ok := strings.Cut(l, "=")
				if !ok || key == "" {
					return fault.New(fault.BadInput, "--label "+l+" cannot be read", "a label is KEY=VALUE", "go run ./hack/rig cluster --label kafka=ok")
				}
				pool.Labels[key] = value
			}
			return r.withNode(ctx, func(e *engine.Engine, made images.Result) error {
				clusters, err := r.openClusters(e, made)
				if err != nil {
					return err
				}
				release, err := r.lockClusters(ctx, "makes cluster "+name)
				if err != nil {
					return err
				}
				defer release() //nolint:errcheck // the end of the process releases it too
				if err := r.remember(ctx, e, clusters); err != nil {
					return err
				}
				begun := time.Now()
				ready, err := clusters.Create(ctx, cluster.Config{
					Name: name, Maker: cluster.Maker(maker), Servers: servers, Pools: []cluster.NodePool{pool}, Image: made.Node.Reference,
					Report: r.clusterReport,
				})
				if err != nil {
					return err
				}
				r.say("cluster: %s Ready in %s%s", name, round(time.Since(begun)), r.times().last("cluster "+maker))
				if err := r.times().put("cluster "+maker, true, false, time.Since(begun)); err != nil {
					return err
				}
				if len(wanted) > 0 {
					if err := r.importImages(ctx, ready, wanted); err != nil {
						return err
					}
				}
				return r.print(output, map[string]any{"name": name, "maker": maker, "kubeconfig": ready.KubeconfigFile, "network": ready.Network, "nodes": nodeNames(ready)}, func(w io.Writer) {
					fmt.Fprintln(w, ready.KubeconfigFile)
				})
			})
		},
	}
	c.AddCommand(r.clusterList(), r.clusterDelete())
	f := c.Flags()
	f.StringVar(&name, "name", "rig", "name of the cluster")
	f.StringVar(&maker, "maker", string(cluster.K3d), "what makes it: k3d, kind or plain")
	f.BoolVar(&plain, "plain", false, "the same as --maker plain")
	f.IntVar(&servers, "servers", 1, "servers (nodes of the control plane)")
	f.IntVar(&agents, "agents", 2, "agents (the other nodes)")
	f.StringArrayVar(&labels, "label", nil, "label of the agents, KEY=VALUE; may be given again")
	f.StringArrayVar(&taints, "taint", nil, "taint of the agents, KEY[=VALUE]:EFFECT; may be given again")
	f.StringArrayVar(&wanted, "load", nil, "image of the bundle to bring into the nodes, or all; may be given again")
	f.StringVarP(&output, "output", "o", "text", "text (the kubeconfig's path) or json")
	return c
}

func (r *rig) clusterList() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the rig's clusters",
		Example: "  rig cluster list\n  rig cluster list --output json",
		RunE: func(c *cobra.Command, _ []string) error {
			type row struct {
				Name, Maker, Network, Kubeconfig string
				Nodes                            []string
			}
			rows := []row{}
			err := r.withClusters(c.Context(), func(_ *engine.Engine, clusters *cluster.Clusters) error {
				list, err := clusters.List(c.Context())
				for _, one := range list {
					rows = append(rows, row{one.Name, string(one.Maker), one.Network, one.KubeconfigFile, nodeNames(one)})
				}
				return err
			})
			if err != nil && !errors.Is(err, engine.ErrNone) {
				return err
			}
			return r.print(output, rows, func(w io.Writer) {
				if len(rows) == 0 {
					fmt.Fprintln(w, "there is no cluster")
				}
				for _, one := range rows {
					fmt.Fprintf(w, "%-20s %-6s %s  %s\n", one.Name, one.Maker, strings.Join(one.Nodes, " "), one.Kubeconfig)
				}
			})
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return c
}

func (r *rig) clusterDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME...",
		Short:   "Take some clusters away",
		Example: "  rig cluster delete two",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(c *cobra.Command, names []string) error { return r.takeDown(c.Context(), names) },
	}
}

func nodeNames(c *cluster.Cluster) []string {
	var names []string
	for _, n := range c.Nodes {
		names = append(names, n.Name())
	}
	return names
}

// lockClusters makes this the only rig that makes clusters or takes them away.
func (r *rig) lockClusters(ctx context.Context, what string) (release func() error, err error) {
	return parts.Lock(ctx, r.state(), what, func(h parts.Holder) { r.say("cluster: waits for %s", h) })
}

// withClusters runs f with the engine that is there. engine.ErrNone when none is.
func (r *rig) withClusters(ctx context.Context, f func(*engine.Engine, *cluster.Clusters) error) error {
	e, err := engine.Find(ctx, r.engineOptions())
	if err != nil {
		return err
	}
	defer e.Close() //nolint:errcheck // a connection
	if err := os.Setenv("DOCKER_HOST", e.Host); err != nil {
		return err
	}
	clusters, err := r.openClusters(e, images.Result{})
	if err != nil {
		return err
	}
	return f(e, clusters)
}

func (r *rig) clusterReport(p cluster.Progress) {
	r.say("cluster: %s %5.1fs %s", p.Cluster, p.Elapsed.Seconds(), p.Text)
}

// remember records what the machine has, once, before the first cluster.
func (r *rig) remember(ctx context.Context, e *engine.Engine, clusters *cluster.Clusters) error {
	list, err := clusters.List(ctx)
	if err != nil {
		return err
	}
	if _, err := os.Stat(r.beforeFile(e)); err == nil && len(list) > 0 {
		return nil
	}
	before, err := engine.Snapshot(ctx, e)
	if err != nil {
		return err
	}
	return writeJSON(r.beforeFile(e), before)
}

// importImages brings images of the bundle into the nodes that lack them.
func (r *rig) importImages(ctx context.Context, c *cluster.Cluster, wanted []string) error {
	b, err := bundle.Open(r.bundleFile())
	if err != nil {
		return fault.Wrap(fault.StepFailed, "the bundle cannot be read", err, "go run ./hack/rig bundle")
	}
	defer b.Close() //nolint:errcheck // only read
	if len(wanted) == 1 && wanted[0] == "all" {
		wanted = nil
	}
	var nodes []bundle.Node
	for _, n := range c.Nodes {
		nodes = append(nodes, n)
	}
	meter := r.meter("import")
	reports, err := b.Import(ctx, nodes, bundle.ImportOptions{Images: wanted, Progress: func(p bundle.Progress) { meter(p.Step, p.Done, p.Total) }})
	for _, n := range reports {
		r.say("import: %s took %d images (%s) in %s, had %d", n.Node, len(n.Sent), megabytes(n.Bytes), round(n.Took), len(n.Skipped))
	}
	return fault.Wrap(fault.StepFailed, "not every node has its images", err, "go run ./hack/rig all")
}

// withNode runs f with an engine that has the node image, and with the bundle made.
func (r *rig) withNode(ctx context.Context, f func(*engine.Engine, images.Result) error) error {
	return r.withEngine(ctx, func(e *engine.Engine) error {
		_, made, err := r.remake(ctx)
		if err != nil {
			return err
		}
		if err := r.loadNode(ctx, e, made); err != nil {
			return err
		}
		return f(e, made)
	})
}

// loadNode brings the node image and k3d's helpers into the engine.
func (r *rig) loadNode(ctx context.Context, e *engine.Engine, made images.Result) error {
	begun := time.Now()
	loaded, err := images.LoadInto(ctx, e.Client(), made)
	if err != nil {
		return r.damaged(err)
	}
	if len(loaded) > 0 {
		r.say("images: %d brought into the engine in %s", len(loaded), round(time.Since(begun)))
	}
	return nil
}

func (r *rig) down() *cobra.Command {
	return &cobra.Command{
		Use:     "down",
		Short:   "Take every cluster away, and look whether anything stayed",
		Example: "  rig down",
		RunE:    func(c *cobra.Command, _ []string) error { return r.takeDown(c.Context(), nil) },
	}
}

// takeDown deletes clusters, all of them when none is named, and compares the machine
// with what it was once there is none any more.
func (r *rig) takeDown(ctx context.Context, names []string) error {
	begun := time.Now()
	err := r.withClusters(ctx, func(e *engine.Engine, clusters *cluster.Clusters) error {
		release, err := r.lockClusters(ctx, "takes clusters away")
		if err != nil {
			return err
		}
		defer release() //nolint:errcheck // the end of the process releases it too
		if len(names) == 0 {
			list, err := clusters.List(ctx)
			if err != nil {
				return err
			}
			for _, one := range list {
				names = append(names, one.Name)
			}
		}
		var failed []error // one that stays must not keep the others
		for _, one := range names {
			failed = append(failed, clusters.Delete(ctx, one, r.clusterReport))
		}
		if err := errors.Join(failed...); err != nil {
			return err
		}
		return r.nothingLeft(ctx, e, clusters)
	})
	if errors.Is(err, engine.ErrNone) && len(names) == 0 {
		r.say("down: no engine runs, so no cluster does")
		return nil
	}
	if errors.Is(err, engine.ErrNone) {
		return fault.Wrap(fault.NoLab, "there is no such cluster", err, "go run ./hack/rig cluster list")
	}
	if err != nil {
		return err
	}
	took := time.Since(begun)
	r.say("down: %d clusters gone in %s", len(names), round(took))
	return r.times().put("down", len(names) > 0, len(names) == 0, took)
}

// nothingLeft compares the machine with what it was before the first cluster, once
// there is none any more.
func (r *rig) nothingLeft(ctx context.Context, e *engine.Engine, clusters *cluster.Clusters) error {
	list, err := clusters.List(ctx)
	if err != nil || len(list) > 0 {
		return err
	}
	var before engine.State
	had, err := readJSON(r.beforeFile(e), &before)
	if err != nil || !had {
		return err
	}
	now, err := engine.Snapshot(ctx, e)
	if err != nil {
		return err
	}
	if left := now.Left(before); len(left) > 0 {
		return fault.New(fault.StepFailed, "the clusters are gone, and something stayed", strings.Join(left, "; "), "look at what is named; where it is not the rig's: go run ./hack/rig clean")
	}
	return os.Remove(r.beforeFile(e))
}

func (r *rig) clean() *cobra.Command {
	var build, everything bool
	c := &cobra.Command{
		Use:   "clean",
		Short: "Take clusters and the own engine away, and what the pins do not name any more",
		Long: `clean takes every cluster away, stops the rig's own engine and removes its images
(those in another engine stay), and removes parts that the pins do not name any more. Parts and images that they do
name stay: with them the next run is short. --build removes the caches of the build
tools too, --all the whole cache folder.`,
		Example: "  rig clean\n  rig clean --build\n  rig clean --all",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			if err := r.takeDown(ctx, nil); err != nil {
				// The engine goes with whatever is on it.
				r.say("clean: %v", err)
			}
			if err := r.forgetBefore(); err != nil {
				return err
			}
			if err := engine.Clean(ctx, r.engineOptions()); err != nil {
				return err
			}
			pins, err := parts.Load(ctx, r.project)
			if err != nil {
				return err
			}
			return r.locked(ctx, "cleans", func() error {
				if everything {
					return r.removeCache()
				}
				freed, err := r.store.Clean(pins, build)
				if err == nil {
					r.say("clean: %s of parts removed", megabytes(freed))
				}
				return err
			})
		},
	}
	c.Flags().BoolVar(&build, "build", false, "remove the caches of the build tools too")
	c.Flags().BoolVar(&everything, "all", false, "remove the whole cache folder")
	return c
}

// removeCache removes everything that the rig keeps in the cache folder but the lock,
// which is held. The folder may be one that somebody else uses too.
func (r *rig) removeCache() error {
	for _, name := range []string{"parts", "images", "node", "bundle", "charts", "build", "log", "clusters", "engine", "times.json", "extra.json"} {
		if err := os.RemoveAll(filepath.Join(r.cache, name)); err != nil {
			return err
		}
	}
	r.say("clean: %s holds nothing of the rig", r.cache)
	return nil
}
