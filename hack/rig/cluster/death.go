package cluster

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/alertlab/alertlab/lab/fault"
)

// deadNode is the cause with which a Create ends when one of its nodes does.
type deadNode struct{ node, code string }

func (d deadNode) Error() string {
	return fmt.Sprintf("node %s ended with exit code %s", d.node, d.code)
}

// watchDeaths cancels with a deadNode when a container of one of the names ends.
// The function that it returns ends the watch.
func (j *job) watchDeaths(ctx context.Context, names []string, cancel context.CancelCauseFunc) func() {
	ctx, stop := context.WithCancel(ctx)
	filter := filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)), filters.Arg("event", string(events.ActionDie)))
	for _, n := range names {
		filter.Add("container", n)
	}
	messages, problems := j.docker.Events(ctx, events.ListOptions{Filters: filter})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case m := <-messages:
				cancel(deadNode{node: m.Actor.Attributes["name"], code: m.Actor.Attributes["exitCode"]})
			case <-problems: // also the end of ctx; the makers see an engine that is gone
				return
			}
		}
	}()
	return func() { stop(); <-done }
}

// tails gives the end of the logs of the nodes, for an error: of all of them, or of
// the one that died.
func (j *job) tails(ctx context.Context, err error) string {
	const lines = 12
	var f *fault.Fault
	if asFault(err, &f) {
		return ""
	}
	cl, gerr := j.Get(ctx, j.cfg.Name)
	if gerr != nil {
		return ""
	}
	var b strings.Builder
	for _, n := range cl.Nodes {
		if !strings.Contains(err.Error(), n.name) && mentionsNode(err, cl) {
			continue
		}
		if tail, err := n.LogTail(ctx, lines); err == nil {
			b.WriteString(indent("the log of node "+n.name+" ends", tail))
		}
	}
	return b.String()
}

// mentionsNode tells whether an error names one of the nodes; if so, the others'
// logs are of no interest.
func mentionsNode(err error, cl *Cluster) bool {
	for _, n := range cl.Nodes {
		if strings.Contains(err.Error(), n.name) {
			return true
		}
	}
	return false
}
