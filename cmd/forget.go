package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/run"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
	"github.com/alertlab/alertlab/provider/existing"
	"github.com/alertlab/alertlab/provider/nodes"
)

// forgetNext is the way out for a lab whose cluster is gone for good.
const forgetNext = "\nwhere it is gone for good: alertlab down --purge --forget   # deletes the lab here, and nothing there"

// forgetLab deletes what this machine has of a lab whose cluster cannot be reached, and
// gives what is left of that.
func (a *app) forgetLab(ctx context.Context, dir state.Dir) (left []string, err error) {
	desc, err := dir.Describe()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil || desc.Provider == catalog.Embedded {
		return nil, fault.New(fault.BadInput, fmt.Sprintf("lab %s has no cluster to be forgotten", dir.Lab()), "all of it is on this machine", "alertlab down --purge")
	}
	why := unreachable(ctx, dir, desc)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if why == nil {
		return nil, fault.New(fault.BadInput, fmt.Sprintf("the cluster of lab %s answers", dir.Lab()), "forgotten, the lab would stay on it", "alertlab down --purge")
	}
	entries, err := run.ReadJournal(dir.Journal())
	if err != nil {
		return nil, err
	}
	if err := endRunner(ctx, dir); err != nil {
		return nil, err
	}
	lock, err := state.TryLock(dir.LockPath())
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	if err := dir.Delete(); err != nil {
		return nil, err
	}
	fmt.Fprintf(a.err, "not looked at: %v\nwhat lab %s has there stays; should it come back, delete it: %s\n", why, dir.Lab(), byHand(desc))
	return loopback.CleanUp(ctx, run.Outputs(entries)["addresses"])
}

// unreachable says why nothing can be done about a lab's cluster; nil when something
// can.
func unreachable(ctx context.Context, dir state.Dir, desc state.Description) error {
	if desc.Provider != catalog.Existing {
		_, err := new(nodes.Connection).Client(ctx)
		return err
	}
	reach := func(kubeconfig []byte, err error) error {
		if err != nil {
			return err
		}
		return existing.Reach(ctx, kubeconfig, desc.Cluster.Context, component.Namespace)
	}
	// The lab's own kubeconfig is what deletes it. The user's may know the cluster by a
	// newer login, which an up takes over.
	why := reach(existing.Source{Context: desc.Cluster.Context, File: desc.Cluster.Kubeconfig}.Kubeconfig())
	if why == nil {
		return nil
	}
	if own := reach(os.ReadFile(dir.Kubeconfig())); !errors.Is(own, fs.ErrNotExist) {
		return own
	}
	return why
}

// unlooked is an error of looking at the cluster of a lab that is to be deleted, with
// what helps: a lab cannot be given another cluster.
func unlooked(dir state.Dir, desc state.Description, err error) error {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return err
	}
	told := *f
	if desc.Provider == catalog.Existing {
		told.Next = "see to it that this works: " + kubectl(desc.Cluster) + " version"
		if _, lost := os.Stat(dir.Kubeconfig()); f.Code == fault.BadInput && lost == nil {
			told.Next = "bring the context back; the lab has a copy of it: alertlab kubeconfig --path"
		}
	}
	told.Next += forgetNext
	return &told
}

// kubectl is the command line that reaches a lab's cluster.
func kubectl(c state.Cluster) string {
	words := []string{"kubectl"}
	if c.Kubeconfig != "" {
		words = append(words, "--kubeconfig", shellWord(c.Kubeconfig))
	}
	return strings.Join(append(words, "--context", shellWord(c.Context)), " ")
}

// byHand are the commands that delete what a lab has on its cluster.
func byHand(desc state.Description) string {
	name := nodes.Name(desc.Name)
	switch desc.Provider {
	case catalog.K3d:
		return "k3d cluster delete " + name
	case catalog.Kind:
		return "kind delete cluster --name " + name
	}
	labelled := " -l " + existing.Selector(desc.Name)
	text := kubectl(desc.Cluster) + " delete namespaces,storageclasses" + labelled
	if desc.Cluster.Adopt { // the namespace may be somebody else's, and has no label then
		text += "; " + kubectl(desc.Cluster) + " -n " + component.Namespace +
			" delete statefulsets,deployments,services,secrets,configmaps,persistentvolumeclaims,poddisruptionbudgets" + labelled
	}
	return text
}

// endRunner ends the process that owns the lab, if there is one, at the latest with a
// second signal: what it would still do on the cluster cannot succeed.
func endRunner(ctx context.Context, dir state.Dir) error {
	client, err := runner.Dial(ctx, dir)
	if errors.Is(err, runner.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	st, err := client.Status(ctx)
	if err != nil {
		return err
	}
	for range 2 {
		gone, err := state.Watch(dir.LockPath())
		if err != nil {
			return err
		}
		if err := syscall.Kill(st.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		bound, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = gone(bound)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fault.New(fault.StepFailed, fmt.Sprintf("the runner of lab %s does not end", dir.Lab()), fmt.Sprintf("process %d still owns it", st.PID), fmt.Sprintf("kill -9 %d, then the same command again", st.PID))
}
